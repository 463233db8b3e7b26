//! What a watch hands out: events of whole revisions.

use crate::message::{Event, KeyValue};

/// Events of whole revisions, in the order of their revisions.
///
/// A revision is never split: whoever has a batch has all that its revisions changed in the watched keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch {
    events: Vec<Event>,
    from: i64,
    position: i64,
    coalesced: bool,
}

impl EventBatch {
    /// `events` are all there are of the revisions from `from` on and before `position`.
    #[must_use]
    pub fn new(events: Vec<Event>, from: i64, position: i64) -> Self {
        Self {
            events,
            from,
            position,
            coalesced: false,
        }
    }

    /// The events; none if the batch only says how far the watch has got.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events, taken out of the batch.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// The first revision the batch covers: where the watch stood before it.
    #[must_use]
    pub fn from(&self) -> i64 {
        self.from
    }

    /// The first revision after the batch: where a watch goes on that has dealt with it.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Whether only the last event of each key is left, because they were not taken in time.
    #[must_use]
    pub fn is_coalesced(&self) -> bool {
        self.coalesced
    }

    /// Marks a batch of which only the last event of each key is left.
    #[must_use]
    pub(super) fn coalesced(mut self) -> Self {
        self.coalesced = true;
        self
    }

    /// About how much memory it takes.
    #[must_use]
    pub(super) fn bytes(&self) -> usize {
        self.events.iter().map(event_bytes).sum()
    }
}

/// About how much memory an event takes: its keys and values, and itself.
pub(in crate::machine) fn event_bytes(event: &Event) -> usize {
    let pair = |kv: &KeyValue| kv.key.len() + kv.value.len();
    size_of::<Event>() + pair(&event.kv) + event.prev_kv.as_ref().map_or(0, pair)
}
