//! What truly happened.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use etcd_core::key::KeyRange;
use etcd_core::message::{Event, EventType, KeyValue};

use crate::show;

/// All changes of a store, in order, and what can be derived from them.
#[derive(Clone, Debug)]
pub struct History {
    changes: Vec<Change>,
    /// Where the changes of each key are.
    of_key: BTreeMap<Bytes, Vec<usize>>,
    revision: i64,
    /// The revisions at which it was compacted.
    compactions: BTreeSet<i64>,
}

/// A change, and the pair that it replaced.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Without `prev_kv`.
    pub(crate) event: Event,
    pub(crate) previous: Option<KeyValue>,
}

/// Why a list of events is not the whole history of a store. Nothing can be judged by it then.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Incomplete {
    /// Every revision after the first has a change, but these have none.
    #[error("nothing is known of the revisions between {after} and {next}")]
    Gap {
        /// The last revision before.
        after: i64,
        /// The next one there is.
        next: i64,
    },
    /// An event that cannot follow those before it.
    #[error("{} cannot follow {}", show::event(event), show::pair(previous.as_deref()))]
    Inconsistent {
        /// The event.
        event: Box<Event>,
        /// The pair that its key held before it.
        previous: Option<Box<KeyValue>>,
    },
}

impl History {
    /// All changes of a store that nobody has written to before, in the order in which a watch reports them.
    ///
    /// # Errors
    ///
    /// [`Incomplete`] if a change is missing: a faulty reference would judge wrongly.
    pub fn new(events: impl IntoIterator<Item = Event>) -> Result<Self, Incomplete> {
        let history = Self::collect(events)?;
        let mut after = 1;
        for change in &history.changes {
            let next = change.event.kv.mod_revision;
            if next > after + 1 {
                return Err(Incomplete::Gap { after, next });
            }
            after = next;
        }
        Ok(history)
    }

    /// All changes of keys that did not exist before, in a store that others use as well, up to `revision`.
    ///
    /// # Errors
    ///
    /// [`Incomplete`] if a change is missing and the next of the same key shows it.
    pub fn of_keys(events: impl IntoIterator<Item = Event>, revision: i64) -> Result<Self, Incomplete> {
        let mut history = Self::collect(events)?;
        history.revision = history.revision.max(revision);
        Ok(history)
    }

    /// Says that the store was compacted at `revision`, which excuses what can no longer be read. Of an observer, each
    /// compaction excuses one new list.
    #[must_use]
    pub fn compacted(mut self, revision: i64) -> Self {
        self.compactions.insert(revision);
        self
    }

    /// The revision at the end.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The newest revision at which the store was compacted, 0 for never.
    #[must_use]
    pub fn compact_revision(&self) -> i64 {
        self.compactions.last().copied().unwrap_or(0)
    }

    /// Whether the store was compacted at a revision after `after`, and not after `until`.
    pub(crate) fn was_compacted(&self, after: i64, until: i64) -> bool {
        self.compactions
            .iter()
            .any(|revision| after < *revision && *revision <= until)
    }

