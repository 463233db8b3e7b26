//! Events, for those who keep up and for those who catch up.

use std::collections::BTreeMap;
use std::time::Instant;

use etcd_core::message::{Event, WatchResponse};

use super::fragment::fragments;
use super::{WatcherId, Watches};
use crate::store::Store;

/// The most revisions that one message of a catch-up holds (`watchBatchMaxRevs` in `watcher_group.go`).
const MAX_REVISIONS: usize = 1000;

/// The most watches that are served in one go (`maxWatchersPerSync` in `watchable_store.go`).
const MAX_WATCHERS: usize = 512;

impl Watches {
    /// Tells the synced watches of one revision.
    pub(super) fn tell(&mut self, store: &Store, revision: i64) {
        let mut concerned: BTreeMap<WatcherId, Vec<Event>> = BTreeMap::new();
        for change in store.changes(revision) {
            for (call, id) in self.synced.watching(&change.pair.key) {
                let watcher = self
                    .streams
                    .get(&call)
                    .and_then(|stream| stream.watchers.get(&id));
                if let Some(watcher) = watcher
                    && watcher.next_revision <= revision
                    && let Some(event) = watcher.event(store, change)
                {
                    concerned.entry((call, id)).or_default().push(event);
                }
            }
        }
        for (id, events) in concerned {
            self.send_events(id, revision, events);
        }
    }

    /// Serves the watches that lie behind, and moves those to the others that no longer do.
    pub(super) fn resync(&mut self, now: Instant, store: &Store) {
        let ids: Vec<_> = self.unsynced.iter().copied().take(MAX_WATCHERS).collect();
        for id in ids {
            self.catch_up(id, store);
        }
        self.next_resync = (!self.unsynced.is_empty()).then(|| now + self.options.resync_period);
    }

    fn catch_up(&mut self, id: WatcherId, store: &Store) {
        let revision = store.revision();
        let Some(watcher) = self
            .streams
            .get(&id.0)
            .and_then(|stream| stream.watchers.get(&id.1))
        else {
            self.unsynced.remove(&id);
            return;
        };
        // Before the first compaction, etcd has the one at -1 (`NewStore`).
        let compact_revision = match store.compact_revision() {
            0 => -1,
            revision => revision,
        };
        if watcher.next_revision < compact_revision {
            let muted = watcher.muted;
            // Until its client cancels it, it keeps its id, and counts as one that lies behind.
            self.unsynced.remove(&id);
            let mut message = WatchResponse::default();
            message.watch_id = id.1;
            message.canceled = true;
            message.compact_revision = compact_revision;
            if !muted {
                self.send(id.0, message);
            }
            return;
        }

        let mut events = Vec::new();
        let mut revisions = 0;
        let mut more_from = None;
        // As unsigned numbers, which they are in the database, negative revisions lie after all others.
        let first = if watcher.next_revision < 0 {
            revision + 1
        } else {
            watcher.next_revision
        };
        for candidate in first..=revision {
            let mut concerned = false;
            for change in store.changes(candidate) {
                if !watcher.span.contains(&change.pair.key) {
                    continue;
                }
                if !concerned {
                    // What is filtered out counts as well: the server filters when it sends.
                    concerned = true;
                    revisions += 1;
                    if revisions > MAX_REVISIONS {
                        break;
                    }
                }
                events.extend(watcher.event(store, change));
            }
            if revisions > MAX_REVISIONS {
                more_from = Some(candidate);
                break;
            }
        }
        let span = watcher.span.clone();
        if let Some(watcher) = self.watcher_mut(id) {
            watcher.next_revision = more_from.unwrap_or(watcher.next_revision.max(revision + 1));
            watcher.synced = more_from.is_none();
        }
        if more_from.is_none() {
            self.unsynced.remove(&id);
            self.synced.insert(id, &span);
        }
        if !events.is_empty() {
            self.send_events(id, revision, events);
        }
    }

    fn send_events(&mut self, id: WatcherId, revision: i64, events: Vec<Event>) {
        let limit = self.options.max_message_bytes;
        let Some(watcher) = self.watcher_mut(id) else {
            return;
        };
        if watcher.muted {
            return;
        }
        if let Some(due) = &mut watcher.progress {
            *due = false;
        }
        let split = watcher.fragment;
        let mut message = WatchResponse::default();
        message.header.revision = revision;
        message.watch_id = id.1;
        message.events = events;
        if split {
            for fragment in fragments(message, limit) {
                self.send(id.0, fragment);
            }
        } else {
            self.send(id.0, message);
        }
    }
}
