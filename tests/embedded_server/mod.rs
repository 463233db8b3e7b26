//! The embedded etcd with the face of a server process: what the suite does to `etcd_process::Server`, it does to this.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use anyetcd::embedded::{self, Config, EmbeddedTransport};
use etcd_core::rpc::rows;
use etcd_embedded::listen::HttpServer;
use etcd_process::{Dialect, ReservedPort};

/// What has not happened by then does not happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long a server that was killed stays away at least, as a process would that has to start. In that time clients hear
/// that their connections are gone: a write on one of which they have not heard would rightly be in doubt, and no behaviour
/// here is about that moment.
const AWAY: Duration = Duration::from_millis(300);

/// Ids of clusters and members follow from it: a server that lost its data keeps them, as a real one keeps those that
/// follow from its name and URLs.
const SEED: u64 = 42;

/// An embedded etcd that listens.
#[derive(Debug)]
pub(crate) struct Server {
    config: Config,
    seed: u64,
    url: String,
    http: HttpServer,
    /// When it was killed.
    killed: Option<Instant>,
    _port: ReservedPort,
}

/// Settings of a server that is to start.
#[derive(Clone, Debug)]
pub(crate) struct ServerBuilder(Config);

/// The server that all tests of this process share.
pub(crate) fn shared(dialect: Dialect) -> &'static Server {
    static SERVERS: [OnceLock<Server>; 3] = [const { OnceLock::new() }; 3];
    let place = Dialect::ALL.iter().position(|each| *each == dialect).unwrap();
    SERVERS[place].get_or_init(|| Server::builder(dialect).start())
}

impl Server {
    pub(crate) fn builder(dialect: Dialect) -> ServerBuilder {
        let dialect = match dialect {
            Dialect::G1_6 => embedded::Dialect::G1_6,
            Dialect::G1_16 => embedded::Dialect::G1_16,
            Dialect::G2 => embedded::Dialect::G2,
        };
        ServerBuilder(Config::new().dialect(dialect))
    }

    pub(crate) fn version(&self) -> String {
        self.config.dialect.server_version().to_owned()
    }

    pub(crate) fn client_url(&self) -> &str {
        &self.url
    }

    pub(crate) fn client_addr(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// The way to it without a socket.
    pub(crate) fn transport(&self) -> &EmbeddedTransport {
        self.http.transport()
    }

    /// What a real server meters under that name.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let count = match name {
            "etcd_debugging_mvcc_watcher_total" => {
                self.transport().inspect(embedded::Server::watch_count) as u64
            }
            "etcd_debugging_mvcc_watch_stream_total" => {
                self.transport().inspect(embedded::Server::watch_stream_count) as u64
            }
            "process_open_fds" => self.http.connection_count() as u64,
            name if name.starts_with("grpc_server_started_total{grpc_method=\"Authenticate\"") => self
                .transport()
                .inspect(|server| server.calls_begun(&rows::AUTHENTICATE)),
            name => panic!("an embedded server does not count {name}"),
        };
        Some(count as f64)
    }

    pub(crate) fn wait_for_metric(&self, name: &str, is_wanted: impl Fn(f64) -> bool) -> f64 {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.metric(name) {
                Some(value) if is_wanted(value) => return value,
                value => assert!(Instant::now() < deadline, "{name} stayed at {value:?}"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn freeze(&mut self) {
        self.http.freeze();
    }

    pub(crate) fn thaw(&mut self) {
        self.http.thaw();
    }

    pub(crate) fn kill(&mut self) {
        self.http.kill();
        self.killed.get_or_insert_with(Instant::now);
    }

    pub(crate) fn restart(&mut self) {
        self.stay_away();
        self.http.restart().unwrap();
    }

    pub(crate) fn restart_without_data(&mut self) {
        self.stay_away();
        self.http = serve(self.client_addr(), &self.config, self.seed).unwrap();
    }

    fn stay_away(&mut self) {
        self.kill();
        let killed = self.killed.take().unwrap();
        thread::sleep(AWAY.saturating_sub(killed.elapsed()));
    }

    pub(crate) fn takes_snapshot(&self, snapshot: &Path, _: &Path) -> Result<(), String> {
        let bytes = std::fs::read(snapshot).unwrap();
        let restored = embedded::Server::restore(self.config.clone(), Instant::now(), SEED, &bytes);
        restored.map(drop).map_err(|error| error.to_string())
    }
}

impl ServerBuilder {
    /// Takes those arguments of etcd that matter here.
    pub(crate) fn args<'a>(self, args: impl IntoIterator<Item = &'a str>) -> Self {
        args.into_iter().fold(self, |mut builder, arg| {
            match arg.split_once('=') {
                Some(("--election-timeout", millis)) => {
                    // `minTTL` in `server/etcdserver/server.go`: one and a half election timeouts, in whole seconds.
                    let millis: u64 = millis.parse().unwrap();
                    builder.0.min_lease_ttl = i64::try_from((millis * 3 / 2).div_ceil(1000)).unwrap();
                }
                // There is nobody to hear it.
                Some(("--heartbeat-interval", _)) => {}
                Some(("--experimental-watch-progress-notify-interval", interval)) => {
                    let millis = interval.strip_suffix("ms").unwrap().parse().unwrap();
                    builder.0.watch_progress_notify_interval = Duration::from_millis(millis);
                }
                _ => panic!("an embedded server does not know {arg}"),
            }
            builder
        })
    }

    pub(crate) fn auth_token_ttl(self, ttl: Duration) -> Self {
        Self(self.0.auth_token_ttl(ttl))
    }

    pub(crate) fn quota_backend_bytes(self, bytes: u64) -> Self {
        Self(self.0.quota_backend_bytes(bytes))
    }

    pub(crate) fn max_txn_ops(self, ops: usize) -> Self {
        Self(self.0.max_txn_ops(ops))
    }

    pub(crate) fn start(self) -> Server {
        let port = ReservedPort::new();
        let url = port.url();
        let config = self.0.client_urls([&url]);
        let seed = SEED + u64::from(port.number());
        let http = serve(SocketAddr::from(([127, 0, 0, 1], port.number())), &config, seed);
        Server {
            http: http.unwrap_or_else(|error| panic!("cannot serve at {url}: {error}")),
            config,
            seed,
            url,
            killed: None,
            _port: port,
        }
    }
}

fn serve(address: SocketAddr, config: &Config, seed: u64) -> std::io::Result<HttpServer> {
    let listener = TcpListener::bind(address)?;
    HttpServer::serve([listener], |runtime| {
        embedded::Server::new(config.clone(), runtime.now(), seed)
    })
}
