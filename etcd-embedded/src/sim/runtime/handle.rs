//! What clients are given of the runtime.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use etcd_core::runtime::{BoxFuture, Runtime};

#[cfg(doc)]
use super::SimRuntime;
use super::core::{Core, TimerKey};

/// A [`Runtime`] on a [`SimRuntime`]; clones are the same one.
#[derive(Clone)]
pub struct SimHandle {
    core: Arc<Core>,
}

impl SimHandle {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Lets no task run for a while.
    pub(in crate::sim) fn freeze(&self, duration: Duration) {
        self.core.freeze(duration);
    }

    /// Moves the clock, and runs nothing.
    pub(in crate::sim) fn leap(&self, duration: Duration) {
        self.core.leap(duration);
    }
}

impl Runtime for SimHandle {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.core.spawn(task);
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(Sleep {
            core: Arc::downgrade(&self.core),
            deadline,
            key: None,
        })
    }

    fn now(&self) -> Instant {
        self.core.now()
    }

    fn entropy(&self) -> u64 {
        self.core.entropy()
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

struct Sleep {
    core: Weak<Core>,
    deadline: Instant,
    key: Option<TimerKey>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(core) = self.core.upgrade() else {
            // Without a runtime there is no time that could pass.
            return Poll::Pending;
        };
        self.key = match core.set_timer(self.deadline, self.key, cx.waker()) {
            Some(key) => Some(key),
            None => return Poll::Ready(()),
        };
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key
            && let Some(core) = self.core.upgrade()
        {
            core.forget_timer(key);
        }
    }
}

impl fmt::Debug for SimHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimHandle")
    }
}
