//! What the clients run on.

use std::future::Future;

/// A runtime that anyetcd has an adapter for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Tokio.
    Tokio(Tokio),
    /// async-std, with the threads it has by default.
    AsyncStd,
    /// smol, with the thread it has by default.
    Smol,
}

/// A Tokio runtime as `#[tokio::main]` makes it, or one that stays on its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokio {
    /// With as many threads as the machine has cores.
    MultiThread,
    /// On the thread that calls it.
    CurrentThread,
}

impl Runtime {
    /// What tables call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokio(tokio) => tokio.name(),
            Self::AsyncStd => "async-std",
            Self::Smol => "smol",
        }
    }

    /// The Tokio runtime that has as many threads, or the one that `#[tokio::main]` makes.
    #[must_use]
    pub fn nearest_tokio(self) -> Tokio {
        match self {
            Self::Tokio(tokio) => tokio,
            Self::AsyncStd | Self::Smol => Tokio::MultiThread,
        }
    }

    /// Runs `work` to its end.
    pub fn block_on<T>(self, work: impl Future<Output = T>) -> T {
        match self {
            Self::Tokio(tokio) => tokio.block_on(work),
            Self::AsyncStd => async_std::task::block_on(work),
            Self::Smol => smol::block_on(work),
        }
    }
}

impl Tokio {
    /// What tables call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MultiThread => "tokio",
            Self::CurrentThread => "tokio-1-thread",
        }
    }

    /// Runs `work` to its end.
    pub fn block_on<T>(self, work: impl Future<Output = T>) -> T {
        let runtime = match self {
            Self::MultiThread => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
            Self::CurrentThread => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        };
        runtime.expect("a Tokio runtime starts").block_on(work)
    }
}
