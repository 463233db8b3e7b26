//! What the program is asked for.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use etcd_embedded::{Config, Dialect};
use lexopt::{Arg, ValueExt};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
An etcd in memory that serves the v3 JSON gateway over HTTP/1.1. For development and tests:
nothing is kept, nothing is encrypted, there is one member.

Usage: etcd-embedded [OPTIONS]

  --listen ADDRESS             where to listen, as HOST:PORT or http://HOST:PORT; may be given several times
                               [127.0.0.1:2379]
  --allow-remote               let --listen name an address that other machines can reach
  --dialect DIALECT            which server to behave like: g1.6 (etcd 3.4), g1.16 (3.5) or g2 (3.6 and newer) [g2]
  --seed NUMBER                where ids and tokens come from; the same number, the same ids [random]

As etcd's own:
  --name NAME                  the member's name [default]
  --advertise-client-urls URLS what clients are told in the list of members, with commas [where it listens]
  --max-txn-ops NUMBER         the most operations in a transaction [128]
  --max-request-bytes NUMBER   the largest request [1572864]
  --quota-backend-bytes NUMBER the size at which writes are refused; 0 for 2 GiB [0]
  --auth-token-ttl SECONDS     how long a token lives without being used [300]
  --watch-progress-notify-interval DURATION
                               how often an idle watch that asks for it is told the revision: 10m, 5s, 100ms [10m]

  -h, --help                   print this
  -V, --version                print the version
";

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Version,
    Serve(Box<Options>),
}

/// How to serve.
#[derive(Debug)]
pub(crate) struct Options {
    /// At least one.
    pub(crate) addresses: Vec<SocketAddr>,
    /// What clients are told, if not where it listens.
    pub(crate) advertised: Option<Vec<String>>,
    /// The rest.
    pub(crate) config: Config,
    pub(crate) seed: Option<u64>,
}

/// Reads arguments; the first one is the first after the program's name.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    read(args).map_err(|error| error.to_string())
}

fn read(args: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut config = Config::new();
    let mut addresses = Vec::new();
    let mut advertised = None;
    let (mut seed, mut allows_remote) = (None, false);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long("listen") => addresses.push(parser.value()?.parse_with(resolve)?),
            Arg::Long("allow-remote") => allows_remote = true,
            Arg::Long("dialect") => config = config.dialect(parser.value()?.parse_with(dialect)?),
            Arg::Long("seed") => seed = Some(parser.value()?.parse()?),
            Arg::Long("name") => config = config.name(parser.value()?.string()?),
            Arg::Long("advertise-client-urls") => advertised = Some(urls(&parser.value()?.string()?)),
            Arg::Long("max-txn-ops") => config = config.max_txn_ops(parser.value()?.parse()?),
            Arg::Long("max-request-bytes") => config = config.max_request_bytes(parser.value()?.parse()?),
            Arg::Long("quota-backend-bytes") => config = config.quota_backend_bytes(parser.value()?.parse()?),
            Arg::Long("auth-token-ttl") => {
                config = config.auth_token_ttl(Duration::from_secs(parser.value()?.parse()?));
            }
            Arg::Long("watch-progress-notify-interval") => {
                config = config.watch_progress_notify_interval(parser.value()?.parse_with(duration)?);
            }
            other => return Err(other.unexpected()),
        }
    }
    if addresses.is_empty() {
        addresses.push(SocketAddr::from(([127, 0, 0, 1], 2379)));
    }
    if let Some(remote) = addresses.iter().find(|address| !address.ip().is_loopback())
        && !allows_remote
    {
        return Err(format!(
            "other machines could reach {remote}, and this is a development and test server without TLS; \
             say --allow-remote if that is meant"
        )
        .into());
    }
    Ok(Command::Serve(Box::new(Options {
        addresses,
        advertised,
        config,
        seed,
    })))
}

/// The address that a text names; of the two that `localhost` may be, the older kind, which every machine has.
fn resolve(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    if bare.contains("://") {
        return Err("only http can be served".into());
    }
    let addresses = bare.to_socket_addrs().map_err(|error| error.to_string())?;
    let preferred = addresses.min_by_key(SocketAddr::is_ipv6);
    preferred.ok_or_else(|| "the name has no address".into())
}

fn urls(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

fn dialect(text: &str) -> Result<Dialect, &'static str> {
    match text {
        "g1.6" => Ok(Dialect::G1_6),
        "g1.16" => Ok(Dialect::G1_16),
        "g2" => Ok(Dialect::G2),
        _ => Err("not one of g1.6, g1.16 and g2"),
    }
}

/// A duration of one unit, as Go writes it.
fn duration(text: &str) -> Result<Duration, &'static str> {
    let unit = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let number = u64::from_str(number).map_err(|_| "no number")?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3600))),
        _ => Err("no unit among ms, s, m and h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, String> {
        match parse(args.iter().map(OsString::from))? {
            Command::Serve(options) => Ok(*options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_options_it_is_etcds_defaults_on_loopback() {
        let options = options(&[]).unwrap();
        assert_eq!(options.addresses, ["127.0.0.1:2379".parse().unwrap()]);
        assert_eq!(options.config, Config::new());
        assert_eq!((options.advertised, options.seed), (None, None));
    }

    #[test]
    fn every_option_is_taken_in_either_spelling() {
        let options = options(&[
            "--listen=http://127.0.0.1:1/",
            "--listen",
            "[::1]:2",
            "--listen=localhost:3",
            "--dialect=g1.6",
            "--seed=7",
            "--name",
            "n",
            "--advertise-client-urls=http://a:1,http://b:2",
            "--max-txn-ops=3",
            "--max-request-bytes=4",
            "--quota-backend-bytes",
            "5",
            "--auth-token-ttl=6",
            "--watch-progress-notify-interval=70ms",
        ])
        .unwrap();
        let config = Config::new()
            .dialect(Dialect::G1_6)
            .name("n")
            .max_txn_ops(3)
            .max_request_bytes(4)
            .quota_backend_bytes(5)
            .auth_token_ttl(Duration::from_secs(6))
            .watch_progress_notify_interval(Duration::from_millis(70));
        assert_eq!(options.config, config);
        assert_eq!(options.seed, Some(7));
        assert_eq!(
            options.advertised,
            Some(vec!["http://a:1".into(), "http://b:2".into()])
        );
        assert_eq!(
            options.addresses,
            ["127.0.0.1:1", "[::1]:2", "127.0.0.1:3"].map(|address| address.parse().unwrap())
        );
    }

    #[test]
    fn an_address_that_others_can_reach_has_to_be_meant() {
        for address in ["0.0.0.0:2379", "[::]:2379", "192.0.2.1:2379"] {
            let refusal = options(&["--listen", "127.0.0.1:1", "--listen", address]).unwrap_err();
            assert!(
                refusal.contains(address) && refusal.contains("--allow-remote"),
                "{refusal}"
            );
            assert!(options(&["--listen", address, "--allow-remote"]).is_ok());
        }
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        for (args, reason) in [
            (&["--listen", "https://127.0.0.1:1"][..], "only http"),
            (&["--listen", "127.0.0.1"], "127.0.0.1"),
            (&["--dialect", "g3"], "not one of"),
            (&["--auth-token-ttl", "5s"], "5s"),
            (&["--watch-progress-notify-interval", "5"], "no unit"),
            (&["--data-dir", "x"], "--data-dir"),
            (&["x"], "x"),
        ] {
            let refusal = options(args).unwrap_err();
            assert!(refusal.contains(reason), "{args:?}: {refusal}");
        }
    }
}
