//! A timer for what waits until ever different times.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use etcd_core::runtime::{BoxFuture, Runtime};

/// Goes off when a time has come, or before: whoever it wakes looks at the clock.
///
/// So a time that is put off, as by every message of a stream, leaves the runtime's timer as it is.
pub(crate) struct Alarm {
    runtime: Arc<dyn Runtime>,
    set: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl Alarm {
    pub(crate) fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime, set: None }
    }

    /// Is ready when `until` has come, and may be before.
    pub(crate) fn poll(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let is_later = |(at, _): &mut (Instant, _)| *at > until;
        if self.set.as_mut().is_none_or(is_later) {
            self.set = None;
        }
        let (_, timer) = self
            .set
            .get_or_insert_with(|| (until, self.runtime.sleep_until(until)));
        let polled = timer.as_mut().poll(cx);
        if polled.is_ready() {
            self.set = None;
        }
        polled
    }
}
