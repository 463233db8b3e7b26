//! A server process that cannot outlive the process which started it.
//!
//! Beside each server runs a watchdog, a shell that reads a pipe whose only writing end the test process holds. When
//! the test process ends, in whatever way (return, panic, `exit`, SIGKILL), the pipe ends, and the watchdog kills the
//! server and removes its folder. That is also what ends the servers that live in statics, which are never dropped.
//!
//! ```text
//!  test process ──── pipe ────▶ watchdog (sh)     reads lines: the id of the running server, or `none`
//!      │                           ▲                end of pipe: SIGKILL to the last id, rm -rf the folder
//!      └─ spawn ─▶ sh ── "$$" ─────┘
//!                   └─ exec etcd                  the id goes out before there is a server: no gap without a guard
//! ```
//!
//! Both run in process groups of their own, so that an interrupt from a terminal, or a test runner that kills a group,
//! cannot end the watchdog first.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::freezing;

/// `$1` is the folder. SIGKILL is asynchronous, so files may still appear while the folder goes.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
pid=none
while read -r line; do pid=$line; done
[ "$pid" = none ] || kill -KILL "$pid" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$1" 2>/dev/null && [ ! -e "$1" ] && exit
    sleep 0.1
done
"#;

/// `$1` is the log file, the rest the command.
const LAUNCHER: &str = r#"echo "$$"; log=$1; shift; exec "$@" >>"$log" 2>&1"#;

/// How long a server may take to end by itself after SIGTERM.
const TERMINATION_DEADLINE: Duration = Duration::from_secs(30);

/// One server and its watchdog; see the [module](self).
#[derive(Debug)]
pub(crate) struct Process {
    watchdog: Child,
    pipe: Option<ChildStdin>,
    server: Option<Child>,
}

impl Process {
    /// Starts the watchdog of a server whose files are all in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        let mut watchdog = shell(WATCHDOG)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start sh: {e}"));
        let pipe = watchdog.stdin.take();
        Self {
            watchdog,
            pipe,
            server: None,
        }
    }

    /// Starts `command` with its output appended to `log`. One that runs already is killed first.
    pub(crate) fn start(&mut self, command: &[OsString], environment: &[(OsString, OsString)], log: &Path) {
        self.kill();
        let id_out = self
            .pipe()
            .as_fd()
            .try_clone_to_owned()
            .expect("a pipe can be duplicated");
        let mut launcher = shell(LAUNCHER);
        forget_etcd_settings(&mut launcher);
        let server = launcher
            .arg(log)
            .args(command)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::from(id_out))
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start sh: {e}"));
        self.server = Some(server);
    }

    /// The id of the running server; `None` once it was killed or terminated.
    pub(crate) fn id(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// How the server ended, if it has ended by itself since it was started.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.server
            .as_mut()?
            .try_wait()
            .expect("a child of ours can be waited for")?;
        let mut server = self.server.take()?;
        Some(self.reap(&mut server))
    }

    /// SIGSTOP. Returns once the server has stopped.
    pub(crate) fn freeze(&mut self) {
        freezing::freeze(self.running());
    }

    /// SIGCONT.
    pub(crate) fn thaw(&mut self) {
        freezing::thaw(self.running());
    }

    /// SIGKILL, which ends a frozen server as well. Returns once it is gone; nothing to do when none runs.
    pub(crate) fn kill(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        // It may have ended by itself.
        let _ = server.kill();
        self.reap(&mut server);
    }

    /// SIGTERM. Returns once the server has ended, or kills it and panics after a deadline.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.thaw();
        freezing::signal(self.running(), Signal::TERM);
        let mut server = self.server.take().expect("a process that took a signal is there");
        let deadline = Instant::now() + TERMINATION_DEADLINE;
        while server
            .try_wait()
            .expect("a child of ours can be waited for")
            .is_none()
        {
            if Instant::now() > deadline {
                let _ = server.kill();
                self.reap(&mut server);
                panic!("etcd did not end within {TERMINATION_DEADLINE:?} of SIGTERM");
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.reap(&mut server)
    }

    fn reap(&mut self, server: &mut Child) -> ExitStatus {
        let status = server.wait().expect("a child of ours can be waited for");
        // From here on the id may become another process's.
        self.pipe()
            .write_all(b"none\n")
            .expect("the watchdog reads to the end of its pipe");
        status
    }

    fn running(&self) -> &Child {
        self.server
            .as_ref()
            .expect("etcd is not running: it was killed or terminated")
    }

    fn pipe(&mut self) -> &mut ChildStdin {
        self.pipe.as_mut().expect("the pipe is there until drop")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        drop(self.pipe.take());
        // It removes the folder and ends.
        let _ = self.watchdog.wait();
    }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "etcd-process"]).process_group(0);
    command
}

/// Takes `ETCD_*` and `ETCDCTL_*` out of what `command` inherits: both programs read settings from there.
pub(crate) fn forget_etcd_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"ETCD")) {
        command.env_remove(name);
    }
}
