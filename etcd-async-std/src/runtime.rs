//! Spawn, sleep, now, entropy.

use std::sync::Arc;
use std::time::Instant;

use async_std::task;
use etcd_core::runtime::{BoxFuture, Runtime};
use etcd_http::{HttpConfig, HttpTransport};

/// async-std's runtime, of which a process has one; it starts with its first use.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStdRuntime {
    _private: (),
}

impl AsyncStdRuntime {
    /// The runtime of this process.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }

    /// The runtime, if this is called in one of its tasks.
    #[must_use]
    pub fn current() -> Option<Self> {
        task::try_current().map(|_| Self::new())
    }

    /// A transport on this runtime.
    #[must_use]
    pub fn transport(&self, config: HttpConfig) -> HttpTransport<Self> {
        HttpTransport::new(*self, Arc::new(*self), config)
    }
}

impl Runtime for AsyncStdRuntime {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        task::spawn(task);
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(task::sleep(deadline.saturating_duration_since(Instant::now())))
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn entropy(&self) -> u64 {
        fastrand::u64(..)
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        task::spawn_blocking(work);
    }
}
