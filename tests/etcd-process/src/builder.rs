use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Dialect, Server};

/// Settings of a server that is to start. Made by [`Server::builder`].
///
/// What makes a server slow and does not matter to a client is turned down: data is not synced to disk
/// ([`fsync`](Self::fsync)), and passwords are hashed with the smallest cost. Dialect g1.16's server commits every write by
/// itself, or it would lose some when it is killed.
///
/// ```no_run
/// # use etcd_process::{Dialect, Server};
/// let server = Server::builder(Dialect::G2).max_txn_ops(256).quota_backend_bytes(16 << 20).start();
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder starts nothing until `start`"]
pub struct ServerBuilder {
    dialect: Dialect,
    data_dir: Option<PathBuf>,
    fsync: bool,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl ServerBuilder {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let args = vec!["--bcrypt-cost=4".into()];
        Self {
            dialect,
            data_dir: None,
            fsync: false,
            args,
            environment: Vec::new(),
        }
    }

    /// Starts the server and waits until it is healthy.
    ///
    /// # Panics
    ///
    /// If the binary is missing, or the server does not become healthy in time; the message ends with its log.
    pub fn start(self) -> Server {
        Server::start_with(&self)
    }

    /// Adds one argument, such as `--enable-grpc-gateway=false`. A later one wins over an earlier one and over the
    /// other settings here.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments; see [`arg`](Self::arg).
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable of the server. Of the test's own environment, it gets all but `ETCD*`.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Keeps the data in `path`, which is left alone when the server is dropped, so that another server can go on with
    /// it. By default the data is in a temporary folder that goes with the server.
    ///
    /// Not for a cluster, whose members cannot share one.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Whether each write reaches the disk before it is answered. Off by default: that only matters when the machine
    /// fails, not when the server is killed.
    pub fn fsync(mut self, fsync: bool) -> Self {
        self.fsync = fsync;
        self
    }

    /// The kind of auth tokens: `simple` (the default) or `jwt,pub-key=…,priv-key=…,sign-method=…`.
    pub fn auth_token(self, kind: &str) -> Self {
        self.arg(format!("--auth-token={kind}"))
    }

    /// How long a simple auth token lives without being used, in whole seconds; etcd's default is 300.
    pub fn auth_token_ttl(self, ttl: Duration) -> Self {
        self.arg(format!("--auth-token-ttl={}", ttl.as_secs()))
    }

    /// The size of the database in bytes above which the server raises its `NOSPACE` alarm; etcd's default is 2 GiB.
    pub fn quota_backend_bytes(self, bytes: u64) -> Self {
        self.arg(format!("--quota-backend-bytes={bytes}"))
    }

    /// How many operations one transaction may hold; etcd's default is 128.
    pub fn max_txn_ops(self, ops: u32) -> Self {
        self.arg(format!("--max-txn-ops={ops}"))
    }

    /// How many bytes one request may have; etcd's default is 1.5 MiB.
    pub fn max_request_bytes(self, bytes: u32) -> Self {
        self.arg(format!("--max-request-bytes={bytes}"))
    }

    /// How long an idle watch waits for a progress notification; etcd's default is 10 minutes.
    pub fn watch_progress_notify_interval(self, interval: Duration) -> Self {
        self.arg(format!(
            "--experimental-watch-progress-notify-interval={}ms",
            interval.as_millis()
        ))
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn chosen_data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    pub(crate) fn environment(&self) -> &[(OsString, OsString)] {
        &self.environment
    }

    /// The arguments that do not depend on ports, folders and names.
    pub(crate) fn own_args(&self) -> impl Iterator<Item = OsString> {
        // etcd 3.4.23 takes it too, although its `--help` does not tell.
        let skip_fsync = (!self.fsync).then(|| OsString::from("--unsafe-no-fsync"));
        // Every write is committed with what notes it, and nothing else is left to commit.
        let commit_each = self.dialect.forgets_when_killed();
        let commit_each = commit_each.then(|| OsString::from("--backend-batch-limit=1"));
        let fixed = skip_fsync.into_iter().chain(commit_each);
        fixed.chain(self.args.iter().cloned())
    }
}
