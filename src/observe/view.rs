//! What a mirror holds.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use etcd_core::key::KeyRange;
use futures_core::Stream;

use super::content::Content;
use crate::latest::{Latest, Reader};

/// What a mirror holds, at one revision.
///
/// It stays as it is while the mirror goes on. As long as one is kept, the next change copies the mirror's map (not its
/// values): take it, use it, drop it.
#[derive(Clone)]
pub struct MirrorView<V> {
    pub(super) values: Arc<BTreeMap<Bytes, V>>,
    pub(super) revision: i64,
}

impl<V> MirrorView<V> {
    /// The revision whose state this is.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&V> {
        self.values.get(key.as_ref())
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All keys and values, in the order of keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Bytes, &V)> + DoubleEndedIterator {
        self.values.iter()
    }

    /// The keys of a range and their values, in the order of keys.
    pub fn range(&self, keys: impl Into<KeyRange>) -> impl Iterator<Item = (&Bytes, &V)> {
        let keys = keys.into();
        let from = Bound::Included(keys.key().clone());
        let within = move |key: &Bytes| keys.contains(key);
        self.values
            .range((from, Bound::Unbounded))
            .take_while(move |(key, _)| within(key))
    }
}

impl<V> fmt::Debug for MirrorView<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorView")
            .field("revision", &self.revision)
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}

/// What a mirror holds, and then holds after each change: a stream of [`MirrorView`]s. Only the latest counts. Made by
/// [`Mirror::updates`](super::Mirror::updates).
#[must_use = "a stream does nothing unless it is polled"]
pub struct MirrorUpdates<V: Clone> {
    pub(super) content: Arc<Latest<Content<V>>>,
    pub(super) reader: Reader,
    pub(super) last: Option<i64>,
}

impl<V: Clone> MirrorUpdates<V> {
    /// The next view; `None` after the end of the mirror.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<MirrorView<V>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<V: Clone> Stream for MirrorUpdates<V> {
    type Item = MirrorView<V>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<MirrorView<V>>> {
        let this = &mut *self;
        loop {
            match std::task::ready!(this.content.poll(&mut this.reader, cx)) {
                None => return Poll::Ready(None),
                Some(content) if this.last == Some(content.changed_at) => {}
                Some(content) => {
                    this.last = Some(content.changed_at);
                    return Poll::Ready(Some(content.view));
                }
            }
        }
    }
}

impl<V: Clone> Drop for MirrorUpdates<V> {
    fn drop(&mut self) {
        self.content.forget(&self.reader);
    }
}

impl<V: Clone> fmt::Debug for MirrorUpdates<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorUpdates").finish_non_exhaustive()
    }
}
