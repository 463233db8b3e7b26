//! The suite on smol.

#![allow(clippy::unwrap_used)]

mod suite;

mod harness {
    use std::future::Future;

    pub(crate) fn runtime() -> impl anyetcd::Runtime + anyetcd::Connect + Clone {
        anyetcd::SmolRuntime::new()
    }

    pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
        smol::block_on(future)
    }
}
