//! [wrk](https://github.com/wg/wrk), told to send what anyetcd sends.

use std::process::Command;
use std::time::Duration;

use anyetcd_benches::used;
use nix::sys::resource::UsageWho;

use crate::{Measured, measured};

/// Runs it for `seconds` with one thread, as it has no use for more here.
pub(crate) fn measure(url: &str, in_flight: usize, seconds: u64) -> Result<Measured, String> {
    let before = used(UsageWho::RUSAGE_CHILDREN);
    let output = command(url, in_flight, seconds)?
        .output()
        .map_err(|error| format!("{error}: {INSTALL}"))?;
    let cpu = used(UsageWho::RUSAGE_CHILDREN) - before;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("wrk failed:\n{text}"));
    }
    // "  28123 requests in 5.00s, 11.34MB read"
    let counted = text.lines().find_map(|line| {
        let (gets, rest) = line.trim().split_once(" requests in ")?;
        let (time, _) = rest.split_once("s,")?;
        Some((gets.parse().ok()?, Duration::from_secs_f64(time.parse().ok()?)))
    });
    match counted {
        Some((gets, time)) if gets > 0 => Ok(measured(gets, cpu, time)),
        _ => Err(format!("cannot read what wrk says:\n{text}")),
    }
}

/// The request. `Host` and `Content-Length` wrk knows itself.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/gateway_get/get.lua");

const INSTALL: &str = "wrk is needed to compare with; on Debian: apt-get install wrk";

/// The command that loads the server at `url`.
pub(crate) fn command(url: &str, in_flight: usize, seconds: u64) -> Result<Command, String> {
    if Command::new("wrk").arg("--version").output().is_err() {
        return Err(INSTALL.to_owned());
    }
    let mut command = Command::new("wrk");
    command
        .args(["--threads", "1", "--connections", &in_flight.to_string()])
        .args(["--duration", &seconds.to_string(), "--script"])
        .arg(SCRIPT)
        .arg(format!("{url}/v3/kv/range"));
    Ok(command)
}
