//! How a client is to be.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use etcd_core::codec::Secret;
use etcd_core::endpoint::Endpoint;
use etcd_core::error::{InvalidArgument, Result};
use etcd_core::machine::{ClusterGuard, Credentials, EndpointRing, Session, WatchTimes};
use etcd_core::rpc::Limits;
use etcd_core::runtime::Runtime;
use etcd_core::transport::Transport;
#[cfg(feature = "http")]
use etcd_http::{Connect, HttpConfig, HttpTransport};
use http::HeaderValue;

use crate::Client;
use crate::client::Shared;
use crate::deadlines::Deadlines;
use crate::lease::Keeper;
use crate::watch::Connections;

/// A call must be over after this time: 10 s.
///
/// A server itself gives a request up after 7 s at its default settings (5 s and two election timeouts,
/// `server/config/config.go`, `ReqTimeout`); this leaves room for its answer. Go's client sets no deadline.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A call whose answer the server holds back until something happens (a lock, a campaign) must be over after
/// this time: 60 s, which is how long the lease of `etcdctl lock` lives.
pub const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// An endpoint that keeps silent for this long is left, if the call may be repeated and there is another: 3 s.
///
/// That is above what an election takes (1 to 2 s at default settings), so that a cluster that changes its
/// leader is not mistaken for a dead member.
pub const DEFAULT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// The largest answer that is taken: 256 MiB.
///
/// An etcd database holds 2 GiB by default and 8 GiB at most as recommended, and one range may return all of
/// it. Go's client takes 2 GiB (`client/v3/options.go`, `defaultClientMaxCallRecvMsgSize`). For more than this,
/// page: [`Call::pages`](crate::Call::pages).
pub const DEFAULT_MAX_RESPONSE_BYTES: usize = 256 * 1024 * 1024;

/// Sets how a [`Client`] is to be.
///
/// ```no_run
/// # async fn example() -> anyetcd::Result<()> {
/// use std::time::Duration;
/// use anyetcd::Client;
///
/// let client = Client::builder()
///     .endpoints(["http://10.0.0.1:2379", "http://10.0.0.2:2379"])
///     .credentials("root", "password")
///     .timeout(Duration::from_secs(3))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct ClientBuilder {
    endpoints: Vec<Endpoint>,
    /// Used if no other is named.
    default_endpoint: Option<Endpoint>,
    seams: Option<Seams>,
    #[cfg(feature = "http")]
    http: HttpConfig,
    login: Login,
    user_agent: String,
    settings: Settings,
    /// What the first setter that cannot be followed was told.
    refused: Option<InvalidArgument>,
}

enum Login {
    None,
    Credentials(Credentials),
    Token(Secret),
}

/// Where runtime and transport come from.
enum Seams {
    Both(Arc<dyn Runtime>, Arc<dyn Transport>),
    #[cfg(feature = "http")]
    Http(Arc<dyn Runtime>, MakeTransport),
}

#[cfg(feature = "http")]
pub(crate) type MakeTransport = Box<dyn FnOnce(HttpConfig) -> Arc<dyn Transport> + Send>;

