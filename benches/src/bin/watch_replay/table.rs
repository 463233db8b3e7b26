//! What was measured, as a table.

use anyetcd_benches::{median, range};

use crate::Measured;
use crate::contender::Contender;
use crate::history::History;

/// Prints medians, how far the rounds lie apart, and ratios.
pub(crate) fn print(history: History, bytes: u64, contenders: &[Contender], measured: &[Vec<Measured>]) {
    let middle = |index: usize, what: fn(&Measured) -> f64| median(measured[index].iter().map(what));
    let seconds = |index: usize| middle(index, |round| round.time.as_secs_f64());

    println!(
        "{:<24} {:>8} {:>17} {:>9} {:>8} {:>9} {:>14} {:>17}",
        "",
        "events/s",
        "(min to max)",
        "of hyper",
        "CPU ms",
        "CPU etcd",
        "first bytes ms",
        "memory MB (times)"
    );
    for (index, contender) in contenders.iter().enumerate() {
        let speed = |seconds: f64| history.events as f64 / seconds;
        let (min, max) = range(
            measured[index]
                .iter()
                .map(|round| speed(round.time.as_secs_f64())),
        );
        let baseline = contenders.iter().position(|other| *other == contender.baseline());
        let of_hyper = baseline.map_or(f64::NAN, |baseline| seconds(baseline) / seconds(index));
        let first_bytes = match contender {
            Contender::Hyper(_) => format!(
                "{:.0}",
                middle(index, |round| round.first_bytes.as_secs_f64() * 1e3)
            ),
            Contender::Anyetcd(_) => String::new(),
        };
        let memory = middle(index, |round| round.memory as f64);
        println!(
            "{:<24} {:>8.0} {:>17} {of_hyper:>9.2} {:>8.0} {:>9.0} {first_bytes:>14} {:>17}",
            contender.name(),
            speed(seconds(index)),
            format!("({min:.0} to {max:.0})"),
            middle(index, |round| round.cpu.as_secs_f64() * 1e3),
            middle(index, |round| round.server_cpu.as_secs_f64() * 1e3),
            format!("{:.0} ({:.2})", memory / 1e6, memory / bytes as f64),
        );
    }
}
