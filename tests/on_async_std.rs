//! The suite on async-std.

#![allow(clippy::unwrap_used)]

macro_rules! real_servers_only {
    ($($item:tt)*) => { $($item)* };
}

mod suite;

mod harness {
    use std::future::Future;

    pub(crate) use etcd_process::{Server, shared};

    pub(crate) fn runtime() -> impl anyetcd::Runtime + anyetcd::Connect + Clone {
        anyetcd::AsyncStdRuntime::new()
    }

    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        async_std::task::block_on(future)
    }

    pub(crate) fn reach_shared(client: anyetcd::ClientBuilder, server: &Server) -> anyetcd::ClientBuilder {
        client.endpoint(server.client_url())
    }
}
