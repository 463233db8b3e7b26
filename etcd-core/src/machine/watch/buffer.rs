//! What a watch has received and nobody has taken yet, in bounded memory.
//!
//! ```text
//!            offer: Taken               takes_more, once half or less is left
//!    ┌───────────────────▶ Filling ◀──────────────────────────────┐
//!    │                      │                                     │
//!    └──────────────────────┤ offer: Full                         │
//!                           ├── Wait, Coalesce ──▶ Stalled ───────┘
//!                           └── Lag ─────────────▶ Lagging ── take, nothing left: Lagged ──▶ Over
//! ```
//!
//! What is refused is not kept anywhere: the server is told to stop and later asked for it again, from the position the
//! refused batch would have begun at. One batch is always taken, however large, or a watch would never get past it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::EventBatch;
use super::batch::event_bytes;
use crate::message::Event;

/// What happens to a watch whose events are not taken as fast as they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BufferPolicy {
    /// It waits: the server is told to stop, and asked again from there once there is room. Nothing is lost unless
    /// history is compacted meanwhile. Other watches are not held up.
    #[default]
    Wait,
    /// Of each key only the last event is kept; it tells how the key is, not how it came to be so. A watch that is
    /// full even then waits.
    Coalesce,
    /// It ends, after what was received, with the position to go on from.
    Lag,
}

/// How much a watch may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferLimits {
    /// The most events.
    pub events: usize,
    /// The most bytes of keys, values and what describes them.
    pub bytes: usize,
}

impl Default for BufferLimits {
    /// 65,536 events and 16 MiB: what a server sends in one go, a thousand revisions, fits in unless they are large.
    fn default() -> Self {
        Self {
            events: 65_536,
            bytes: 16 * 1024 * 1024,
        }
    }
}

/// What became of an offered batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Offered {
    /// It is kept.
    Taken,
    /// It is not. The watch has to stop and to go on from this position once it
    /// [takes more](BatchBuffer::takes_more).
    Full {
        /// Where the refused batch began.
        from: i64,
    },
    /// It is not, and the watch is over.
    Lagged,
}

/// What there is for whoever consumes the events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Taken {
    /// The next batch.
    Batch(EventBatch),
    /// Everything before this position was seen, and held nothing.
    Position(i64),
    /// Everything was taken, and the watch ends, because more had come than there was room for.
    Lagged {
        /// The position to go on from.
        position: i64,
    },
}

/// Holds the batches of one watch.
#[derive(Debug)]
pub struct BatchBuffer {
    policy: BufferPolicy,
    limits: BufferLimits,
    items: VecDeque<Item>,
    events: usize,
    bytes: usize,
    state: State,
}

#[derive(Debug)]
enum Item {
    Batch { batch: EventBatch, bytes: usize },
    Position(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Filling,
    /// It waits for room for a batch of this size.
    Stalled {
        events: usize,
        bytes: usize,
    },
    Lagging {
        position: i64,
    },
}

impl BatchBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new(policy: BufferPolicy, limits: BufferLimits) -> Self {
        Self {
            policy,
            limits,
            items: VecDeque::new(),
            events: 0,
            bytes: 0,
            state: State::Filling,
        }
    }

    /// Offers what has been received.
    pub fn offer(&mut self, batch: EventBatch) -> Offered {
        match self.state {
            State::Filling => {}
            State::Stalled { .. } => return Offered::Full { from: batch.from() },
            State::Lagging { .. } => return Offered::Lagged,
        }
        if self.fits(&batch) || (self.policy == BufferPolicy::Coalesce && self.make_room(&batch)) {
            self.push(batch);
            return Offered::Taken;
        }
        let from = batch.from();
        if self.policy == BufferPolicy::Lag {
            self.state = State::Lagging { position: from };
            Offered::Lagged
        } else {
            self.state = State::Stalled {
                events: batch.events().len(),
                bytes: batch.bytes(),
            };
            Offered::Full { from }
        }
    }

