//! How many instructions an event costs, which does not depend on what else the machine does.

use std::fs;
use std::process::Stdio;

use etcd_process::Server;

use crate::{client_process, tell};

/// Of the client, counted by valgrind: those that twice as many events need more.
pub(crate) fn per_event(server: &Server, watches: usize) -> Result<f64, String> {
    const EVENTS: usize = 2000;
    let [few, many] = [EVENTS, 2 * EVENTS].map(|events| of_a_client(server, watches, events));
    Ok((many? - few?) / EVENTS as f64)
}

fn of_a_client(server: &Server, watches: usize, events: usize) -> Result<f64, String> {
    let log = std::env::temp_dir().join(format!("many_watches.{}.callgrind", std::process::id()));
    let options = [
        "--tool=callgrind".to_owned(),
        "--callgrind-out-file=/dev/null".to_owned(),
        format!("--log-file={}", log.display()),
    ];
    let mut client = client_process(Some(&options))?;
    client.stderr(Stdio::inherit());
    let told = tell(server, client, watches, events);
    let text = fs::read_to_string(&log).unwrap_or_default();
    let _ = fs::remove_file(&log);
    told.map_err(|error| {
        format!("{error} (valgrind is needed; on Debian: apt-get install valgrind)\n{text}")
    })?;
    // "==123== Collected : 314924281"
    let collected = text.lines().find_map(|line| line.split_once("Collected : "));
    collected
        .and_then(|(_, number)| number.trim().parse().ok())
        .ok_or_else(|| format!("cannot read what valgrind says:\n{text}"))
}
