//! The connection: what it knows, and what it is told by its driver and its watches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::interface::{ConnectionStatus, WatchId, WatchMode, WatchOrigin, WatchOutput, WatchTimes};
use super::reads::Reason;
use super::stream::{OpenStream, ProgressAnswers, Purpose, question};
use super::watched::{Phase, Watched};
use crate::error::{Error, ErrorKind, Retry};
use crate::machine::Backoff;
use crate::message::{Watch, WatchCreate, WatchProgress};

/// Decides everything about the watches of one connection; the rules, and why they are there, stand in
/// `docs/watching.md`.
///
/// Beyond [the contract of all machines](crate::machine): take all outputs
/// ([`poll_output`](Self::poll_output)) after every `handle_*`, and then poll for steps.
#[derive(Debug)]
pub struct WatchConnection {
    pub(super) mode: WatchMode,
    pub(super) times: WatchTimes,
    /// The most bytes that are held of a message that comes in pieces.
    pub(super) max_bytes: usize,
    pub(super) watches: BTreeMap<WatchId, Watched>,
    pub(super) next_id: u64,

    pub(super) stream: StreamState,
    pub(super) next_wire: i64,
    /// Which watches live on the present stream, by the ids of their creations.
    pub(super) wires: BTreeMap<i64, WatchId>,
    /// The creations of this stream that were cancelled, until the server says so.
    pub(super) leaving: BTreeMap<i64, Option<WatchId>>,
    /// Ids the server used for what it was never asked for.
    pub(super) strangers: BTreeSet<i64>,
    pub(super) queued: VecDeque<WatchId>,
    pub(super) outbox: VecDeque<Watch>,
    pub(super) wants_progress: bool,

    pub(super) must_close: bool,
    pub(super) elsewhere: bool,
    pub(super) stale_token: bool,
    pub(super) backoff: Backoff,
    pub(super) disconnected: Option<(Instant, Option<Arc<Error>>)>,

    pub(super) reads: VecDeque<(Reason, WatchId)>,
    pub(super) reading: Option<(Reason, WatchId)>,
    pub(super) read_again_at: Option<Instant>,
    pub(super) silent_opens: u32,
    pub(super) falls_back: bool,

    pub(super) outputs: VecDeque<(WatchId, WatchOutput)>,
}

#[derive(Debug)]
pub(super) enum StreamState {
    Closed { retry_at: Option<Instant> },
    Opening,
    Open(OpenStream),
}

impl WatchConnection {
    /// A connection without watches. `max_bytes` bounds what is held of a message that comes in pieces.
    #[must_use]
    pub fn new(mode: WatchMode, times: WatchTimes, max_bytes: usize) -> Self {
        Self {
            mode,
            times,
            max_bytes,
            watches: BTreeMap::new(),
            next_id: 1,
            stream: StreamState::Closed { retry_at: None },
            next_wire: 1,
            wires: BTreeMap::new(),
            leaving: BTreeMap::new(),
            strangers: BTreeSet::new(),
            queued: VecDeque::new(),
            outbox: VecDeque::new(),
            wants_progress: false,
            must_close: false,
            elsewhere: false,
            stale_token: false,
            backoff: Backoff::default(),
            disconnected: None,
            reads: VecDeque::new(),
            reading: None,
            read_again_at: None,
            silent_opens: 0,
            falls_back: false,
            outputs: VecDeque::new(),
        }
    }

    /// Adds a watch that starts at `create`'s start revision, which must be positive and is from `origin`.
    ///
    /// In [`WatchMode::Single`] there can be one.
    pub fn handle_create(&mut self, create: WatchCreate, origin: WatchOrigin) -> WatchId {
        debug_assert!(create.start_revision > 0, "a watch without a start revision");
        debug_assert!(self.mode == WatchMode::Duplex || self.watches.is_empty());
        let id = WatchId(self.next_id);
        self.next_id += 1;
        self.watches.insert(id, Watched::new(create, origin));
        self.queued.push_back(id);
        id
    }

    /// Ends a watch, of which nothing is told any more but that it has [left](WatchOutput::Left) the server.
    pub fn handle_cancel(&mut self, id: WatchId) {
        let wire = self.watches.remove(&id).and_then(|watched| watched.wire());
        self.leave_server(wire, Some(id));
    }

    /// Takes note that the batch which began at `from` could not be kept: the watch goes on from there after
    /// [`handle_room`](Self::handle_room).
    pub fn handle_full(&mut self, id: WatchId, from: i64) {
        let Some(watched) = self.watches.get_mut(&id) else {
            return;
        };
        let wire = watched.wire();
        watched.leave(Phase::Paused);
        watched.go_back(from);
        self.leave_server(wire, None);
    }

