use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::data::Folder;
use crate::ports::ReservedPort;
use crate::process::{Process, forget_etcd_settings};
use crate::start::start_on_free_ports;
use crate::{Dialect, ServerBuilder, binaries, http, metrics};

/// How long a server may take until it is healthy: a bound for a machine that is busy with other tests, and short
/// enough to fail before a test runner gives up.
const START_DEADLINE: Duration = Duration::from_secs(60);

static FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// From now on, this process starts no real server, and whoever asks for one panics: for tests that are about another
/// kind of server and must not use a real one by mistake.
pub fn forbid() {
    FORBIDDEN.store(true, Ordering::Relaxed);
}

/// A running etcd server of the test's own. Killed, and its data removed, when dropped; when that happens in a panic,
/// the end of its log is printed.
///
/// Methods that disturb the server take `&mut self`, so that one behind [`shared`](crate::shared()) cannot be disturbed.
#[derive(Debug)]
pub struct Server {
    // Before the folder, which must not go while the server writes.
    process: Process,
    builder: ServerBuilder,
    name: String,
    initial_cluster: String,
    joins: bool,
    client_url: String,
    client_port: ReservedPort,
    peer_port: ReservedPort,
    metrics_port: ReservedPort,
    folder: Folder,
}

impl Server {
    /// Starts a server with the default settings and waits until it is healthy.
    ///
    /// # Panics
    ///
    /// If the binary is missing, or the server does not become healthy in time; the message ends with its log.
    pub fn start(dialect: Dialect) -> Self {
        Self::builder(dialect).start()
    }

    /// Settings for a server.
    pub fn builder(dialect: Dialect) -> ServerBuilder {
        ServerBuilder::new(dialect)
    }

    /// The dialect it was asked to speak.
    pub fn dialect(&self) -> Dialect {
        self.builder.dialect()
    }

    /// The version it is to be, as its dialect's link tells; see [`binaries::version`].
    pub fn version(&self) -> String {
        binaries::version(self.dialect())
    }

    /// Where clients reach it: `http://127.0.0.1:port`. The same after a restart.
    pub fn client_url(&self) -> &str {
        &self.client_url
    }

