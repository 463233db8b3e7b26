//! The suite on Tokio.

#![allow(clippy::unwrap_used)]

macro_rules! real_servers_only {
    ($($item:tt)*) => { $($item)* };
}

mod suite;

mod harness {
    use std::future::Future;

    pub(crate) use etcd_process::{Server, shared};

    thread_local! {
        /// One a test: a test is a thread.
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    }

    pub(crate) fn runtime() -> impl anyetcd::Runtime + anyetcd::Connect + Clone {
        RUNTIME.with(|runtime| anyetcd::TokioRuntime::new(runtime.handle().clone()))
    }

    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        RUNTIME.with(|runtime| runtime.block_on(future))
    }

    pub(crate) fn reach_shared(client: anyetcd::ClientBuilder, server: &Server) -> anyetcd::ClientBuilder {
        client.endpoint(server.client_url())
    }
}
