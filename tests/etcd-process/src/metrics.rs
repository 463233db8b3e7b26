//! The Prometheus text format, as far as a lookup by name needs it.

/// The value of `name` in `text`.
///
/// A bare name adds up all its series; a name with labels, spelled as the server prints it
/// (`grpc_server_started_total{grpc_method="Range",…}`), is that one series. `None` when there is no such series.
pub(crate) fn value(text: &str, name: &str) -> Option<f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| sample(line, name))
        .reduce(|sum, value| sum + value)
}

fn sample(line: &str, name: &str) -> Option<f64> {
    // Label values may hold spaces, a sample value cannot; etcd prints no timestamps.
    let (series, value) = line.rsplit_once(' ')?;
    let is_asked = series == name || series.split('{').next() == Some(name);
    is_asked.then(|| value.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::value;

    const TEXT: &str = "\
# HELP watchers Watchers.
# TYPE watchers gauge
watchers 3
watchers_slow 9
calls{method=\"a b\",code=\"OK\"} 2
calls{method=\"c\",code=\"OK\"} 5.5
bytes 1.5e+06
";

    #[test]
    fn a_bare_name_adds_up_its_series_and_no_others() {
        assert_eq!(value(TEXT, "watchers"), Some(3.0));
        assert_eq!(value(TEXT, "calls"), Some(7.5));
        assert_eq!(value(TEXT, "bytes"), Some(1_500_000.0));
    }

    #[test]
    fn a_name_with_labels_is_one_series() {
        assert_eq!(value(TEXT, "calls{method=\"a b\",code=\"OK\"}"), Some(2.0));
    }

    #[test]
    fn an_unknown_name_has_no_value() {
        assert_eq!(value(TEXT, "watch"), None);
        assert_eq!(value(TEXT, "# TYPE watchers"), None);
    }
}
