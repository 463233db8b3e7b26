//! Changes that are held back: who knows that a key is gone does not see it come.
//!
//! A read may find the range just as it was told, at a later revision. Whatever changed in between has been undone, by
//! keys that came and went, and who knows that they are gone must not be told one after the other that they come and that
//! they go: such changes are held until they amount to nothing, and told together.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::message::{Event, EventType};

/// What was received and is not told yet.
#[derive(Debug, Default)]
pub(super) struct Held {
    events: Vec<Event>,
    /// The keys that these would show although it is known that they are gone again.
    coming: BTreeSet<Bytes>,
    /// The newest revision at which the range is known to have held what had been told.
    agreed: i64,
}

impl Held {
    /// Takes note that the range at `revision` is just as it has been told.
    pub(super) fn handle_agreement(&mut self, revision: i64) {
        self.agreed = self.agreed.max(revision);
    }

    /// The newest revision at which the range is known to have held what had been told.
    pub(super) fn agreed(&self) -> i64 {
        self.agreed
    }

    /// Takes in the next events, all there are up to `revision`; returns what may be told now, which with them is everything.
    pub(super) fn release(&mut self, revision: i64, mut events: Vec<Event>) -> Option<Vec<Event>> {
        if revision < self.agreed {
            self.note_coming(&events);
        } else {
            self.coming.clear();
        }
        self.events.append(&mut events);
        self.coming.is_empty().then(|| std::mem::take(&mut self.events))
    }

    /// Forgets what is held: a list has told what comes of it.
    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.coming.clear();
    }

    /// Takes note of which keys come, and which go again, with events that are older than what a read has found.
    fn note_coming(&mut self, events: &[Event]) {
        for event in events {
            let key = &event.kv.key;
            if event.event_type == EventType::Delete {
                self.coming.remove(key);
            } else if !self.coming.contains(key) {
                self.coming.insert(key.clone());
            }
        }
    }
}
