//! Starting servers on ports that a program which reserves none may take meanwhile.

use crate::{Cluster, Server};

/// How often servers are started anew, on other ports, because one of theirs was taken.
const ATTEMPTS: u32 = 5;

/// What was started and can fail to become healthy.
pub(crate) trait Started {
    fn describe(&self) -> String;
    fn log_tail(&self) -> String;
}

impl Started for Server {
    fn describe(&self) -> String {
        self.to_string()
    }

    fn log_tail(&self) -> String {
        self.log_tail()
    }
}

impl Started for Cluster {
    fn describe(&self) -> String {
        "a member of the cluster".to_owned()
    }

    fn log_tail(&self) -> String {
        self.members()
            .iter()
            .map(|member| format!("{member}\n{}\n", member.log_tail()))
            .collect()
    }
}

/// Runs `start`, which tells whether what it started became healthy; again if a port was taken.
///
/// # Panics
///
/// If it did not become healthy for another reason.
pub(crate) fn start_on_free_ports<S: Started>(start: impl Fn() -> (S, Result<(), String>)) -> S {
    let mut attempt = 1;
    loop {
        let (started, result) = start();
        let Err(why) = result else { return started };
        let (what, log) = (started.describe(), started.log_tail());
        drop(started);
        if attempt == ATTEMPTS || !log.contains("address already in use") {
            panic!("{what} {why}; the end of the log:\n{log}");
        }
        attempt += 1;
    }
}