/// What holds for the calls of a client.
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    pub(crate) wait_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) watch_times: WatchTimes,
    pub(crate) max_response_bytes: usize,
    pub(crate) limits: Limits,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) credentials: Option<Credentials>,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            endpoints: Vec::new(),
            default_endpoint: None,
            seams: None,
            #[cfg(feature = "http")]
            http: HttpConfig::new(),
            login: Login::None,
            user_agent: concat!("anyetcd/", env!("CARGO_PKG_VERSION")).to_owned(),
            settings: Settings {
                timeout: DEFAULT_TIMEOUT,
                wait_timeout: DEFAULT_WAIT_TIMEOUT,
                attempt_timeout: DEFAULT_ATTEMPT_TIMEOUT,
                watch_times: WatchTimes::default(),
                max_response_bytes: DEFAULT_MAX_RESPONSE_BYTES,
                limits: Limits::default(),
                user_agent: None,
                credentials: None,
            },
            refused: None,
        }
    }

    /// Adds an endpoint: `http://host:port`, or `host:port`, or `host`.
    ///
    /// Calls go to the first one, and to the next when one fails.
    pub fn endpoint<E>(mut self, endpoint: E) -> Self
    where
        E: TryInto<Endpoint>,
        E::Error: Into<InvalidArgument>,
    {
        match endpoint.try_into() {
            Ok(endpoint) => self.endpoints.push(endpoint),
            Err(refused) => self.refuse(refused.into()),
        }
        self
    }

    /// Adds endpoints; see [`endpoint`](Self::endpoint).
    pub fn endpoints<E>(self, endpoints: impl IntoIterator<Item = E>) -> Self
    where
        E: TryInto<Endpoint>,
        E::Error: Into<InvalidArgument>,
    {
        endpoints.into_iter().fold(self, Self::endpoint)
    }

    /// Names the runtime. Default: the one that the client is made in, see [`Client::connect`].
    ///
    /// ```
    /// # #[cfg(feature = "smol")]
    /// let client = anyetcd::Client::builder()
    ///     .endpoint("http://127.0.0.1:2379")
    ///     .runtime(anyetcd::SmolRuntime::new())
    ///     .build();
    /// ```
    #[cfg(feature = "http")]
    pub fn runtime<R: Runtime + Connect + Clone>(mut self, runtime: R) -> Self {
        let shared: Arc<dyn Runtime> = Arc::new(runtime.clone());
        let for_transport = shared.clone();
        self.seams = Some(Seams::Http(
            shared,
            Box::new(move |config| Arc::new(HttpTransport::new(runtime, for_transport, config))),
        ));
        self
    }

    /// Brings a transport, and the runtime that keeps its time, instead of this crate's HTTP engine.
    ///
    /// The [`http`](Self::http) settings do not apply to it.
    pub fn transport(mut self, runtime: Arc<dyn Runtime>, transport: Arc<dyn Transport>) -> Self {
        self.seams = Some(Seams::Both(runtime, transport));
        self
    }

    /// Makes a client of an etcd in this process, on that one's runtime: no socket, no endpoint. Several clients may
    /// share one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// use anyetcd::Client;
    /// use anyetcd::embedded::{self, Config, Dialect};
    ///
    /// let server = embedded::start(Config::new().dialect(Dialect::G1_16))?;
    /// let writer = Client::builder().embedded(&server).build()?;
    /// let reader = Client::builder().embedded(&server).build()?;
    /// writer.put("key", "value").await?;
    /// assert_eq!(reader.get("key").await?.count, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "embedded")]
    pub fn embedded(mut self, server: &etcd_embedded::EmbeddedTransport) -> Self {
        let endpoint = etcd_embedded::EMBEDDED_ENDPOINT.parse();
        self.default_endpoint = Some(endpoint.expect("the constant is an endpoint, and a doctest uses it"));
        self.transport(server.runtime().clone(), Arc::new(server.clone()))
    }

    /// Sets how HTTP behaves: connections, their limits, times and sizes.
    #[cfg(feature = "http")]
    pub fn http(mut self, config: HttpConfig) -> Self {
        self.http = config;
        self
    }

    /// Logs in with a name and password: before the first call, and again whenever a server no longer accepts
    /// the token. Where authentication is switched off, calls are made without one.
    pub fn credentials(mut self, name: impl Into<String>, password: impl Into<Secret>) -> Self {
        let (name, password) = (name.into(), password.into());
        if name.is_empty() {
            self.refuse(InvalidArgument::EmptyName { what: "user" });
        }
        self.set_login(Login::Credentials(Credentials { name, password }));
        self
    }

    /// Uses a token from elsewhere, a JWT for instance, as it is. It is not renewed.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.set_login(Login::Token(token.into()));
        self
    }

    /// How long a call may take. Default [`DEFAULT_TIMEOUT`]; for one call, [`Call::timeout`](crate::Call::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How long a call may take that waits for something to happen: a lock, a campaign. Default
    /// [`DEFAULT_WAIT_TIMEOUT`].
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.settings.wait_timeout = timeout;
        self
    }

    /// How long an endpoint may keep silent before a call that may be repeated tries another. Default
    /// [`DEFAULT_ATTEMPT_TIMEOUT`].
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.settings.attempt_timeout = timeout;
        self
    }

    /// How long nothing may be heard on the connection of the watches before the server is asked whether it is there,
    /// and half as long again until it is left. Default 10 s, and so 15 s in all; between 100 ms and a day. A server that
    /// answers whenever a stream is opened, and then falls silent, gets ever more of that half, up to 16 times: a gateway
    /// says nothing while it puts a long history into one line.
    pub fn watch_idle_timeout(mut self, timeout: Duration) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let idle = timeout.clamp(Duration::from_millis(100), DAY);
        let times = &mut self.settings.watch_times;
        (times.idle, times.patience, times.idle_single) = (idle, idle / 2, idle * 6);
        self
    }

    /// How large an answer may be, in bytes of its JSON form. Default [`DEFAULT_MAX_RESPONSE_BYTES`].
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_response_bytes = bytes;
        self
    }

    /// How many operations a branch of a transaction may have, if the servers' `--max-txn-ops` is not the default
    /// of [`MAX_TXN_OPS`](crate::message::MAX_TXN_OPS).
    pub fn max_txn_ops(mut self, operations: usize) -> Self {
        self.settings.limits.max_txn_ops = operations;
        self
    }

    /// What the client calls itself. Default `anyetcd/` and its version.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Makes the client, and waits until one endpoint answers.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and whatever keeps the last endpoint from answering in time. A wrong password is
    /// found here; what a user is not permitted to do is found by the calls that try.
    pub async fn connect(self) -> Result<Client> {
        let client = self.build()?;
        client.answer().await?;
        Ok(client)
    }

    /// Makes the client without sending anything: the first call connects.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`] if a setting cannot be followed, an endpoint not used, or no runtime be found.
    pub fn build(mut self) -> Result<Client> {
        if let Some(refused) = self.refused {
            return Err(refused.into());
        }
        let user_agent =
            HeaderValue::from_str(&self.user_agent).map_err(|_| InvalidArgument::HeaderValue {
                what: "the user agent",
            })?;
        self.settings.user_agent = Some(user_agent);
        let session = match self.login {
            Login::None => Session::anonymous(),
            Login::Token(token) => Session::with_token(&token)?,
            Login::Credentials(credentials) => {
                self.settings.credentials = Some(credentials);
                Session::with_login()
            }
        };
        let seams = match self.seams {
            Some(seams) => seams,
            None => current_seams().ok_or(InvalidArgument::NoRuntime)?,
        };
        let (runtime, transport) = match seams {
            Seams::Both(runtime, transport) => (runtime, transport),
            #[cfg(feature = "http")]
            Seams::Http(runtime, make) => {
                // This crate's own engine speaks plain HTTP only.
                if self.endpoints.iter().any(Endpoint::is_https) {
                    return Err(etcd_core::error::InvalidEndpoint::NeedsTls.into());
                }
                (runtime, make(self.http))
            }
        };
        if self.endpoints.is_empty() {
            self.endpoints.extend(self.default_endpoint);
        }
        let ring =
            EndpointRing::new(self.endpoints).ok_or(InvalidArgument::EmptyList { what: "endpoint" })?;
        Ok(Client {
            shared: Arc::new(Shared {
                deadlines: Deadlines::new(runtime.clone()),
                keeper: Keeper::new(self.settings.attempt_timeout),
                runtime,
                transport,
                settings: self.settings,
                ring: Mutex::new(ring),
                session: Mutex::new(session),
                guard: Mutex::new(ClusterGuard::new()),
                login: futures_util::lock::Mutex::new(()),
                refusals: Mutex::default(),
                watches: Connections::default(),
            }),
        })
    }

    fn set_login(&mut self, login: Login) {
        if !matches!(self.login, Login::None) {
            self.refuse(InvalidArgument::Conflict {
                first: "credentials",
                second: "another login",
            });
        }
        self.login = login;
    }

    fn refuse(&mut self, reason: InvalidArgument) {
        self.refused.get_or_insert(reason);
    }
}

/// Of the runtime that runs here.
fn current_seams() -> Option<Seams> {
    #[cfg(feature = "http")]
    return crate::runtime::current().map(|(runtime, make)| Seams::Http(runtime, make));
    #[cfg(not(feature = "http"))]
    None
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}
