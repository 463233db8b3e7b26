//! The suite on Tokio.

#![allow(clippy::unwrap_used)]

mod suite;

mod harness {
    use std::future::Future;

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
}
