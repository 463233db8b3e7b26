//! What a behaviour runs in.

use std::sync::atomic::{AtomicU32, Ordering};

use anyetcd::{Client, ClientBuilder};
use etcd_process::{Dialect, Server, shared};

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
            client: Self::client_of(shared(dialect)),
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
        Server::start(self.dialect)
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
}
