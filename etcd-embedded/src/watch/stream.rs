//! One stream: what its client says, and what it is told at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_core::error::EtcdError;
use etcd_core::message::{Watch, WatchCancel, WatchCreate, WatchResponse};

use super::watcher::Watcher;
use super::{NO_WATCH, Watches};
use crate::Status;
use crate::server::CallId;
use crate::span::Span;
use crate::store::Store;

/// What the server is configured to do about watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchOptions {
    pub(crate) progress_interval: Duration,
    pub(crate) resync_period: Duration,
    /// Where a message is split for those who let it be.
    pub(crate) max_message_bytes: usize,
    /// See [`Dialect::progress_waits_for_sync`](crate::Dialect).
    pub(crate) progress_waits_for_sync: bool,
    /// Whether a watch is told of progress before the revision it starts with (until commit 2d5a9b986 of release 3.5).
    pub(crate) tells_progress_before_start: bool,
    /// Whether a negative start revision is refused at once.
    pub(crate) refuses_negative_start: bool,
}

/// How a watch is told that it is not permitted.
#[derive(Clone, Debug)]
pub(crate) enum Denial {
    /// With the reason, under the id -1.
    Clear(Status),
    /// As 3.5.1 does: whatever the reason, under the id the client asked for. If the stream has a watch of that id, its
    /// server side takes it for cancelled, and its messages never leave.
    Ambiguous,
}

#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) watchers: BTreeMap<i64, Watcher>,
    next_id: i64,
    progress_at: Option<Instant>,
}

impl Watches {
    pub(crate) fn open(&mut self, now: Instant, call: CallId, jitter: &mut impl FnMut(Duration) -> Duration) {
        let interval = self.options.progress_interval;
        let stream = Stream {
            watchers: BTreeMap::new(),
            next_id: 0,
            progress_at: now.checked_add(interval + jitter(interval / 10)),
        };
        self.progress.extend(stream.progress_at.map(|at| (at, call)));
        self.streams.insert(call, stream);
    }

    pub(crate) fn close(&mut self, call: CallId) {
        let Some(stream) = self.streams.remove(&call) else {
            return;
        };
        if let Some(at) = stream.progress_at {
            self.progress.remove(&(at, call));
        }
        for (id, watcher) in stream.watchers {
            self.synced.remove((call, id), &watcher.span);
            self.unsynced.remove(&(call, id));
        }
        self.outputs.retain(|(to, _)| *to != call);
    }

    /// Takes one message of the client. `permission` is asked about what a new watch would read.
    pub(crate) fn handle_message(
        &mut self,
        now: Instant,
        call: CallId,
        message: Watch,
        store: &Store,
        jitter: &mut impl FnMut(Duration) -> Duration,
        permission: impl FnOnce(&Bytes, &Bytes) -> Result<(), Denial>,
    ) {
        match message {
            Watch::Create(create) => self.create(now, call, create, store, jitter, permission),
            Watch::Cancel(cancel) => self.cancel(call, &cancel, store),
            Watch::Progress(_) => self.request_progress(call, store),
            // A server passes over a message that says nothing.
            _ => {}
        }
    }

