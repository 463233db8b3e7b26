//! What is known of a connection and its watches, and what those who watch tell it and learn from it. What the stream and
//! its driver tell it stands in the modules below.

mod incoming;
mod lifetime;
mod reads;
mod steps;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use self::lifetime::StreamState;
use self::reads::Reason;
use super::patience::Patience;
use super::stream::ProgressAnswers;
use super::watched::{Phase, Watched};
use super::{ConnectionStatus, WatchId, WatchMode, WatchOrigin, WatchOutput, WatchTimes};
use crate::error::Error;
use crate::machine::Backoff;
use crate::message::{Watch, WatchCancel, WatchCreate};

/// Decides everything about the watches of one connection; the rules, and why they are there, stand in
/// `docs/watching.md`.
///
/// Beyond [the contract of all machines](crate::machine): take all outputs
/// ([`poll_output`](Self::poll_output)) after every `handle_*`, and then poll for steps.
#[derive(Debug)]
pub struct WatchConnection {
    mode: WatchMode,
    times: WatchTimes,
    patience: Patience,
    logs_in: bool,
    /// The most bytes that are held of a message that comes in pieces.
    max_bytes: usize,
    pub(super) watches: BTreeMap<WatchId, Watched>,
    next_id: u64,

    stream: StreamState,
    next_wire: i64,
    /// Which watches live on the present stream, by the ids of their creations.
    wires: BTreeMap<i64, WatchId>,
    /// The creations of this stream that were cancelled, until the server says so.
    pub(super) leaving: BTreeMap<i64, Option<WatchId>>,
    /// Ids the server used for what it was never asked for.
    strangers: BTreeSet<i64>,
    queued: VecDeque<WatchId>,
    outbox: VecDeque<Watch>,
    wants_progress: bool,

    must_close: bool,
    elsewhere: bool,
    stale_token: bool,
    backoff: Backoff,
    disconnected: Option<(Instant, Option<Arc<Error>>)>,

    reads: VecDeque<(Reason, WatchId)>,
    reading: Option<(Reason, WatchId)>,
    read_again_at: Option<Instant>,
    silent_opens: u32,
    falls_back: bool,

    outputs: VecDeque<(WatchId, WatchOutput)>,
}

impl WatchConnection {
    /// A connection without watches. `max_bytes` bounds what is held of a message that comes in pieces.
    #[must_use]
    pub fn new(mode: WatchMode, times: WatchTimes, max_bytes: usize) -> Self {
        Self {
            mode,
            times,
            patience: Patience::new(times),
            logs_in: false,
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

    /// Whether the client can replace a token that a server refuses. Without that, a refusal soon ends a watch; with it,
    /// never, however often tokens are lost. Default no.
    #[must_use]
    pub fn with_login(mut self, logs_in: bool) -> Self {
        self.logs_in = logs_in;
        self
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
            StreamState::Closed { .. } | StreamState::Opening { .. } => None,
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

    /// Has a watch created when there is a stream.
    fn queue(&mut self, id: WatchId) {
        if let Some(watched) = self.watches.get_mut(&id) {
            watched.leave(Phase::Queued);
            self.queued.push_back(id);
        }
    }

    /// Ends a watch with an error.
    fn end(&mut self, id: WatchId, error: Error) {
        if let Some(watched) = self.watches.remove(&id) {
            self.leave_server(watched.wire(), None);
            self.outputs.push_back((id, WatchOutput::Ended(error)));
        }
    }

    /// Ends all watches, each with the error.
    fn end_all(&mut self, error: &Error) {
        let ids: Vec<_> = self.watches.keys().copied().collect();
        for id in ids {
            self.end(id, error.clone());
        }
    }

    /// Ends a creation on the server, of a watch that is to hear of it if it is named.
    fn leave_server(&mut self, wire: Option<i64>, watch: Option<WatchId>) {
        if let (Some(wire), StreamState::Open(_) | StreamState::Opening { .. }) = (wire, &self.stream) {
            self.wires.remove(&wire);
            if self.mode == WatchMode::Duplex {
                self.leaving.insert(wire, watch);
                self.outbox.push_back(WatchCancel::new(wire).into());
                return;
            }
            self.close(None);
        }
        self.outputs.extend(watch.map(|watch| (watch, WatchOutput::Left)));
    }

    /// Takes note that a creation is gone; `false` if it was not meant to be.
    fn handle_left(&mut self, wire: i64) -> bool {
        let Some(watch) = self.leaving.remove(&wire) else {
            return false;
        };
        self.outputs.extend(watch.map(|watch| (watch, WatchOutput::Left)));
        true
    }
}
