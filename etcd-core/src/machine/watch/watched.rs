//! One watch: where it stands, and what it makes of what the server says of it.

use super::buffer::bytes_of;
use super::{EventBatch, WatchOrigin};
use crate::error::{ErrorKind, ProtocolError};
use crate::message::{Event, WatchCreate, WatchResponse};

/// A watch, whatever becomes of the streams it lives on.
#[derive(Debug)]
pub(super) struct Watched {
    /// How it is created. Its start revision is where the watch stands: the first revision it has not told of.
    pub(super) create: WatchCreate,
    /// The highest revision that is known to have existed; 0 for none.
    pub(super) seen: i64,
    /// The same when the read under way was begun, which need not show more.
    pub(super) seen_before_read: i64,
    pub(super) phase: Phase,
    /// How often in a row a server refused to create it for reasons that may pass.
    pub(super) refusals: u32,
    /// How often in a row a server ended it without a reason.
    pub(super) unexplained: u32,
    /// Whether something before its position may have been compacted since the position was learned.
    starts_early: bool,
    /// Whether its consumer knows that it was created.
    pub(super) is_announced: bool,
    pieces: Vec<Event>,
    pieces_bytes: usize,
}

/// How far a watch has got on the present stream; see the chart of [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits to be created.
    Queued,
    /// Its creation was sent under this id.
    Creating { wire: i64 },
    /// It was created under this id, after so many requests for progress had been sent.
    Live { wire: i64, asked_before: u64 },
    /// Its consumer has no room.
    Paused,
    /// A read is to tell whether it is permitted.
    Checking,
}

impl Watched {
    pub(super) fn new(create: WatchCreate, origin: WatchOrigin) -> Self {
        let before = create.start_revision - 1;
        Self {
            // Whoever asked for it or not: it keeps the position of a watch from being compacted away.
            create: create.progress_notify(),
            seen: if origin == WatchOrigin::Given { 0 } else { before },
            seen_before_read: 0,
            starts_early: origin != WatchOrigin::Read,
            phase: Phase::Queued,
            refusals: 0,
            unexplained: 0,
            is_announced: false,
            pieces: Vec::new(),
            pieces_bytes: 0,
        }
    }

    /// The first revision it has not told of.
    pub(super) fn position(&self) -> i64 {
        self.create.start_revision
    }

    /// Where its position is from, for another connection.
    pub(super) fn origin(&self) -> WatchOrigin {
        if self.seen == 0 {
            WatchOrigin::Given
        } else {
            WatchOrigin::Resumed
        }
    }

    /// What creates it: it starts a revision earlier than it has to, and drops what it knows. Servers before 3.5.18 lose the
    /// deletions of the very revision they compact at, and say nothing to a watch that starts there (etcd's issue 19179). A
    /// watch that starts below is told that it is compacted.
    ///
    /// Not so right after the read that told its position: a server has a watch that starts in its past wait for up to
    /// 100 ms (`syncWatchersLoop` in `server/storage/mvcc/watchable_store.go`). If it turns out to start in the past all the
    /// same, see [`is_overtaken`](Self::is_overtaken).
    pub(super) fn next_create(&self, wire: i64) -> WatchCreate {
        let create = self.create.clone().watch_id(wire);
        if !self.starts_early {
            return create;
        }
        let before = (self.position() - 1).max(1);
        create.start_revision(before)
    }

    /// Whether the server had got to the position, and may have compacted there, before it created a watch that does not
    /// start early.
    pub(super) fn is_overtaken(&self, revision: i64) -> bool {
        !self.starts_early && revision >= self.position()
    }

    /// Whether it may keep a server from answering requests for progress, which none does while a watch of the stream starts
    /// in the future: one that starts right after what there was does so until something is written.
    pub(super) fn is_ahead(&self) -> bool {
        !self.starts_early && matches!(self.phase, Phase::Live { .. })
    }

    /// Its id on the present stream, if it has one.
    pub(super) fn wire(&self) -> Option<i64> {
        match self.phase {
            Phase::Creating { wire } | Phase::Live { wire, .. } => Some(wire),
            Phase::Queued | Phase::Paused | Phase::Checking => None,
        }
    }

    /// Leaves its stream: what was half received will be sent anew.
    pub(super) fn leave(&mut self, phase: Phase) {
        self.phase = phase;
        self.starts_early = true;
        self.pieces = Vec::new();
        self.pieces_bytes = 0;
    }

    /// Goes back to an earlier position, whose events were received and could not be kept.
    pub(super) fn go_back(&mut self, position: i64) {
        debug_assert!(position <= self.position());
        self.create.start_revision = position;
    }

    /// Takes a message with events. Pieces of a split message are held until the last one has come: only then are all
    /// events of a revision there.
    pub(super) fn take_events(
        &mut self,
        message: WatchResponse,
        max_bytes: usize,
    ) -> Result<Option<EventBatch>, ErrorKind> {
        let has_more = message.fragment;
        if has_more || !self.pieces.is_empty() {
            self.pieces_bytes += bytes_of(&message.events);
            if self.pieces_bytes > max_bytes {
                return Err(ErrorKind::ResponseTooLarge { limit: max_bytes });
            }
        }
        let mut events = if self.pieces.is_empty() {
            message.events
        } else {
            let mut pieces = std::mem::take(&mut self.pieces);
            pieces.extend(message.events);
            pieces
        };
        if has_more {
            self.pieces = events;
            return Ok(None);
        }
        self.pieces_bytes = 0;
        let are_ordered = events.is_sorted_by_key(|event| event.kv.mod_revision);
        if !are_ordered || events.first().is_some_and(|event| event.kv.mod_revision <= 0) {
            // A server that mixes up revisions, or leaves them out, cannot be followed.
            return Err(ProtocolError::OutOfOrder.into());
        }
        let from = self.position();
        events.retain(|event| event.kv.mod_revision >= from);
        let Some(last) = events.last() else {
            return Ok(None);
        };
        let last = last.kv.mod_revision;
        let position = last.saturating_add(1);
        self.create.start_revision = position;
        self.seen = self.seen.max(last);
        self.refusals = 0;
        self.unexplained = 0;
        Ok(Some(EventBatch::new(events, from, position)))
    }

    /// Takes note that `revision` exists: then what lies before the position does, even if nothing of it was told.
    pub(super) fn take_revision(&mut self, revision: i64) {
        let before = self.position() - 1;
        if revision >= before {
            self.seen = self.seen.max(before);
        }
    }

    /// Takes note that the watch has seen everything up to `revision`; whether that is news.
    pub(super) fn take_progress(&mut self, revision: i64) -> bool {
        self.take_revision(revision);
        let position = revision.saturating_add(1);
        let is_news = position > self.position() && self.pieces.is_empty();
        if is_news {
            self.create.start_revision = position;
            self.seen = self.seen.max(revision);
        }
        is_news
    }
}
