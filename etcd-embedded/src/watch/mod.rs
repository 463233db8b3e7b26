//! Watches: streams on which the server says what changes.
//!
//! # The life of a watch
//!
//! ```text
//!                      start revision is
//!   create ──▶ created ─┬─ 0 or in the future ──▶ synced ── a revision commits ──▶ its events, one message
//!                       │                          ▲  ▲
//!                       │        caught up         │  └── snapshot restored: everyone catches up
//!                       └─ in the past ──▶ unsynced┘
//!                                             │  every resync period: the events of up to 1,000 revisions
//!                                             └─ start revision is compacted ──▶ ended; its id is free again, and
//!                                                the stream makes progress again, once its client cancels it
//! ```
//!
//! Every message passes through one queue, in the order in which things happened. All events of a revision that
//! concern a watch are in one message; while catching up, a message holds many revisions, and never a part of one.
//!
//! Source: `server/storage/mvcc/{watchable_store,watcher,watcher_group}.go`, `server/etcdserver/api/v3rpc/watch.go`.

mod catch_up;
mod fragment;
mod group;
mod stream;
mod watcher;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use etcd_core::message::WatchResponse;

use group::Group;
use stream::Stream;
pub(crate) use stream::{Denial, WatchOptions};

use crate::server::CallId;
use crate::store::Store;

/// A watch of a stream.
type WatcherId = (CallId, i64);

/// The id of answers that concern no watch (`InvalidWatchID` in `client/v3/watch.go`).
const NO_WATCH: i64 = -1;

/// All watch streams of one member.
#[derive(Clone, Debug)]
pub(crate) struct Watches {
    streams: BTreeMap<CallId, Stream>,
    /// The watches that are told of a revision the moment it commits.
    synced: Group,
    /// The watches that lie behind.
    unsynced: BTreeSet<WatcherId>,
    next_resync: Option<Instant>,
    /// When each stream tells its watches of progress next.
    progress: BTreeSet<(Instant, CallId)>,
    /// Up to where the synced ones have been told.
    told: i64,
    outputs: VecDeque<(CallId, WatchResponse)>,
    options: WatchOptions,
}

impl Watches {
    pub(crate) fn new(options: WatchOptions, revision: i64) -> Self {
        Self {
            streams: BTreeMap::new(),
            synced: Group::default(),
            unsynced: BTreeSet::new(),
            next_resync: None,
            progress: BTreeSet::new(),
            told: revision,
            outputs: VecDeque::new(),
            options,
        }
    }

    /// Tells the synced watches what has been committed since the last time.
    pub(crate) fn handle_commit(&mut self, store: &Store) {
        while self.told < store.revision() {
            self.told += 1;
            self.tell(store, self.told);
        }
    }

    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        store: &Store,
        jitter: &mut impl FnMut(Duration) -> Duration,
    ) {
        if self.next_resync.is_some_and(|at| at <= now) {
            self.resync(now, store);
        }
        while let Some((at, call)) = self.progress.first().copied()
            && at <= now
        {
            self.progress.remove(&(at, call));
            self.notify_progress(now, call, jitter);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let progress = self.progress.first().map(|(at, _)| *at);
        self.next_resync.into_iter().chain(progress).min()
    }

    /// The next message. Its header lacks all but the revision.
    pub(crate) fn poll_output(&mut self) -> Option<(CallId, WatchResponse)> {
        self.outputs.pop_front()
    }

    /// The number of watches on all streams.
    pub(crate) fn count(&self) -> usize {
        self.streams.values().map(|stream| stream.watchers.len()).sum()
    }

    /// The number of streams, those without a watch included.
    pub(crate) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    fn send(&mut self, call: CallId, message: WatchResponse) {
        self.outputs.push_back((call, message));
    }
}