    fn create(
        &mut self,
        now: Instant,
        call: CallId,
        mut create: WatchCreate,
        store: &Store,
        jitter: &mut impl FnMut(Duration) -> Duration,
        permission: impl FnOnce(&Bytes, &Bytes) -> Result<(), Denial>,
    ) {
        if create.key.is_empty() {
            create.key = Bytes::from_static(b"\0");
        }
        let mut answer = WatchResponse::default();
        answer.header.revision = store.revision();
        answer.created = true;

        if create.start_revision < 0 && self.options.refuses_negative_start {
            return self.refuse(call, answer, EtcdError::Compacted.to_string());
        }
        match permission(&create.key, &create.range_end) {
            Ok(()) => {}
            Err(Denial::Clear(status)) => return self.refuse(call, answer, status.in_words_of_grpc()),
            Err(Denial::Ambiguous) => {
                answer.watch_id = create.watch_id;
                if let Some(watcher) = self.watcher_mut((call, create.watch_id)) {
                    watcher.muted = true;
                }
                let reason = Status::from(EtcdError::PermissionDenied).in_words_of_grpc();
                answer.canceled = true;
                answer.cancel_reason = reason;
                return self.send(call, answer);
            }
        }
        let span = Span::new(&create.key, &create.range_end);
        if span.is_empty() {
            return self.refuse(call, answer, EtcdError::WatchEmptyRange.to_string());
        }
        let Some(stream) = self.streams.get_mut(&call) else {
            return;
        };
        let id = if create.watch_id == 0 {
            while stream.watchers.contains_key(&stream.next_id) {
                stream.next_id += 1;
            }
            stream.next_id += 1;
            stream.next_id - 1
        } else if stream.watchers.contains_key(&create.watch_id) {
            return self.refuse(call, answer, EtcdError::WatchDuplicateId.to_string());
        } else {
            create.watch_id
        };

        let mut watcher = Watcher::new(&create, span);
        watcher.synced = create.start_revision == 0 || create.start_revision > store.revision();
        if watcher.synced {
            watcher.next_revision = create.start_revision.max(store.revision() + 1);
            self.synced.insert((call, id), &watcher.span);
        } else {
            self.unsynced.insert((call, id));
            if self.next_resync.is_none() {
                // The loop that serves them runs all the time: a new one meets it at any point of its period.
                self.next_resync = Some(now + jitter(self.options.resync_period));
            }
        }
        stream.watchers.insert(id, watcher);
        answer.watch_id = id;
        self.send(call, answer);
    }

    fn refuse(&mut self, call: CallId, mut answer: WatchResponse, reason: String) {
        answer.watch_id = NO_WATCH;
        answer.canceled = true;
        answer.cancel_reason = reason;
        self.send(call, answer);
    }

    fn cancel(&mut self, call: CallId, cancel: &WatchCancel, store: &Store) {
        let id = cancel.watch_id;
        if self.remove((call, id)) {
            let mut answer = WatchResponse::default();
            answer.header.revision = store.revision();
            answer.watch_id = id;
            answer.canceled = true;
            self.send(call, answer);
        }
    }

    /// Says how far all watches of a stream are, unless one of them lies behind: then the request is lost.
    fn request_progress(&mut self, call: CallId, store: &Store) {
        let Some(stream) = self.streams.get(&call) else {
            return;
        };
        let revision = store.revision();
        if self.options.progress_waits_for_sync {
            let in_sync = |watcher: &Watcher| watcher.synced && watcher.start_revision <= revision;
            if stream.watchers.is_empty() || !stream.watchers.values().all(in_sync) {
                return;
            }
        }
        let mut answer = WatchResponse::default();
        answer.header.revision = revision;
        answer.watch_id = NO_WATCH;
        self.send(call, answer);
    }

    /// Tells the watches of a stream that want it how far they are.
    pub(super) fn notify_progress(
        &mut self,
        now: Instant,
        call: CallId,
        jitter: &mut impl FnMut(Duration) -> Duration,
    ) {
        let interval = self.options.progress_interval;
        let told = self.told;
        let Some(stream) = self.streams.get_mut(&call) else {
            return;
        };
        stream.progress_at = now.checked_add(interval + jitter(interval / 10));
        self.progress.extend(stream.progress_at.map(|at| (at, call)));
        let mut ready = Vec::new();
        for (id, watcher) in &mut stream.watchers {
            let Some(due) = &mut watcher.progress else {
                continue;
            };
            let begun = watcher.start_revision <= told || self.options.tells_progress_before_start;
            if *due && watcher.synced && !watcher.muted && begun {
                ready.push(*id);
            }
            *due = true;
        }
        for id in ready {
            let mut message = WatchResponse::default();
            message.header.revision = told;
            message.watch_id = id;
            self.send(call, message);
        }
    }

    pub(super) fn watcher_mut(&mut self, (call, id): super::WatcherId) -> Option<&mut Watcher> {
        self.streams.get_mut(&call)?.watchers.get_mut(&id)
    }

    /// Forgets a watch; `false` if there was none.
    pub(super) fn remove(&mut self, (call, id): super::WatcherId) -> bool {
        let removed = self
            .streams
            .get_mut(&call)
            .and_then(|stream| stream.watchers.remove(&id));
        let Some(watcher) = removed else {
            return false;
        };
        self.synced.remove((call, id), &watcher.span);
        self.unsynced.remove(&(call, id));
        true
    }
}
