//! The states of a lease, as they change.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use etcd_core::error::{LeaseLost, LostReason};
use etcd_core::machine::{LeaseKey, LeaseState};
use futures_core::Stream;

use super::Keeper;
use super::keeper::ObserverId;
use crate::client::Shared;

/// The states of a lease: the present one, and then each change between alive, degraded and lost. Made by
/// [`Lease::states`](super::Lease::states).
///
/// Only the latest state counts: one that was left before anybody asked is not told. Renewals of a lease that is alive
/// are no change, although each moves the deadline. The stream ends after [`LeaseState::Lost`], or when the
/// [`Lease`](super::Lease) is dropped.
#[must_use = "a stream does nothing unless it is polled"]
pub struct LeaseStates {
    shared: Arc<Shared>,
    key: LeaseKey,
    observer: ObserverId,
    seen: Option<u64>,
    is_over: bool,
}

impl LeaseStates {
    pub(super) fn new(shared: Arc<Shared>, key: LeaseKey) -> Self {
        let observer = shared.keeper.lock().observer();
        Self {
            shared,
            key,
            observer,
            seen: None,
            is_over: false,
        }
    }

    /// The next state; `None` after the last.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<LeaseState> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits until the lease is lost, or gone.
    pub(super) async fn lost(mut self) -> Option<LostReason> {
        while let Some(state) = self.next().await {
            if let LeaseState::Lost { reason } = state {
                return Some(reason);
            }
        }
        None
    }
}

impl Stream for LeaseStates {
    type Item = LeaseState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LeaseState>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let mut kept = this.shared.keeper.lock();
        let now = this.shared.runtime.now();
        // A deadline is not waited for: it may have come without anybody having noticed yet.
        let state = kept.machine.state(this.key, now);
        let is_held = state.as_ref().is_some_and(LeaseState::is_held);
        if is_held {
            this.seen = ready!(kept.poll_version(this.key, this.observer, this.seen, cx));
        }
        this.is_over = !is_held;
        Poll::Ready(state)
    }
}

impl Drop for LeaseStates {
    fn drop(&mut self) {
        self.shared.keeper.lock().forget_observer(self.key, self.observer);
    }
}

impl fmt::Debug for LeaseStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseStates")
            .field("state", &Keeper::state(&self.shared, self.key))
            .finish_non_exhaustive()
    }
}

/// What is told of a lease that has no reason to be told: it was let go of.
pub(super) fn loss(id: i64, reason: Option<LostReason>) -> LeaseLost {
    LeaseLost::new(id, reason.unwrap_or(LostReason::Closed))
}
