//! The task that follows a range for a mirror.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use etcd_core::machine::{ObservationStatus, Observed};
use etcd_core::message::{EventType, KeyValue};
use futures_channel::oneshot;
use futures_core::Stream;
use futures_util::future::{Either, select};

use super::Observe;
use super::view::{Content, MirrorView};
use crate::latest::Latest;

/// Turns a pair into what the mirror holds of it.
pub(super) type Decode<V> = Arc<dyn Fn(&KeyValue) -> V + Send + Sync>;

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
            content.view.revision = observed.revision();
            if let Observed::Changes { events, revision, .. } = observed {
                content.changed_at = revision;
                // Copied only if somebody keeps a view.
                let values = Arc::make_mut(&mut content.view.values);
                for event in events {
                    if event.event_type == EventType::Delete {
                        values.remove(&event.kv.key);
                    } else {
                        let value = (self.decode)(&compact(&event.kv));
                        values.insert(event.kv.key, value);
                    }
                }
            }
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

/// What a mirror begins with.
pub(super) fn content<V>(revision: i64, kvs: &[KeyValue], decode: &Decode<V>) -> Content<V> {
    let values: BTreeMap<Bytes, V> = kvs
        .iter()
        .map(|kv| (kv.key.clone(), decode(&compact(kv))))
        .collect();
    Content {
        view: MirrorView {
            values: Arc::new(values),
            revision,
        },
        changed_at: revision,
        status: ObservationStatus::Listing,
        watch: None,
        watches: 0,
        error: None,
    }
}

/// The pair with a value of its own: one value must not keep a message of megabytes in memory. Its key has been copied already.
fn compact(kv: &KeyValue) -> KeyValue {
    let mut compact = kv.clone();
    compact.value = Bytes::copy_from_slice(&kv.value);
    compact
}