    /// Where clients reach it, as an address. The same after a restart.
    pub fn client_addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.client_port.number()))
    }

    /// Where other members reach it: `http://127.0.0.1:port`.
    pub fn peer_url(&self) -> String {
        self.peer_port.url()
    }

    /// The process id; `None` once it was killed or terminated, until it is restarted.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.builder
            .chosen_data_dir()
            .map_or_else(|| self.folder.path().join("data"), PathBuf::from)
    }

    /// Runs the server's own `etcdctl` against it: `server.etcdctl(["put", "key", "value"])`.
    pub fn etcdctl<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.etcdctl_with_input(args, b"")
    }

    /// Like [`etcdctl`](Self::etcdctl), with `input` as its standard input: `put key` reads the value there, any bytes.
    pub fn etcdctl_with_input<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Output {
        let mut command = self.etcdctl_command();
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        thread::scope(|scope| {
            // Beside the reading of its output, or two full pipes would wait for each other. It may end early.
            scope.spawn(move || drop(stdin.write_all(input)));
            child
                .wait_with_output()
                .expect("a child of ours can be waited for")
        })
    }

    /// The server's own `etcdctl` with its endpoint set, for uses that [`etcdctl`](Self::etcdctl) does not cover, such
    /// as `watch` and `lock`, which run until they are killed. Who spawns it kills it.
    pub fn etcdctl_command(&self) -> Command {
        let mut command = Command::new(binaries::etcdctl(self.dialect()));
        forget_etcd_settings(&mut command);
        command
            .env("ETCDCTL_API", "3")
            .env("ETCDCTL_ENDPOINTS", &self.client_url)
            .env("ETCDCTL_COMMAND_TIMEOUT", "60s");
        command
    }

    /// The current value of a metric, such as `etcd_debugging_mvcc_watcher_total`.
    ///
    /// A bare name adds up all its series; a name with labels, spelled as the server prints it, is that one series.
    /// `None` when the server has no such series (etcd shows a labelled one only after its first use).
    ///
    /// # Panics
    ///
    /// If the server does not answer in time, for example because it is frozen.
    pub fn metric(&self, name: &str) -> Option<f64> {
        // One answer may be late on a busy machine.
        let text = within(START_DEADLINE, || self.try_metrics());
        let text = text.unwrap_or_else(|why| panic!("no metrics from {self}: {why}"));
        metrics::value(&text, name)
    }

    /// Waits until a metric is as `is_wanted` says, for what the server does some time after it answered.
    ///
    /// # Panics
    ///
    /// If that does not happen in time.
    pub fn wait_for_metric(&self, name: &str, is_wanted: impl Fn(f64) -> bool) -> f64 {
        let value = within(START_DEADLINE, || {
            let value = metrics::value(&self.try_metrics()?, name);
            value
                .filter(|value| is_wanted(*value))
                .ok_or_else(|| format!("stayed at {value:?}"))
        });
        value.unwrap_or_else(|why| panic!("{name} of {self}: {why}"))
    }

    /// Stops it with SIGSTOP: its sockets stay open and accept connections, and nothing answers. Returns once it has
    /// stopped.
    pub fn freeze(&mut self) {
        self.process.freeze();
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&mut self) {
        self.process.thaw();
    }

    /// Kills it with SIGKILL, frozen or not; nothing to do when it does not run. Returns once it is gone. Its ports stay
    /// reserved and its data stays.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end, with SIGTERM, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.terminate()
    }

    /// Starts it on the same ports with the same data and waits until it is healthy. One that still runs is killed
    /// first.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn restart(&mut self) {
        self.spawn();
        self.wait_until_healthy();
    }

    /// Kills it, removes its data and starts it again: the same cluster by name, with nothing in it.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn restart_without_data(&mut self) {
        self.kill();
        let data = self.data_dir();
        fs::remove_dir_all(&data).unwrap_or_else(|e| panic!("cannot remove {}: {e}", data.display()));
        self.restart();
    }

    /// Asks whether a snapshot is one that a server can be restored from: `etcdctl snapshot status` reads the database,
    /// `restore` compares it with its SHA-256. Restored data goes into `folder`.
    pub fn takes_snapshot(&self, snapshot: &Path, folder: &Path) -> Result<(), String> {
        let status = self.etcdctl([
            OsStr::new("snapshot"),
            "status".as_ref(),
            snapshot.as_ref(),
            "-w".as_ref(),
            "json".as_ref(),
        ]);
        let said = String::from_utf8_lossy(&status.stdout);
        if !status.status.success() || !said.contains("\"totalKey\":") {
            return Err(format!("{status:?}"));
        }
        let restore = self.etcdctl([
            OsStr::new("snapshot"),
            "restore".as_ref(),
            snapshot.as_ref(),
            "--data-dir".as_ref(),
            folder.as_ref(),
        ]);
        if restore.status.success() {
            Ok(())
        } else {
            Err(format!("{restore:?}"))
        }
    }

    /// Starts it as [`restart`](Self::restart) does, without waiting: a member that has no quorum yet cannot become
    /// healthy.
    ///
    /// # Panics
    ///
    /// If the binary is missing, or [`forbid`] was called.
    pub fn spawn(&mut self) {
        assert!(
            !FORBIDDEN.load(Ordering::Relaxed),
            "a real server was asked for where none is to be used"
        );
        let mut command = vec![binaries::etcd(self.dialect()).into_os_string()];
        command.extend(self.args());
        self.process
            .start(&command, self.builder.environment(), &self.folder.log());
    }

    /// Waits until it says that it is healthy: it knows a leader and can read.
    ///
    /// # Panics
    ///
    /// If it ends or is not healthy in time; the message ends with its log.
    pub fn wait_until_healthy(&mut self) {
        if let Err(why) = self.try_wait_until_healthy() {
            panic!("{self} {why}; the end of its log:\n{}", self.log_tail());
        }
    }

    /// The last lines that it printed.
    pub fn log_tail(&self) -> String {
        self.folder.log_tail()
    }

    pub(crate) fn start_with(builder: &ServerBuilder) -> Self {
        start_on_free_ports(|| {
            let mut server = Self::prepare(builder.clone(), "default");
            server.spawn();
            let healthy = server.try_wait_until_healthy();
            (server, healthy)
        })
    }

    /// A server that has its ports and its folder and does not run yet.
    pub(crate) fn prepare(builder: ServerBuilder, name: &str) -> Self {
        let folder = Folder::new(builder.dialect().name());
        let client_port = ReservedPort::new();
        let peer_port = ReservedPort::new();
        Self {
            process: Process::new(folder.path()),
            name: name.to_owned(),
            initial_cluster: format!("{name}={}", peer_port.url()),
            joins: false,
            client_url: client_port.url(),
            client_port,
            peer_port,
            metrics_port: ReservedPort::new(),
            folder,
            builder,
        }
    }

    /// What a member is to be told about the members it starts with; `joins` if the others run already.
    pub(crate) fn set_initial_cluster(&mut self, members: &str, joins: bool) {
        members.clone_into(&mut self.initial_cluster);
        self.joins = joins;
    }

    /// `name=peer URL`, as `--initial-cluster` lists members.
    pub(crate) fn as_initial_member(&self) -> String {
        format!("{}={}", self.name, self.peer_url())
    }

    /// Like [`wait_until_healthy`](Self::wait_until_healthy), with the reason as a value.
    pub(crate) fn try_wait_until_healthy(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if let Some(status) = self.process.exit_status() {
                return Err(format!("ended ({status}) before it was healthy"));
            }
            let health = http::get(self.metrics_port.number(), "/health");
            match health {
                Ok((200, body)) if body.contains(r#""health":"true""#) => return Ok(()),
                _ if Instant::now() > deadline => {
                    return Err(format!("is not healthy after {START_DEADLINE:?}: {health:?}"));
                }
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Waits until it has heard which version the whole cluster has, as it tells other members.
    ///
    /// # Panics
    ///
    /// If it has not in time.
    pub(crate) fn wait_for_cluster_version(&self, at_most: Duration) {
        // Nor need it be able to answer at once, on a busy machine.
        let told = within(at_most, || match http::get(self.peer_port.number(), "/version") {
            Ok((200, body)) if !body.contains("not_decided") => Ok(()),
            answer => Err(format!("{answer:?}")),
        });
        told.unwrap_or_else(|answer| panic!("{self} tells no version of its cluster: {answer}"));
    }

    /// The text of `/metrics`, from the port that stays plain HTTP whatever the client port speaks.
    pub(crate) fn try_metrics(&self) -> Result<String, String> {
        match http::get(self.metrics_port.number(), "/metrics") {
            Ok((200, text)) => Ok(text),
            Ok((status, _)) => Err(format!("status {status}")),
            Err(e) => Err(e.to_string()),
        }
    }

    fn args(&self) -> impl Iterator<Item = OsString> {
        let flag = |name: &str, value: &dyn AsRef<OsStr>| {
            let mut flag = OsString::from(format!("--{name}="));
            flag.push(value);
            flag
        };
        let peer_url = self.peer_url();
        let fixed = [
            flag("name", &self.name),
            flag("data-dir", &self.data_dir()),
            flag("listen-client-urls", &self.client_url),
            flag("advertise-client-urls", &self.client_url),
            flag("listen-peer-urls", &peer_url),
            flag("initial-advertise-peer-urls", &peer_url),
            flag("initial-cluster", &self.initial_cluster),
            flag(
                "initial-cluster-state",
                &if self.joins { "existing" } else { "new" },
            ),
            flag("listen-metrics-urls", &self.metrics_port.url()),
            flag("logger", &"zap"),
        ];
        fixed.into_iter().chain(self.builder.own_args())
    }
}

/// Asks until there is an answer, or, when the time is over, why there is none.
fn within<T>(time: Duration, mut ask: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + time;
    loop {
        match ask() {
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
            answer => return answer,
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "etcd {} ({}) at {}",
            self.name,
            self.dialect(),
            self.client_url
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{self}, the end of its log:\n{}", self.log_tail());
        }
    }
}
