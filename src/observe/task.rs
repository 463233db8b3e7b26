//! The task that follows a range for a mirror.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use etcd_core::machine::{ObservationStatus, Observed};
use futures_channel::oneshot;
use futures_core::Stream;
use futures_util::future::{Either, select};

use super::Observe;
use super::content::{Content, Decode};
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
                    self.publish_watch();
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

    /// Lets readers know whom to ask how far it has got.
    fn publish_watch(&self) {
        let watches = self.observe.watches();
        if self.content.with(|content| content.watches) != watches {
            let (watch, status) = (self.observe.watch_handle(), self.observe.status());
            self.content.modify(|content| {
                (content.watch, content.watches, content.status) = (watch, watches, status);
            });
        }
    }

    fn apply(&self, observed: Observed) {
        let status = self.observe.status();
        self.content.modify(|content| {
            content.status = status;
            content.apply(observed, &self.decode);
        });
    }
}

impl<V: Clone> Drop for Following<V> {
    fn drop(&mut self) {
        // Also of a runtime that is shut down, or of a panic: what is shown is not kept up to date any more.
        self.content
            .modify(|content| content.status = ObservationStatus::Over);
        self.content.close();
    }
}
