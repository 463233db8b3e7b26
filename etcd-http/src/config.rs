//! What can be set, and what holds when nothing is.

use std::time::Duration;

/// At most this many connections to one endpoint carry requests at once.
///
/// Go's `http.Transport` keeps up to 100 idle connections (`MaxIdleConns` of `DefaultTransport`); etcd's
/// gateway gives its full throughput from about 16 on.
pub const DEFAULT_MAX_CONNECTIONS: usize = 100;

/// At most this many connections to one endpoint are kept while nobody uses them.
///
/// The same as [`DEFAULT_MAX_CONNECTIONS`]: what a burst opened, the next burst finds.
pub const DEFAULT_MAX_IDLE: usize = 100;

/// A connection unused for this long is closed: `IdleConnTimeout` of Go's `DefaultTransport`, 90 s.
pub const DEFAULT_IDLE_TIME: Duration = Duration::from_secs(90);

/// Resolving and connecting may take this long together.
///
/// etcdctl's `--dial-timeout` is 2 s, the examples of Go's clientv3 use 5 s, Go's `net.Dialer` in
/// `DefaultTransport` 30 s.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection without traffic is probed after this time: `KeepAlive` of Go's `net.Dialer`, 15 s.
pub const DEFAULT_TCP_KEEPALIVE: Duration = Duration::from_secs(15);

/// A response head may be this large, in bytes.
///
/// An etcd gateway sends well below 1 KiB. Node accepts 16 KiB, curl 300 KiB, Go's `http.Transport` 10 MiB.
pub const DEFAULT_HEAD_LIMIT: usize = 64 * 1024;

/// How an [`HttpTransport`](crate::HttpTransport) behaves.
///
/// ```
/// use std::time::Duration;
/// use etcd_http::{HttpConfig, PoolConfig};
///
/// let config = HttpConfig::new()
///     .connect_timeout(Duration::from_secs(2))
///     .pool(PoolConfig::new().max_connections(16));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct HttpConfig {
    pub(crate) connect_timeout: Duration,
    pub(crate) head_limit: usize,
    pub(crate) socket: SocketOptions,
    pub(crate) pool: PoolConfig,
}

impl HttpConfig {
    /// The defaults: each is a constant of this crate that says where it comes from.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            head_limit: DEFAULT_HEAD_LIMIT,
            socket: SocketOptions {
                nodelay: true,
                keepalive: Some(DEFAULT_TCP_KEEPALIVE),
            },
            pool: PoolConfig::new(),
        }
    }

    /// How long resolving and connecting may take together; [`DEFAULT_CONNECT_TIMEOUT`].
    ///
    /// Waiting for a place in the pool does not count.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How large a response head, or the trailers, may be, in bytes; [`DEFAULT_HEAD_LIMIT`].
    ///
    /// A head may have 100 fields at most, whatever this limit (hyper's own).
    #[must_use]
    pub const fn head_limit(mut self, bytes: usize) -> Self {
        self.head_limit = bytes;
        self
    }

    /// Whether small writes go out at once (`TCP_NODELAY`); on.
    ///
    /// Off, Nagle's algorithm and the peer's delayed acknowledgement cost some 40 ms a request.
    #[must_use]
    pub const fn tcp_nodelay(mut self, nodelay: bool) -> Self {
        self.socket.nodelay = nodelay;
        self
    }

    /// After how long without traffic the kernel probes a connection, `None` for never;
    /// [`DEFAULT_TCP_KEEPALIVE`].
    #[must_use]
    pub const fn tcp_keepalive(mut self, idle: Option<Duration>) -> Self {
        self.socket.keepalive = idle;
        self
    }

    /// Limits on connections.
    #[must_use]
    pub const fn pool(mut self, pool: PoolConfig) -> Self {
        self.pool = pool;
        self
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Limits on the connections to one endpoint (one `host:port`).
#[derive(Clone, Debug)]
pub struct PoolConfig {
    pub(crate) max_connections: usize,
    pub(crate) max_idle: usize,
    pub(crate) idle_time: Duration,
}

impl PoolConfig {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_idle: DEFAULT_MAX_IDLE,
            idle_time: DEFAULT_IDLE_TIME,
        }
    }

    /// How many connections may be open at once, at least 1; [`DEFAULT_MAX_CONNECTIONS`].
    ///
    /// Further requests wait for their turn, first come, first served. Requests with a streamed body and those
    /// marked [`LongLived`](etcd_core::transport::LongLived) have connections of their own, outside this limit.
    #[must_use]
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = if connections == 0 { 1 } else { connections };
        self
    }

    /// How many connections are kept while unused; [`DEFAULT_MAX_IDLE`]. 0 closes each after its exchange.
    #[must_use]
    pub const fn max_idle(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// How long an unused connection is kept; [`DEFAULT_IDLE_TIME`].
    #[must_use]
    pub const fn idle_time(mut self, time: Duration) -> Self {
        self.idle_time = time;
        self
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What an adapter sets on a socket it has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// `TCP_NODELAY`.
    pub nodelay: bool,
    /// `SO_KEEPALIVE` with this time before the first probe; `None` leaves it off.
    pub keepalive: Option<Duration>,
}