    /// Takes note that everything before `position` was seen.
    pub fn offer_position(&mut self, position: i64) {
        if self.state != State::Filling {
            return;
        }
        match self.items.back_mut() {
            Some(Item::Position(last)) => *last = position,
            _ => self.items.push_back(Item::Position(position)),
        }
    }

    /// The next thing to consume, if there is one.
    pub fn take(&mut self) -> Option<Taken> {
        match self.items.pop_front() {
            Some(Item::Batch { batch, bytes }) => {
                self.events -= batch.events().len();
                self.bytes -= bytes;
                Some(Taken::Batch(batch))
            }
            Some(Item::Position(position)) => Some(Taken::Position(position)),
            None => match self.state {
                State::Lagging { position } => Some(Taken::Lagged { position }),
                State::Filling | State::Stalled { .. } => None,
            },
        }
    }

    /// Whether a watch that had to stop can go on now; says so once.
    #[must_use]
    pub fn takes_more(&mut self) -> bool {
        let State::Stalled { events, bytes } = self.state else {
            return false;
        };
        // Else what was refused would be sent again only to be refused again.
        let has_room = self.has_room(events, bytes)
            && self.events <= self.limits.events / 2
            && self.bytes <= self.limits.bytes / 2;
        if has_room {
            self.state = State::Filling;
        }
        has_room
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && !matches!(self.state, State::Lagging { .. })
    }

    /// How many events it holds.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }

    /// About how many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether its end has come, and it takes no more.
    #[must_use]
    pub fn has_lagged(&self) -> bool {
        matches!(self.state, State::Lagging { .. })
    }

    fn fits(&self, batch: &EventBatch) -> bool {
        self.has_room(batch.events().len(), batch.bytes())
    }

    fn has_room(&self, events: usize, bytes: usize) -> bool {
        self.events == 0
            || (self.events.saturating_add(events) <= self.limits.events
                && self.bytes.saturating_add(bytes) <= self.limits.bytes)
    }

    fn push(&mut self, batch: EventBatch) {
        let bytes = batch.bytes();
        self.events += batch.events().len();
        self.bytes += bytes;
        self.items.push_back(Item::Batch { batch, bytes });
    }

    /// Leaves of each key the last event. `false` if that does not make room enough for `batch` and more: then it would
    /// have to be done over and over.
    fn make_room(&mut self, batch: &EventBatch) -> bool {
        let mut kept: Vec<Option<Event>> = Vec::with_capacity(self.events);
        let mut last_of_key: BTreeMap<Bytes, usize> = BTreeMap::new();
        let mut span: Option<(i64, i64)> = None;
        for item in self.items.drain(..) {
            let (from, position) = match &item {
                Item::Batch { batch, .. } => (batch.from(), batch.position()),
                Item::Position(position) => (*position, *position),
            };
            span = Some((span.map_or(from, |(first, _)| first), position));
            if let Item::Batch { batch, .. } = item {
                for mut event in batch.into_events() {
                    detach(&mut event);
                    if let Some(earlier) = last_of_key.insert(event.kv.key.clone(), kept.len()) {
                        kept[earlier] = None;
                    }
                    kept.push(Some(event));
                }
            }
        }
        let events: Vec<Event> = kept.into_iter().flatten().collect();
        self.events = 0;
        self.bytes = 0;
        if let Some((from, position)) = span {
            self.push(EventBatch::new(events, from, position).coalesced());
        }
        let most_of = |limit: usize| limit - limit / 4;
        let is_less = self.events <= most_of(self.limits.events) && self.bytes <= most_of(self.limits.bytes);
        is_less && self.fits(batch)
    }
}

/// What is kept must not keep the whole message alive that it came in.
fn detach(event: &mut Event) {
    for kv in [&mut event.kv].into_iter().chain(&mut event.prev_kv) {
        kv.key = Bytes::copy_from_slice(&kv.key);
        kv.value = Bytes::copy_from_slice(&kv.value);
    }
}

