//! The suite on the embedded etcd, over Tokio.
//!
//! The server that behaviours share is reached without a socket, as unit tests of users reach theirs; those that are
//! disturbed listen on one. What is not mounted says why in the suite's list.

#![allow(clippy::unwrap_used)]

macro_rules! real_servers_only {
    ($($item:tt)*) => {};
}

mod embedded_server;
// Behaviours that are not mounted lie beside some that are.
#[allow(dead_code)]
mod suite;

mod harness {
    use std::future::Future;
    use std::sync::Arc;

    pub(crate) use crate::embedded_server::{Server, shared};

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

    /// The first thing that a behaviour does.
    pub(crate) fn reach_shared(client: anyetcd::ClientBuilder, server: &Server) -> anyetcd::ClientBuilder {
        // One that starts a real server proves nothing here.
        etcd_process::forbid();
        client
            .endpoint(server.client_url())
            .transport(Arc::new(runtime()), Arc::new(server.transport().clone()))
    }
}
