//! Ports of 127.0.0.1 that stay ours, also while the server that uses them is down.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::ops::Range;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::fs::{FlockOperation, flock};
use rustix::process::getuid;

/// Below what systems hand out to outgoing connections (from 32768 on Linux, 49152 elsewhere). From that range, a port
/// could be taken by any connection while its server restarts, or a client that reconnects to it could even reach
/// itself.
const RANGE: Range<u16> = 12_000..32_000;

/// A port that no other test process takes while this value lives: what keeps it is a lock on a file named after it,
/// which ends with the process in whatever way it ends.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    _lock: File,
}

impl ReservedPort {
    /// Reserves a port on which nothing listens.
    ///
    /// # Panics
    ///
    /// If there is none left.
    #[expect(clippy::new_without_default, reason = "it takes something from the machine")]
    pub fn new() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let folder = env::temp_dir().join(format!("etcd-process-ports-{}", getuid().as_raw()));
        fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("cannot create {}: {e}", folder.display()));
        // Test processes start far apart, so that they seldom ask for the same port at all.
        let start = (process::id().wrapping_mul(97) % u32::from(u16::MAX)) as u16;
        for _ in RANGE {
            let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let number = RANGE.start + step % (RANGE.end - RANGE.start);
            let path = folder.join(number.to_string());
            let Ok(lock) = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
            else {
                continue;
            };
            let is_ours = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            if is_ours && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!(
            "no port of 127.0.0.1 is free between {} and {}",
            RANGE.start, RANGE.end
        );
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The URL of a server on it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.number)
    }
}
