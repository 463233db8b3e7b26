//! What really happened.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyetcd::message::{Event, EventType};
use etcd_embedded::sim::World;
use etcd_embedded::store::ChangeKind;
use etcd_guarantees::History;

/// All that happened, taken from the server before a compaction can drop it.
#[derive(Clone, Default)]
pub(crate) struct Chronicle(Arc<Mutex<Chapters>>);

#[derive(Default)]
struct Chapters {
    events: Vec<Event>,
    revision: i64,
    /// When somebody looked, and what the newest revision was then.
    looks: Vec<(Instant, i64)>,
    compactions: Vec<i64>,
    compacted: i64,
}

impl Chronicle {
    /// Writes down what has happened since the last time; returns the newest revision.
    pub(crate) fn continue_with(&self, world: &World) -> i64 {
        let cluster = world.cluster();
        let newest = (0..cluster.len())
            .max_by_key(|member| cluster.inspect(*member, |server| server.store().revision()))
            .unwrap();
        let mut chapters = self.0.lock().unwrap();
        cluster.inspect(newest, |server| {
            let store = server.store();
            for revision in chapters.revision + 1..=store.revision() {
                for change in store.changes(revision) {
                    let mut event = Event::default();
                    event.kv = (*change.pair).clone();
                    if change.kind == ChangeKind::Delete {
                        event.event_type = EventType::Delete;
                    }
                    chapters.events.push(event);
                }
                chapters.revision = revision;
            }
        });
        let look = (world.now(), chapters.revision);
        chapters.looks.push(look);
        chapters.revision
    }

    /// The newest revision that there can have been at `instant`, as far as somebody has looked.
    pub(crate) fn newest_at(&self, world: &World, instant: Instant) -> i64 {
        let newest = self.continue_with(world);
        let chapters = self.0.lock().unwrap();
        let after = chapters.looks.partition_point(|(at, _)| *at < instant);
        chapters
            .looks
            .get(after)
            .map_or(newest, |(_, revision)| *revision)
    }

    /// Somebody is about to compact at `revision`; whether it will be applied is not known if it fails.
    pub(crate) fn will_compact(&self, revision: i64) {
        let mut chapters = self.0.lock().unwrap();
        chapters.compactions.push(revision);
        chapters.compacted = chapters.compacted.max(revision);
    }

    /// Excuses watches that are told that everything before `revision` is compacted, if it almost is.
    pub(crate) fn allow_compacted(&self, revision: i64) {
        let mut chapters = self.0.lock().unwrap();
        if revision == chapters.compacted + 1 {
            chapters.compacted = revision;
        }
    }

    pub(crate) fn history(&self) -> History {
        let chapters = self.0.lock().unwrap();
        let history = History::new(chapters.events.clone()).unwrap();
        let compactions = chapters.compactions.iter().chain([&chapters.compacted]);
        compactions.fold(history, |history, revision| history.compacted(*revision))
    }
}
