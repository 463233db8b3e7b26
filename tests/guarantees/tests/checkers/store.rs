//! A store just good enough to make up histories with, and a record with a clock of its own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_core::message::{Event, EventType, KeyValue};
use etcd_guarantees::{History, Property, Recorder, Violation, WatchRecorder, WatchRequest};

/// Makes the events that changes cause.
#[derive(Debug)]
pub(crate) struct Store {
    revision: i64,
    together: bool,
    pairs: BTreeMap<Bytes, KeyValue>,
    events: Vec<Event>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            revision: 1,
            together: false,
            pairs: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// The changes that `changes` makes share a revision.
    pub(crate) fn together(&mut self, changes: impl FnOnce(&mut Self)) -> Vec<Event> {
        self.revision += 1;
        self.together = true;
        let begin = self.events.len();
        changes(self);
        self.together = false;
        self.events[begin..].to_vec()
    }

    pub(crate) fn put(&mut self, key: &'static str, value: &'static str) -> Event {
        self.put_with_lease(key, value, 0)
    }

    pub(crate) fn put_with_lease(&mut self, key: &'static str, value: &'static str, lease: i64) -> Event {
        let revision = self.next_revision();
        let (created, version) = self
            .pairs
            .get(key.as_bytes())
            .map_or((revision, 0), |pair| (pair.create_revision, pair.version));
        let mut event = Event::default();
        event.kv.key = key.into();
        event.kv.value = value.into();
        event.kv.create_revision = created;
        event.kv.mod_revision = revision;
        event.kv.version = version + 1;
        event.kv.lease = lease;
        self.pairs.insert(key.into(), event.kv.clone());
        self.events.push(event.clone());
        event
    }

    pub(crate) fn delete(&mut self, key: &'static str) -> Event {
        let revision = self.next_revision();
        self.pairs.remove(key.as_bytes()).expect("a key that exists");
        let mut event = Event::default();
        event.event_type = EventType::Delete;
        event.kv.key = key.into();
        event.kv.mod_revision = revision;
        self.events.push(event.clone());
        event
    }

    pub(crate) fn history(&self) -> History {
        History::new(self.events.iter().cloned()).unwrap()
    }

    pub(crate) fn pairs(&self) -> Vec<KeyValue> {
        self.pairs.values().cloned().collect()
    }

    pub(crate) fn pair(&self, key: &'static str) -> KeyValue {
        self.pairs[key.as_bytes()].clone()
    }

    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    fn next_revision(&mut self) -> i64 {
        if !self.together {
            self.revision += 1;
        }
        self.revision
    }
}

/// A recorder whose clock goes on by a second with each look at it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) recorder: Recorder,
    now: Cell<Instant>,
}

impl Run {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            recorder: Recorder::new(now),
            now: Cell::new(now),
        }
    }

    pub(crate) fn tick(&self) -> Instant {
        self.now.set(self.now.get() + Duration::from_secs(1));
        self.now.get()
    }

    pub(crate) fn watch(&self, request: WatchRequest) -> WatchRecorder {
        self.recorder.watch("watch", request)
    }

    /// The properties found to be broken, each once, in the order of their declaration.
    pub(crate) fn broken(&self, history: &History) -> Vec<Property> {
        let Err(violations) = self.recorder.record().check(history) else {
            return Vec::new();
        };
        let mut broken: Vec<_> = violations.iter().map(Violation::property).collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }

    /// What the record's violations say.
    pub(crate) fn told(&self, history: &History) -> String {
        self.recorder.record().check(history).unwrap_err().to_string()
    }
}

/// An event with the pair before it.
pub(crate) fn with_prev_kv(mut event: Event, pair: KeyValue) -> Event {
    event.prev_kv = Some(pair);
    event
}
