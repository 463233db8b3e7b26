//! The task that follows a range for a mirror.

use std::future::poll_fn;
use std::mem::discriminant;
use std::pin::Pin;
use std::sync::Arc;

use etcd_core::machine::{ObservationStatus, Observed};
use futures_channel::oneshot;
use futures_core::Stream;
use futures_util::future::{Either, select};

use super::Observe;
use super::catch_up::Follower;
use super::content::{Content, Decode, Decoded};
use crate::latest::Latest;

pub(super) struct Following<V: Clone> {
    pub(super) observe: Observe,
    pub(super) decode: Decode<V>,
    pub(super) content: Arc<Latest<Content<V>>>,
}

impl<V: Clone + Send + Sync + 'static> Following<V> {
    /// Until the mirror is dropped, or cannot go on.
    pub(super) async fn run(mut self, mut dropped: oneshot::Receiver<()>) {
        loop {
            let next = poll_fn(|cx| {
                let next = Pin::new(&mut self.observe).poll_next(cx);
                if next.is_pending() {
                    self.publish();
                }
                next
            });
            let Either::Left((next, _)) = select(next, &mut dropped).await else {
                return;
            };
            match next {
                Some(Ok(observed)) => self.apply(observed),
                None => return,
                Some(Err(error)) => {
                    let error = Some(Arc::new(error));
                    self.content.modify(|content| {
                        content.status = ObservationStatus::Over;
                        content.error = error;
                    });
                    return;
                }
            }
        }
    }

    /// Lets readers know how it is doing, and whom to ask how far it has got.
    fn publish(&self) {
        let (watches, status) = (self.observe.watches(), self.observe.status_but_of_watch());
        let is_news = self
            .content
            .with(|content| content.watches != watches || !is_same(&content.status, &status));
        if is_news {
            let watch = self.observe.watch_handle();
            self.content.modify(|content| {
                (content.watch, content.watches, content.status) = (watch, watches, status);
            });
        }
    }

    fn apply(&self, observed: Observed) {
        let status = self.observe.status_but_of_watch();
        let decoded = Decoded::new(observed, &self.decode);
        self.content.modify(|content| {
            content.status = status;
            content.apply(decoded);
        });
    }
}

fn is_same(status: &ObservationStatus, other: &ObservationStatus) -> bool {
    let of_interruption = |status: &ObservationStatus| match status {
        ObservationStatus::Interrupted { since, cause } => Some((*since, Arc::as_ptr(cause))),
        _ => None,
    };
    discriminant(status) == discriminant(other) && of_interruption(status) == of_interruption(other)
}

impl<V: Clone> Drop for Following<V> {
    fn drop(&mut self) {
        // Also of a runtime that is shut down, or of a panic: what is shown is not kept up to date any more.
        self.content
            .modify(|content| content.status = ObservationStatus::Over);
        self.content.close();
    }
}
