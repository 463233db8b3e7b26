//! What is known of a range: what an observer has been told so far.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::message::{Event, EventType, KeyValue};

/// The keys of a range at one revision.
///
/// Keys and pairs are copied out of the messages they came in: one key must not keep a message of megabytes.
#[derive(Debug, Default)]
pub(super) struct Known {
    keys: BTreeMap<Bytes, Entry>,
    has_pairs: bool,
}

#[derive(Debug)]
struct Entry {
    mod_revision: i64,
    /// `None` unless pairs are kept.
    pair: Option<KeyValue>,
}

impl Known {
    pub(super) fn with_pairs() -> Self {
        Self {
            has_pairs: true,
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes the first list.
    pub(super) fn fill(&mut self, listed: &mut [KeyValue]) {
        self.keys = listed.iter_mut().map(|pair| self.entry(pair)).collect();
    }

    /// Takes a change, and adds to it the pair before.
    pub(super) fn apply(&mut self, event: &mut Event) {
        let before = if event.event_type == EventType::Delete {
            self.keys.remove(&event.kv.key)
        } else {
            let (key, entry) = self.entry(&mut event.kv);
            self.keys.insert(key, entry)
        };
        event.prev_kv = before.and_then(|entry| entry.pair);
    }

    /// Takes a later list, in the order of keys; returns the difference, in the same order.
    pub(super) fn replace(&mut self, listed: Vec<KeyValue>, revision: i64) -> Vec<Event> {
        let mut events = Vec::new();
        let mut before = std::mem::take(&mut self.keys).into_iter().peekable();
        let deleted = |(key, entry): (Bytes, Entry)| {
            let mut gone = KeyValue::default();
            (gone.key, gone.mod_revision) = (key, revision);
            Event {
                event_type: EventType::Delete,
                kv: gone,
                prev_kv: entry.pair,
            }
        };
        for mut pair in listed {
            while let Some(gone) = before.next_if(|(key, _)| *key < pair.key) {
                events.push(deleted(gone));
            }
            let same = before.next_if(|(key, _)| *key == pair.key);
            let (key, entry) = self.entry(&mut pair);
            self.keys.insert(key, entry);
            if same
                .as_ref()
                .is_some_and(|(_, entry)| entry.mod_revision == pair.mod_revision)
            {
                continue;
            }
            events.push(Event {
                event_type: EventType::Put,
                kv: pair,
                prev_kv: same.and_then(|(_, entry)| entry.pair),
            });
        }
        events.extend(before.map(deleted));
        events
    }

    /// What is remembered of a pair, whose key becomes the copy.
    fn entry(&self, pair: &mut KeyValue) -> (Bytes, Entry) {
        let key = Bytes::copy_from_slice(&pair.key);
        pair.key = key.clone();
        if self.has_pairs {
            pair.value = Bytes::copy_from_slice(&pair.value);
        }
        let entry = Entry {
            mod_revision: pair.mod_revision,
            pair: self.has_pairs.then(|| pair.clone()),
        };
        (key, entry)
    }
}
