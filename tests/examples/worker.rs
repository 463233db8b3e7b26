//! The example `presence` as a process that is put to sleep, and woken when its place is taken.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use etcd_process::{Dialect, Server, freeze, thaw};

/// How long the server may take to end a lease that nobody renews: a bound for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A worker that runs; killed when dropped, asleep or not.
struct Worker {
    process: Child,
    /// `None` once it was told that there is no more work.
    orders: Option<ChildStdin>,
    printed: BufReader<ChildStdout>,
}

impl Worker {
    fn start(server: &Server, ttl: &str) -> Self {
        let mut process = Command::new(super::executable("presence"))
            .arg(ttl)
            .env("ETCD_ENDPOINTS", server.client_url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = process.stdin.take();
        let printed = BufReader::new(process.stdout.take().unwrap());
        let mut worker = Self {
            process,
            orders,
            printed,
        };
        assert_eq!(worker.line(), "present");
        assert_eq!(worker.line(), "the lease is alive");
        worker
    }

    /// The next line that it prints; empty when it has ended.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.printed.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
    }

    /// Sends it home, and waits until it has gone.
    fn end(mut self) -> ExitStatus {
        self.orders = None;
        assert_eq!(self.line(), "gone, and so is the key");
        self.process.wait().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What another client reads.
fn value(server: &Server, key: &str) -> String {
    let read = server.etcdctl(["get", "--print-value-only", key]);
    assert!(read.status.success(), "{read:?}");
    String::from_utf8(read.stdout).unwrap().trim_end().to_owned()
}

pub(super) fn that_slept_past_its_deadline_knows_it_on_waking(dialect: Dialect) {
    let mut server = Server::start(dialect);
    let mut sleeper = Worker::start(&server, "3");
    sleeper.order("one");
    assert_eq!(sleeper.line(), "done: one");

    freeze(&sleeper.process);
    let asleep_since = Instant::now();
    // It will find this when it wakes, and it must not do it.
    sleeper.order("two");
    while value(&server, "presence/worker") == "me" {
        assert!(
            asleep_since.elapsed() < PATIENCE,
            "the server does not end the lease"
        );
        thread::sleep(Duration::from_millis(50));
    }
    // The server has given its place away, and somebody takes it.
    let mut other = Worker::start(&server, "60");
    other.order("three");
    assert_eq!(other.line(), "done: three");
    assert!(other.end().success());

    // Nobody can tell it anything now: what it knows, it knows from its own clock.
    server.freeze();
    thaw(&sleeper.process);
    let first = sleeper.line();
    let slept = asleep_since.elapsed();
    let after = first.strip_prefix("lost: it expired, ");
    let after = after.and_then(|after| after.strip_suffix(" s after it began"));
    let after: f64 = after
        .unwrap_or_else(|| panic!("what it said first: {first:?}"))
        .parse()
        .unwrap();
    assert!(after >= 3.0, "{after} s, and it slept for {slept:?}");
    assert_eq!(sleeper.line(), "", "it has nothing to add");
    assert!(!sleeper.process.wait().unwrap().success());
    server.thaw();
    assert_eq!(value(&server, "presence/done"), "three");
}

/// Its next renewal is far away, so that it believes in its lease; the server does not.
pub(super) fn whose_lease_is_revoked_behind_its_back_does_nothing(dialect: Dialect) {
    let server = Server::start(dialect);
    let mut worker = Worker::start(&server, "600");
    worker.order("one");
    assert_eq!(worker.line(), "done: one");

    let listed = server.etcdctl(["lease", "list"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let lease = listed.lines().last().unwrap();
    assert!(server.etcdctl(["lease", "revoke", lease]).status.success());
    worker.order("two");
    assert_eq!(worker.line(), "not done, we are not the worker any more: two");
    assert!(worker.end().success());
    assert_eq!(value(&server, "presence/done"), "one");
}