/// About how much memory events take; what limits on bytes count.
pub(super) fn bytes_of(events: &[Event]) -> usize {
    events.iter().map(event_bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::KeyValue;

    fn batch(revisions: std::ops::Range<i64>, key: &str) -> EventBatch {
        let (from, position) = (revisions.start, revisions.end);
        let events = revisions.map(|revision| {
            let mut event = Event::default();
            event.kv.key = Bytes::copy_from_slice(key.as_bytes());
            event.kv.mod_revision = revision;
            event.prev_kv = Some(KeyValue {
                mod_revision: revision - 1,
                ..KeyValue::default()
            });
            event
        });
        EventBatch::new(events.collect(), from, position)
    }

    fn buffer(policy: BufferPolicy, events: usize) -> BatchBuffer {
        let bytes = usize::MAX;
        BatchBuffer::new(policy, BufferLimits { events, bytes })
    }

    fn taken(buffer: &mut BatchBuffer) -> EventBatch {
        match buffer.take() {
            Some(Taken::Batch(batch)) => batch,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_full_buffer_refuses_until_half_of_it_is_taken() {
        let mut buffer = buffer(BufferPolicy::Wait, 4);
        assert_eq!(buffer.offer(batch(1..3, "k")), Offered::Taken);
        assert_eq!(buffer.offer(batch(3..5, "k")), Offered::Taken);
        assert!(!buffer.takes_more(), "it never had to stop");
        assert_eq!(buffer.offer(batch(5..6, "k")), Offered::Full { from: 5 });
        assert_eq!(
            buffer.offer(batch(5..6, "k")),
            Offered::Full { from: 5 },
            "there was no room made"
        );
        assert!(!buffer.takes_more());
        assert_eq!(taken(&mut buffer).position(), 3);
        assert!(buffer.takes_more());
        assert!(!buffer.takes_more(), "that is said once");
        assert_eq!(buffer.offer(batch(5..6, "k")), Offered::Taken);
    }

    #[test]
    fn what_was_refused_is_not_asked_for_before_there_is_room_for_it() {
        let mut buffer = buffer(BufferPolicy::Wait, 4);
        for revision in 1..5 {
            assert_eq!(buffer.offer(batch(revision..revision + 1, "k")), Offered::Taken);
        }
        assert_eq!(buffer.offer(batch(5..8, "k")), Offered::Full { from: 5 });
        for position in 2..4 {
            assert_eq!(taken(&mut buffer).position(), position);
            assert!(!buffer.takes_more());
        }
        assert_eq!(taken(&mut buffer).position(), 4);
        assert!(buffer.takes_more());
        assert_eq!(buffer.offer(batch(5..8, "k")), Offered::Taken);
        // What never fits is taken once nothing else is there.
        assert_eq!(buffer.offer(batch(8..99, "k")), Offered::Full { from: 8 });
        assert_eq!(taken(&mut buffer).position(), 5);
        assert!(!buffer.takes_more());
        assert_eq!(taken(&mut buffer).position(), 8);
        assert!(buffer.takes_more());
    }

    #[test]
    fn one_batch_is_taken_however_large() {
        for policy in [BufferPolicy::Wait, BufferPolicy::Coalesce, BufferPolicy::Lag] {
            let mut buffer = buffer(policy, 4);
            buffer.offer_position(1);
            assert_eq!(buffer.offer(batch(1..100, "k")), Offered::Taken);
            assert_eq!(buffer.events(), 99);
            assert_eq!(buffer.take(), Some(Taken::Position(1)));
            assert_eq!(taken(&mut buffer).events().len(), 99);
            assert_eq!((buffer.events(), buffer.bytes()), (0, 0));
        }
    }

    #[test]
    fn bytes_count_as_well() {
        let room = batch(1..3, "key").bytes();
        let limits = BufferLimits {
            events: 1000,
            bytes: room,
        };
        let mut buffer = BatchBuffer::new(BufferPolicy::Wait, limits);
        assert_eq!(buffer.offer(batch(1..2, "key")), Offered::Taken);
        assert_eq!(buffer.offer(batch(2..3, "key")), Offered::Taken);
        assert_eq!(buffer.offer(batch(3..4, "key")), Offered::Full { from: 3 });
    }

    #[test]
    fn coalesced_events_are_the_last_of_each_key_as_they_were() {
        let mut buffer = buffer(BufferPolicy::Coalesce, 4);
        assert_eq!(buffer.offer(batch(1..3, "a")), Offered::Taken);
        assert_eq!(buffer.offer(batch(3..5, "b")), Offered::Taken);
        assert_eq!(buffer.offer(batch(5..6, "a")), Offered::Taken);
        let first = taken(&mut buffer);
        assert!(first.is_coalesced());
        assert_eq!((first.from(), first.position()), (1, 5));
        let told: Vec<_> = first
            .events()
            .iter()
            .map(|event| {
                (
                    event.kv.key_str().unwrap(),
                    event.kv.mod_revision,
                    event.prev_kv.as_ref().unwrap().mod_revision,
                )
            })
            .collect();
        assert_eq!(told, [("a", 2, 1), ("b", 4, 3)]);
        let second = taken(&mut buffer);
        assert!(!second.is_coalesced());
        assert_eq!(second.position(), 6);
    }

    #[test]
    fn coalesced_events_stay_in_their_order_also_within_a_revision() {
        let mut buffer = buffer(BufferPolicy::Coalesce, 6);
        let keys = ["b", "a"].map(|key| batch(1..2, key).into_events());
        let revision = EventBatch::new(keys.into_iter().flatten().collect(), 1, 2);
        assert_eq!(buffer.offer(revision), Offered::Taken);
        assert_eq!(buffer.offer(batch(2..6, "c")), Offered::Taken);
        assert_eq!(buffer.offer(batch(6..8, "c")), Offered::Taken);
        let first = taken(&mut buffer);
        let keys: Vec<_> = first
            .events()
            .iter()
            .map(|event| event.kv.key_str().unwrap())
            .collect();
        assert_eq!(keys, ["b", "a", "c"]);
    }

    #[test]
    fn a_buffer_that_cannot_coalesce_waits() {
        let mut buffer = buffer(BufferPolicy::Coalesce, 4);
        for (revision, key) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
            assert_eq!(buffer.offer(batch(revision..revision + 1, key)), Offered::Taken);
        }
        assert_eq!(buffer.offer(batch(5..6, "e")), Offered::Full { from: 5 });
        assert_eq!(taken(&mut buffer).events().len(), 4);
        assert!(buffer.takes_more());
    }

    #[test]
    fn a_lagging_watch_ends_after_what_was_received_with_the_position_of_what_was_not() {
        let mut buffer = buffer(BufferPolicy::Lag, 2);
        assert_eq!(buffer.offer(batch(1..3, "k")), Offered::Taken);
        assert_eq!(buffer.offer(batch(3..4, "k")), Offered::Lagged);
        buffer.offer_position(9);
        assert_eq!(buffer.offer(batch(4..5, "k")), Offered::Lagged);
        assert_eq!(taken(&mut buffer).position(), 3);
        assert_eq!(buffer.take(), Some(Taken::Lagged { position: 3 }));
    }

    #[test]
    fn positions_are_merged_and_keep_their_place() {
        let mut buffer = buffer(BufferPolicy::Wait, 4);
        buffer.offer_position(3);
        buffer.offer_position(5);
        assert_eq!(buffer.offer(batch(5..6, "k")), Offered::Taken);
        buffer.offer_position(9);
        assert_eq!(buffer.take(), Some(Taken::Position(5)));
        assert_eq!(taken(&mut buffer).position(), 6);
        assert_eq!(buffer.take(), Some(Taken::Position(9)));
        assert_eq!(buffer.take(), None);
    }
}
