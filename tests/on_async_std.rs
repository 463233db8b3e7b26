//! The suite on async-std.

#![allow(clippy::unwrap_used)]

mod suite;

mod harness {
    use std::future::Future;

    pub(crate) fn runtime() -> impl anyetcd::Runtime + anyetcd::Connect + Clone {
        anyetcd::AsyncStdRuntime::new()
    }

    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        async_std::task::block_on(future)
    }
}
