//! Spawn, sleep, now, entropy.

use std::sync::Arc;
use std::time::Instant;

use etcd_core::runtime::{BoxFuture, Runtime};
use etcd_http::{HttpConfig, HttpTransport};
use smol::{Executor, Timer};

/// smol's reactor and timers, with its global executor or one of your own.
#[derive(Clone, Debug, Default)]
pub struct SmolRuntime {
    /// `None` for the global one.
    executor: Option<Arc<Executor<'static>>>,
}

impl SmolRuntime {
    /// With smol's global executor, whose threads start with its first use (`SMOL_THREADS`, one unless set).
    #[must_use]
    pub const fn new() -> Self {
        Self { executor: None }
    }

    /// With `executor`, which somebody must keep running.
    #[must_use]
    pub const fn with_executor(executor: Arc<Executor<'static>>) -> Self {
        Self {
            executor: Some(executor),
        }
    }

    /// A transport on this runtime.
    #[must_use]
    pub fn transport(&self, config: HttpConfig) -> HttpTransport<Self> {
        HttpTransport::new(self.clone(), Arc::new(self.clone()), config)
    }
}

impl Runtime for SmolRuntime {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        match &self.executor {
            Some(executor) => executor.spawn(task).detach(),
            None => smol::spawn(task).detach(),
        }
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            Timer::at(deadline).await;
        })
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn entropy(&self) -> u64 {
        fastrand::u64(..)
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        smol::unblock(work).detach();
    }
}
