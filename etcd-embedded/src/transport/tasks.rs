//! What runs on the runtime besides the exchanges themselves.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use etcd_core::runtime::{BoxFuture, Runtime};
use futures_core::Stream;

use super::shared::Shared;
use crate::ExchangeId;

/// Tells the server the time whenever something is due; ends with the transport.
pub(super) struct Deadlines {
    shared: Weak<Shared>,
    runtime: Arc<dyn Runtime>,
    sleep: Option<(Instant, BoxFuture<'static, ()>)>,
}

impl Deadlines {
    pub(super) fn new(shared: &Arc<Shared>, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            runtime,
            sleep: None,
        }
    }
}

impl Future for Deadlines {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(shared) = self.shared.upgrade() else {
                return Poll::Ready(());
            };
            let next = shared.run_deadlines(cx, self.runtime.now());
            drop(shared);
            let Some(next) = next else {
                self.sleep = None;
                return Poll::Pending;
            };
            if self.sleep.as_ref().is_none_or(|(until, _)| *until != next) {
                let sleep = self.runtime.sleep_until(next);
                self.sleep = Some((next, sleep));
            }
            let slept = self
                .sleep
                .as_mut()
                .is_none_or(|(_, sleep)| sleep.as_mut().poll(cx).is_ready());
            if !slept {
                return Poll::Pending;
            }
            self.sleep = None;
        }
    }
}

/// Sends a request body as it comes; ends with it, or with the exchange.
pub(super) struct Upload {
    shared: Weak<Shared>,
    runtime: Arc<dyn Runtime>,
    id: ExchangeId,
    body: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
}

impl Upload {
    pub(super) fn new(
        shared: &Arc<Shared>,
        runtime: Arc<dyn Runtime>,
        id: ExchangeId,
        body: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    ) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            runtime,
            id,
            body,
        }
    }
}

impl Future for Upload {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(shared) = self.shared.upgrade() else {
                return Poll::Ready(());
            };
            if !shared.register_upload(cx, self.id) {
                return Poll::Ready(());
            }
            match self.body.as_mut().poll_next(cx) {
                Poll::Ready(Some(data)) => shared.feed(self.runtime.now(), self.id, &data),
                Poll::Ready(None) => {
                    shared.feed_end(self.runtime.now(), self.id);
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
