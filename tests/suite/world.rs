//! What a behaviour runs in.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyetcd::{Client, ClientBuilder, Runtime as _};
use etcd_process::Dialect;

use super::Server;
use crate::harness::shared;

/// A client of one dialect's server, and names that no other behaviour uses.
pub(crate) struct World {
    pub(crate) dialect: Dialect,
    pub(crate) client: Client,
    prefix: String,
}

impl World {
    pub(crate) fn new(dialect: Dialect) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self {
            dialect,
            client: crate::harness::reach_shared(Self::builder(), shared(dialect))
                .build()
                .expect("a server's own URL is an endpoint"),
            prefix: format!("behaviour/{}/", NEXT.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// The server that behaviours share. It must not be disturbed: no auth, no alarms, no compaction past what
    /// others read.
    pub(crate) fn server(&self) -> &'static Server {
        shared(self.dialect)
    }

    /// A key, or a prefix, that is this behaviour's alone.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A server of this behaviour's own, to be disturbed as it likes.
    pub(crate) fn own_server(&self) -> Server {
        // The only member waits an election timeout before it elects itself, a second by default.
        let soon = ["--heartbeat-interval=20", "--election-timeout=100"];
        Server::builder(self.dialect).args(soon).start()
    }

    /// A client of any server, on this harness's runtime.
    pub(crate) fn client_of(server: &Server) -> Client {
        Self::builder()
            .endpoint(server.client_url())
            .build()
            .expect("a server's own URL is an endpoint")
    }

    /// A client as it is configured by default, without endpoints, on this harness's runtime.
    pub(crate) fn builder() -> ClientBuilder {
        Client::builder().runtime(crate::harness::runtime())
    }

    /// Waits until `condition` holds, asking again and again, for what a server does some time after it answered.
    ///
    /// A condition that never holds ends with the behaviour itself, as one that hangs.
    pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
        while !condition().await {
            Self::pause(Duration::from_millis(5)).await;
        }
    }

    /// Lets others go on for a while. Not a way to wait for something: see [`until`](Self::until).
    pub(crate) async fn pause(time: Duration) {
        crate::harness::runtime().sleep_until(Instant::now() + time).await;
    }
}
