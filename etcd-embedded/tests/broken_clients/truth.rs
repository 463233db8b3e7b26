//! What truly happened, taken from the members themselves.

use std::sync::{Arc, Mutex};

use etcd_core::message::{Event, EventType, KeyValue};
use etcd_embedded::sim::Cluster;
use etcd_embedded::store::{ChangeKind, Store};
use etcd_guarantees::History;

/// Collects the changes of all revisions before they are compacted.
#[derive(Clone, Default)]
pub struct Truth(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    events: Vec<Event>,
    revision: i64,
    compactions: Vec<i64>,
}

impl Truth {
    /// Takes in what the members have applied since the last time, and returns the newest revision.
    pub fn harvest(&self, cluster: &Cluster) -> i64 {
        let mut seen = self.0.lock().unwrap();
        for member in 0..cluster.len() {
            cluster.inspect(member, |server| seen.take(server.store()));
        }
        seen.revision
    }

    /// Takes note of a compaction.
    pub fn compacted(&self, revision: i64) {
        let mut seen = self.0.lock().unwrap();
        seen.compactions.push(revision);
    }

    pub fn history(&self) -> History {
        let seen = self.0.lock().unwrap();
        let history = History::new(seen.events.iter().cloned()).unwrap();
        let compacted = |history: History, revision: &i64| history.compacted(*revision);
        seen.compactions.iter().fold(history, compacted)
    }
}

impl Seen {
    fn take(&mut self, store: &Store) {
        for revision in self.revision + 1..=store.revision() {
            for change in store.changes(revision) {
                let mut event = Event::default();
                if change.kind == ChangeKind::Delete {
                    event.event_type = EventType::Delete;
                }
                event.kv = KeyValue::clone(&change.pair);
                self.events.push(event);
            }
            self.revision = revision;
        }
    }
}
