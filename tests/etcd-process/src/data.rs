//! The folder of one server: its data and its log.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// How much of a log a failure shows.
const TAIL_LINES: usize = 40;

/// A folder of its own for one server, removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("etcd-process-{label}-{}-{count}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Self { path },
                // Left by a process of the same id that went without a trace.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => panic!("cannot create {}: {e}", path.display()),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the server's standard output and error go.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("etcd.log")
    }

    /// The last lines that the server printed.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The watchdog removes what this leaves.
        let _ = fs::remove_dir_all(&self.path);
    }
}