    /// The changes in order, without previous pairs.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.changes.iter().map(|change| &change.event)
    }

    /// The pairs in `keys` at `revision`.
    #[must_use]
    pub fn pairs_at(&self, keys: &KeyRange, revision: i64) -> BTreeMap<Bytes, KeyValue> {
        let mut replay = Replay::new(self, keys.clone());
        replay.advance(revision);
        replay.pairs
    }

    /// The changes of the revisions after `after`.
    pub(crate) fn changes_after(&self, after: i64) -> &[Change] {
        let begin = self
            .changes
            .partition_point(|change| change.event.kv.mod_revision <= after);
        &self.changes[begin..]
    }

    /// The pair that the key of `event` held before it, whether or not the event itself is true.
    pub(crate) fn previous(&self, event: &Event) -> Option<&KeyValue> {
        let changes = self.of_key.get(&event.kv.key)?;
        let revision = event.kv.mod_revision;
        let begin = changes.partition_point(|index| self.revision_of(*index) < revision);
        let same = changes[begin..]
            .iter()
            .map(|index| &self.changes[*index])
            .take_while(|change| change.event.kv.mod_revision == revision)
            .find(|change| change.event.event_type == event.event_type);
        match same {
            Some(change) => change.previous.as_ref(),
            None => {
                let before = &self.changes[*changes[..begin].last()?].event;
                (before.event_type == EventType::Put).then_some(&before.kv)
            }
        }
    }

    /// How often a revision changes a key.
    pub(crate) fn times_changed(&self, key: &Bytes, revision: i64) -> usize {
        let changes = self.of_key.get(key).map_or(&[][..], |changes| changes);
        let begin = changes.partition_point(|index| self.revision_of(*index) < revision);
        let end = changes.partition_point(|index| self.revision_of(*index) <= revision);
        end - begin
    }

    fn revision_of(&self, index: usize) -> i64 {
        self.changes[index].event.kv.mod_revision
    }

    fn collect(events: impl IntoIterator<Item = Event>) -> Result<Self, Incomplete> {
        let mut pairs: BTreeMap<Bytes, KeyValue> = BTreeMap::new();
        let mut changes: Vec<Change> = Vec::new();
        let mut of_key: BTreeMap<Bytes, Vec<usize>> = BTreeMap::new();
        for mut event in events {
            event.prev_kv = None;
            let key = event.kv.key.clone();
            let last = changes.last().map_or(1, |change| change.event.kv.mod_revision);
            let previous = match event.event_type {
                EventType::Delete => pairs.remove(&key),
                _ => pairs.insert(key.clone(), event.kv.clone()),
            };
            if event.kv.mod_revision < last || !follows(&event, previous.as_ref()) {
                return Err(Incomplete::Inconsistent {
                    event: Box::new(event),
                    previous: previous.map(Box::new),
                });
            }
            of_key.entry(key).or_default().push(changes.len());
            changes.push(Change { event, previous });
        }
        let revision = changes.last().map_or(1, |change| change.event.kv.mod_revision);
        Ok(Self {
            changes,
            of_key,
            revision,
            compactions: BTreeSet::new(),
        })
    }
}

/// Whether an event can be the next of a key that held `previous`.
fn follows(event: &Event, previous: Option<&KeyValue>) -> bool {
    let kv = &event.kv;
    match (&event.event_type, previous) {
        (EventType::Put, Some(previous)) => {
            (kv.version, kv.create_revision) == (previous.version + 1, previous.create_revision)
        }
        (EventType::Put, None) => (kv.version, kv.create_revision) == (1, kv.mod_revision),
        (EventType::Delete, previous) => previous.is_some(),
        _ => false,
    }
}

/// The pairs of a range while revisions go by.
pub(crate) struct Replay<'a> {
    history: &'a History,
    keys: KeyRange,
    revision: i64,
    pub(crate) pairs: BTreeMap<Bytes, KeyValue>,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(history: &'a History, keys: KeyRange) -> Self {
        Self {
            history,
            keys,
            revision: 0,
            pairs: BTreeMap::new(),
        }
    }

    /// Moves to `revision`, be it ahead or back.
    pub(crate) fn advance(&mut self, revision: i64) {
        if revision < self.revision {
            *self = Self::new(self.history, self.keys.clone());
        }
        for change in self.history.changes_after(self.revision) {
            let kv = &change.event.kv;
            if kv.mod_revision > revision {
                break;
            }
            if self.keys.contains(&kv.key) {
                apply(&mut self.pairs, &change.event);
            }
        }
        self.revision = revision;
    }
}

/// What an event does to a map.
pub(crate) fn apply(pairs: &mut BTreeMap<Bytes, KeyValue>, event: &Event) {
    match event.event_type {
        EventType::Delete => {
            pairs.remove(&event.kv.key);
        }
        _ => {
            pairs.insert(event.kv.key.clone(), event.kv.clone());
        }
    }
}
