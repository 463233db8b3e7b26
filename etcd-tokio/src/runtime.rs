//! Spawn, sleep, now, entropy.

use std::sync::Arc;
use std::time::Instant;

use etcd_core::runtime::{BoxFuture, Runtime};
use etcd_http::{HttpConfig, HttpTransport};
use tokio::runtime::Handle;

/// A Tokio runtime.
///
/// Its time and I/O drivers must be enabled (`Builder::enable_all`, `#[tokio::main]`); Tokio panics without them.
/// What this returns may be awaited anywhere, on another executor too, as long as the runtime runs.
#[derive(Clone, Debug)]
pub struct TokioRuntime {
    handle: Handle,
}

impl TokioRuntime {
    /// The runtime that `handle` belongs to.
    #[must_use]
    pub const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// The runtime that this is called in, `None` outside of any.
    #[must_use]
    pub fn current() -> Option<Self> {
        Handle::try_current().ok().map(Self::new)
    }

    /// A transport on this runtime.
    #[must_use]
    pub fn transport(&self, config: HttpConfig) -> HttpTransport<Self> {
        HttpTransport::new(self.clone(), Arc::new(self.clone()), config)
    }

    /// The runtime's handle.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Runtime for TokioRuntime {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.handle.spawn(task);
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        let _context = self.handle.enter();
        Box::pin(tokio::time::sleep_until(deadline.into()))
    }

    fn now(&self) -> Instant {
        // Tokio's own, so that a paused clock (`tokio::time::pause`) stops here as well.
        tokio::time::Instant::now().into_std()
    }

    fn entropy(&self) -> u64 {
        fastrand::u64(..)
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.handle.spawn_blocking(work);
    }
}