    /// Takes note that there is room for events again.
    pub fn handle_room(&mut self, id: WatchId) {
        if self
            .watches
            .get(&id)
            .is_some_and(|watched| watched.phase == Phase::Paused)
        {
            self.queue(id);
        }
    }

    /// Asks the server how far its watches have got; where it says so, the positions move on.
    ///
    /// Servers do not answer while a watch lies behind: ask again.
    pub fn handle_progress_request(&mut self) {
        self.wants_progress = true;
    }

    /// Takes note that the stream is open.
    pub fn handle_opened(&mut self, now: Instant) {
        debug_assert!(matches!(self.stream, StreamState::Opening));
        self.silent_opens = 0;
        self.disconnected = None;
        match self.mode {
            WatchMode::Duplex => {
                let mut stream = OpenStream::new(now, ProgressAnswers::Unknown);
                let (first, last) = (self.next_wire - 2, self.next_wire - 1);
                stream.handle_sent(now, first, Purpose::Question);
                stream.handle_sent(now, last, Purpose::EndOfGreeting);
                // Not numbered: what answers this one is worth nothing in any case.
                self.outbox.push_back(WatchProgress::default().into());
                self.outbox.push_back(question(last));
                self.stream = StreamState::Open(stream);
            }
            WatchMode::Single => {
                let mut stream = OpenStream::new(now, ProgressAnswers::AtOnce);
                stream.handle_sent(now, self.next_wire - 1, Purpose::Create);
                self.stream = StreamState::Open(stream);
            }
        }
    }

    /// Takes note that bytes came, even if they do not make a message yet.
    pub fn handle_activity(&mut self, now: Instant) {
        if let StreamState::Open(stream) = &mut self.stream {
            stream.handle_activity(now);
        }
    }

    /// Takes note that the stream ended, with `cause` or without one, or that it could not be opened.
    pub fn handle_closed(&mut self, now: Instant, cause: Error, entropy: u64) {
        let was_opening = matches!(self.stream, StreamState::Opening);
        let retry = cause.retry();
        let is_silent = matches!(cause.kind(), ErrorKind::Timeout(_));
        if was_opening && is_silent && self.mode == WatchMode::Duplex {
            self.ask_whether_reachable();
        }
        match retry {
            Retry::Never => {
                self.close(None);
                self.end_all(&cause);
            }
            _ => self.reopen(now, cause, entropy),
        }
        self.must_close = false;
        self.elsewhere |= retry == Retry::Elsewhere && !was_opening;
        self.stale_token |= retry == Retry::AfterLogin;
    }

    /// Takes note that nobody drives the connection any more: every watch ends with `error`.
    pub fn handle_abandoned(&mut self, error: &Error) {
        self.close(None);
        self.end_all(error);
        self.forget_reads();
    }

    /// The next thing to tell a watch.
    #[must_use = "what is not told is lost"]
    pub fn poll_output(&mut self) -> Option<(WatchId, WatchOutput)> {
        self.outputs.pop_front()
    }

    /// Takes all watches out, each with where it stands, for connections of their own.
    #[must_use]
    pub fn take_watches(&mut self) -> Vec<(WatchId, WatchCreate, WatchOrigin)> {
        self.close(None);
        std::mem::take(&mut self.watches)
            .into_iter()
            .map(|(id, watched)| (id, watched.create.clone(), watched.origin()))
            .collect()
    }

    /// How the connection is.
    #[must_use]
    pub fn status(&self) -> ConnectionStatus {
        match (&self.stream, &self.disconnected) {
            (StreamState::Open(stream), _) => ConnectionStatus::Connected { since: stream.opened },
            (_, Some((since, cause))) => ConnectionStatus::Connecting {
                since: *since,
                cause: cause.clone(),
            },
            (_, None) => ConnectionStatus::Idle,
        }
    }

    /// Whether the server can be believed about progress; `None` if that is not known yet.
    #[must_use]
    pub fn tells_progress(&self) -> Option<bool> {
        match &self.stream {
            StreamState::Open(stream) => match stream.answers {
                ProgressAnswers::Unknown => None,
                ProgressAnswers::AtOnce => Some(false),
                ProgressAnswers::InOrder => Some(true),
            },
            StreamState::Closed { .. } | StreamState::Opening => None,
        }
    }

    /// How many watches there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watches.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }
}
