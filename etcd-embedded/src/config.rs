//! What can be set about an embedded server.

use std::time::Duration;

use crate::Dialect;

/// The settings of a [`Server`](crate::Server), named after etcd's flags. The defaults are etcd's.
///
/// ```
/// use std::time::Duration;
/// use etcd_embedded::{Config, Dialect};
///
/// let config = Config::new().dialect(Dialect::G1_16).auth_token_ttl(Duration::from_secs(6));
/// assert_eq!(config.name, "default");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Which server to behave like. Default [`Dialect::G2`].
    pub dialect: Dialect,
    /// The member's name. Default `default`.
    pub name: String,
    /// The URLs at which clients are told to reach the member. Default `http://localhost:2379`.
    pub client_urls: Vec<String>,
    /// The URLs at which peers would reach it. Default `http://localhost:2380`.
    pub peer_urls: Vec<String>,
    /// How many operations a branch of a transaction may have. Default 128.
    pub max_txn_ops: usize,
    /// How large a write may be, as protobuf. Default 1.5 MiB.
    pub max_request_bytes: usize,
    /// How large the database may grow before writes are refused, 0 for etcd's default of 2 GiB.
    pub quota_backend_bytes: u64,
    /// The smallest time to live of a lease, in seconds. Default 2, which follows from etcd's default election timeout
    /// of one second (`minTTL` in `server/etcdserver/server.go`).
    pub min_lease_ttl: i64,
    /// How long a token lives without being used. Default 300 s.
    pub auth_token_ttl: Duration,
    /// How often a watch that asks for it is told of progress. Default 10 minutes, plus up to a tenth.
    pub watch_progress_notify_interval: Duration,
    /// How often watches that lie behind are served. Default 100 ms.
    pub watch_resync_period: Duration,
}

/// etcd's default for [`Config::quota_backend_bytes`] (`DefaultQuotaBytes` in `server/storage/quota.go`).
pub(crate) const DEFAULT_QUOTA_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// What gRPC lets a message exceed [`Config::max_request_bytes`] by (`grpcOverheadBytes` in
/// `server/etcdserver/api/v3rpc/grpc.go`).
pub(crate) const GRPC_OVERHEAD_BYTES: usize = 512 * 1024;

impl Default for Config {
    fn default() -> Self {
        Self {
            dialect: Dialect::default(),
            name: "default".into(),
            client_urls: vec!["http://localhost:2379".into()],
            peer_urls: vec!["http://localhost:2380".into()],
            max_txn_ops: 128,
            max_request_bytes: 1536 * 1024,
            quota_backend_bytes: 0,
            min_lease_ttl: 2,
            auth_token_ttl: Duration::from_secs(300),
            watch_progress_notify_interval: Duration::from_secs(600),
            watch_resync_period: Duration::from_millis(100),
        }
    }
}

impl Config {
    /// etcd's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`dialect`](Self::dialect).
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Sets [`name`](Self::name).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets [`client_urls`](Self::client_urls).
    #[must_use]
    pub fn client_urls(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.client_urls = urls.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`peer_urls`](Self::peer_urls).
    #[must_use]
    pub fn peer_urls(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.peer_urls = urls.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`max_txn_ops`](Self::max_txn_ops).
    #[must_use]
    pub fn max_txn_ops(mut self, operations: usize) -> Self {
        self.max_txn_ops = operations;
        self
    }

    /// Sets [`max_request_bytes`](Self::max_request_bytes).
    #[must_use]
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// Sets [`quota_backend_bytes`](Self::quota_backend_bytes).
    #[must_use]
    pub fn quota_backend_bytes(mut self, bytes: u64) -> Self {
        self.quota_backend_bytes = bytes;
        self
    }

    /// Sets [`auth_token_ttl`](Self::auth_token_ttl).
    #[must_use]
    pub fn auth_token_ttl(mut self, ttl: Duration) -> Self {
        self.auth_token_ttl = ttl;
        self
    }

    /// Sets [`watch_progress_notify_interval`](Self::watch_progress_notify_interval).
    #[must_use]
    pub fn watch_progress_notify_interval(mut self, interval: Duration) -> Self {
        self.watch_progress_notify_interval = interval;
        self
    }

    pub(crate) fn quota(&self) -> u64 {
        match self.quota_backend_bytes {
            0 => DEFAULT_QUOTA_BYTES,
            bytes => bytes,
        }
    }
}
