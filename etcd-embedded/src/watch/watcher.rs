//! One watch.

use etcd_core::message::{Event, EventType, KeyValue, WatchCreate, WatchFilter};

use crate::span::Span;
use crate::store::{Change, ChangeKind, Store};

#[derive(Clone, Debug)]
pub(super) struct Watcher {
    pub(super) span: Span,
    pub(super) start_revision: i64,
    /// The first revision it has not been told of.
    pub(super) next_revision: i64,
    pub(super) synced: bool,
    /// Whether its messages are held back for ever; see [`Denial::Ambiguous`](super::Denial).
    pub(super) muted: bool,
    pub(super) fragment: bool,
    /// Whether it wants to hear of progress, and if so, whether it does at the next opportunity.
    pub(super) progress: Option<bool>,
    no_put: bool,
    no_delete: bool,
    prev_kv: bool,
}

impl Watcher {
    pub(super) fn new(create: &WatchCreate, span: Span) -> Self {
        Self {
            span,
            start_revision: create.start_revision,
            next_revision: create.start_revision,
            synced: false,
            muted: false,
            fragment: create.fragment,
            progress: create.progress_notify.then_some(true),
            no_put: create.filters.contains(&WatchFilter::NoPut),
            no_delete: create.filters.contains(&WatchFilter::NoDelete),
            prev_kv: create.prev_kv,
        }
    }

    /// The event of a change, `None` if this watch does not want it.
    pub(super) fn event(&self, store: &Store, change: &Change) -> Option<Event> {
        let unwanted = match change.kind {
            ChangeKind::Put => self.no_put,
            ChangeKind::Delete => self.no_delete,
        };
        if unwanted {
            return None;
        }
        let pair = &change.pair;
        let mut event = Event::default();
        event.kv = KeyValue::clone(pair);
        if change.kind == ChangeKind::Delete {
            event.event_type = EventType::Delete;
        }
        let creation = change.kind == ChangeKind::Put && pair.create_revision == pair.mod_revision;
        if self.prev_kv && !creation {
            event.prev_kv = store
                .pair_at(&pair.key, pair.mod_revision - 1)
                .map(|pair| KeyValue::clone(pair));
        }
        Some(event)
    }
}
