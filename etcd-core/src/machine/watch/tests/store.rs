//! What happened: the history of the keys that are watched, and what of it is for whom.

use super::chance::Chance;
use crate::message::{Event, EventType, WatchCreate, WatchFilter};

pub(super) const KEYS: u8 = 4;

/// The history, from revision 1 on: each revision with its changes.
pub(super) struct Store {
    revisions: Vec<Vec<Event>>,
    pub(super) compacted: i64,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            revisions: Vec::new(),
            compacted: 0,
        }
    }

    pub(super) fn revision(&self) -> i64 {
        self.revisions.len() as i64
    }

    pub(super) fn write(&mut self, chance: &mut Chance) {
        let revision = self.revision() + 1;
        let mut keys: Vec<u8> = (0..KEYS).filter(|_| chance.one_in(2)).collect();
        if keys.is_empty() {
            keys.push(0);
        }
        let events = keys.into_iter().map(|key| {
            let mut event = Event::default();
            event.kv.key = vec![key].into();
            event.kv.mod_revision = revision;
            if chance.one_in(3) {
                event.event_type = EventType::Delete;
            }
            event
        });
        self.revisions.push(events.collect());
    }

    pub(super) fn matching(&self, create: &WatchCreate, from: i64, to: i64) -> Vec<Event> {
        let first = usize::try_from(from - 1).unwrap();
        let events = self.revisions.iter().skip(first).flatten();
        events
            .filter(|event| event.kv.mod_revision < to && contains(create, event))
            .cloned()
            .collect()
    }
}

/// Whether servers before 3.5.18 still have the event: not a deletion of the revision they compacted at.
pub(super) fn is_kept(compacted: i64, event: &Event) -> bool {
    event.kv.mod_revision != compacted || event.event_type != EventType::Delete
}

fn contains(create: &WatchCreate, event: &Event) -> bool {
    create.key <= event.kv.key && event.kv.key < create.range_end
}

pub(super) fn is_wanted(create: &WatchCreate, event: &Event) -> bool {
    let unwanted = match event.event_type {
        EventType::Put => WatchFilter::NoPut,
        _ => WatchFilter::NoDelete,
    };
    !create.filters.contains(&unwanted)
}
