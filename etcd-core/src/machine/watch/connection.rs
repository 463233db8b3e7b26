//! The connection: what it is told by its driver and its watches, and what is to be done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::EventBatch;
use super::stream::{OpenStream, ProgressAnswers, Purpose, Silence, question};
use super::watched::{Phase, Watched};
use crate::error::{
    ClusterChanged, Code, Error, ErrorKind, EtcdError, Retry, ServerError, Timeout, TimeoutPhase,
};
use crate::key::KeyRange;
use crate::machine::Backoff;
use crate::message::{Get, Watch, WatchCancel, WatchCreate};

/// How often in a row a stream may be opened without getting a head, though the server answers other calls, before the
/// way there is held to be unable of carrying both directions at once.
const SILENT_OPENS: u32 = 2;

/// The pause before a read is made again that failed for reasons which may pass.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A watch of a connection. Never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(u64);

/// Where a watch's start revision is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchOrigin {
    /// It was asked for, and may lie in the past or in the future.
    Given,
    /// It follows the revision of a read just made.
    Read,
    /// An earlier watch has seen everything before it.
    Resumed,
}

/// How the connection carries its watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchMode {
    /// Any number of them, created and cancelled while it lives.
    Duplex,
    /// One, which is named when the stream is opened and ends with it.
    Single,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchTimes {
    /// After hearing nothing for this time, the server is asked whether it is there.
    ///
    /// 10 s: Go's client does so only if told to; `etcdctl` does every 2 s.
    pub idle: Duration,
    /// How long it may take to answer that. 5 s, above what an election takes.
    pub patience: Duration,
    /// In [`WatchMode::Single`], where nothing can be asked, the stream is opened anew after hearing nothing for this
    /// time: 60 s.
    pub idle_single: Duration,
    /// How often the server is asked how far its watches have got, where it can be believed. A watch whose keys never
    /// change has to move on as well, or the history it would go on from is compacted some day: 60 s, less than any
    /// sensible retention (`--auto-compaction-retention`; Kubernetes compacts every five minutes).
    pub progress: Duration,
}

impl Default for WatchTimes {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10),
            patience: Duration::from_secs(5),
            idle_single: Duration::from_secs(60),
            progress: Duration::from_secs(60),
        }
    }
}

/// What to do next.
#[derive(Debug)]
#[must_use]
pub enum WatchStep {
    /// Open a stream, then [`handle_opened`](WatchConnection::handle_opened) once its head is there, or
    /// [`handle_closed`](WatchConnection::handle_closed).
    Open {
        /// What to send first.
        first: Watch,
        /// Whether the endpoint of the last stream should not be asked again if there is another.
        elsewhere: bool,
        /// Whether the token of the last stream was refused.
        stale_token: bool,
        /// Whether more is to be sent on it.
        mode: WatchMode,
    },
    /// Send this on the stream.
    Send(Watch),
    /// Close the stream. It is not to be reported as closed.
    Close,
    /// Make this read, then [`handle_read`](WatchConnection::handle_read).
    Read(Get),
    /// Carry each watch on a connection of its own, in [`WatchMode::Single`]:
    /// [`take_watches`](WatchConnection::take_watches).
    FallBack,
    /// Nothing, until something happens or this time comes.
    Wait {
        /// `None`: whatever the time.
        until: Option<Instant>,
    },
}

/// What there is to tell the consumers of watches.
#[derive(Debug)]
pub enum WatchOutput {
    /// The server has created the watch. Told once.
    Created,
    /// Events. If there is no room for them: [`handle_full`](WatchConnection::handle_full), before anything else.
    Batch(EventBatch),
    /// Everything before this position was seen.
    Position(i64),
    /// The watch has ended; nothing follows.
    Ended(Error),
    /// The watch that was [cancelled](WatchConnection::handle_cancel) is gone from the server.
    Left,
}

/// How the connection is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionStatus {
    /// There is none, and none is needed.
    Idle,
    /// It is being made.
    Connecting {
        /// Since when there has been none.
        since: Instant,
        /// Why the last one ended, or the last attempt failed.
        cause: Option<Arc<Error>>,
    },
    /// There is one.
    Connected {
        /// Since when.
        since: Instant,
    },
}

/// Decides everything about the watches of one connection; see [the rules](super).
///
/// Beyond [the contract of all machines](crate::machine): take all outputs
/// ([`poll_output`](Self::poll_output)) after every `handle_*`, and then poll for steps.
#[derive(Debug)]
pub struct WatchConnection {
    pub(super) mode: WatchMode,
    times: WatchTimes,
    /// The most bytes that are held of a message that comes in pieces.
    pub(super) max_bytes: usize,
    pub(super) watches: BTreeMap<WatchId, Watched>,
    next_id: u64,

    pub(super) stream: StreamState,
    next_wire: i64,
    /// Which watches live on the present stream, by the ids of their creations.
    pub(super) wires: BTreeMap<i64, WatchId>,
    /// The creations of this stream that were cancelled, until the server says so.
    pub(super) leaving: BTreeMap<i64, Option<WatchId>>,
    /// Ids the server used for what it was never asked for.
    pub(super) strangers: BTreeSet<i64>,
    pub(super) queued: VecDeque<WatchId>,
    pub(super) outbox: VecDeque<Watch>,
    wants_progress: bool,

    must_close: bool,
    elsewhere: bool,
    stale_token: bool,
    backoff: Backoff,
    disconnected: Option<(Instant, Option<Arc<Error>>)>,

    pub(super) reads: VecDeque<(Reason, WatchId)>,
    reading: Option<(Reason, WatchId)>,
    read_again_at: Option<Instant>,
    silent_opens: u32,
    falls_back: bool,

    pub(super) outputs: VecDeque<(WatchId, WatchOutput)>,
}

#[derive(Debug)]
pub(super) enum StreamState {
    Closed { retry_at: Option<Instant> },
    Opening,
    Open(OpenStream),
}

/// Why a read is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// A server's revision is lower than one that was seen.
    Revision,
    /// A server says that the watch is not permitted, and may mean that the token is stale.
    Permission,
    /// A stream got no head: does the server answer at all?
    Reachable,
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
                self.outbox
                    .push_back(crate::message::WatchProgress::default().into());
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
    }

    /// Takes the answer to a read: the revision in its header.
    pub fn handle_read(&mut self, now: Instant, result: Result<i64, Error>, entropy: u64) {
        let Some((reason, id)) = self.reading.take() else {
            return;
        };
        let revision = match result {
            Ok(revision) => revision,
            Err(error) => return self.handle_failed_read(now, reason, id, error),
        };
        self.end_those_ahead_of(revision);
        match reason {
            Reason::Revision => self.reads.retain(|(reason, _)| *reason != Reason::Revision),
            Reason::Permission => {
                // The read has renewed the token, if that was the matter: open the stream with the new one.
                if self.queue_checked(id) {
                    let denial = EtcdError::PermissionDenied.to_string();
                    let cause = ServerError::new(Code::PermissionDenied, &denial);
                    self.reopen(now, cause.into(), entropy);
                    self.retry_at_once(now);
                }
            }
            Reason::Reachable => {
                self.silent_opens += 1;
                self.falls_back = self.silent_opens >= SILENT_OPENS;
            }
        }
    }

    /// What to do next.
    pub fn poll_step(&mut self, now: Instant, entropy: u64) -> WatchStep {
        if std::mem::take(&mut self.must_close) {
            return WatchStep::Close;
        }
        if self.watches.is_empty() {
            return self.poll_rest();
        }
        if std::mem::take(&mut self.falls_back) {
            return WatchStep::FallBack;
        }
        if let Some(read) = self.next_read(now) {
            return WatchStep::Read(read);
        }
        match &self.stream {
            StreamState::Closed { retry_at } => self.poll_closed(now, *retry_at),
            StreamState::Opening => self.wait(None),
            StreamState::Open(_) => self.poll_open(now, entropy),
        }
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

    fn poll_rest(&mut self) -> WatchStep {
        if matches!(self.stream, StreamState::Open(_) | StreamState::Opening) {
            self.close(None);
            self.must_close = false;
            return WatchStep::Close;
        }
        self.disconnected = None;
        WatchStep::Wait { until: None }
    }

    fn poll_closed(&mut self, now: Instant, retry_at: Option<Instant>) -> WatchStep {
        if let Some(at) = retry_at.filter(|at| *at > now) {
            return self.wait(Some(at));
        }
        // While it is being asked whether the server can be reached, another attempt would only fail like the last.
        let is_asked = self
            .reading
            .is_some_and(|(reason, _)| reason == Reason::Reachable)
            || self.reads.iter().any(|(reason, _)| *reason == Reason::Reachable);
        if is_asked || !self.has_queued() {
            return self.wait(None);
        }
        let first = match self.mode {
            WatchMode::Duplex => {
                let first = self.new_wire();
                self.new_wire();
                question(first)
            }
            WatchMode::Single => match self.next_create() {
                Some((_, create)) => create,
                None => return self.wait(None),
            },
        };
        self.stream = StreamState::Opening;
        self.disconnected.get_or_insert((now, None));
        WatchStep::Open {
            first,
            elsewhere: std::mem::take(&mut self.elsewhere),
            stale_token: std::mem::take(&mut self.stale_token),
            mode: self.mode,
        }
    }

    fn poll_open(&mut self, now: Instant, entropy: u64) -> WatchStep {
        if let Some(message) = self.outbox.pop_front() {
            return WatchStep::Send(message);
        }
        if self.mode == WatchMode::Duplex {
            if let Some((wire, create)) = self.next_create() {
                if let StreamState::Open(stream) = &mut self.stream {
                    stream.handle_sent(now, wire, Purpose::Create);
                }
                return WatchStep::Send(create);
            }
            if let Some(request) = self.next_progress_request(now) {
                return WatchStep::Send(request);
            }
        }
        let (idle, patience) = match self.mode {
            WatchMode::Duplex => (self.times.idle, self.times.patience),
            WatchMode::Single => (self.times.idle_single, self.times.patience),
        };
        let StreamState::Open(stream) = &mut self.stream else {
            return self.wait(None);
        };
        match stream.silence(now, idle, patience) {
            Silence::Until(at) => {
                let asks = stream.answers == ProgressAnswers::InOrder;
                let asks_at = asks.then_some(stream.asked_at + self.times.progress);
                self.wait(asks_at.into_iter().chain([at]).min())
            }
            Silence::Question if self.mode == WatchMode::Duplex => {
                stream.handle_questioned(now);
                let wire = self.new_wire();
                if let StreamState::Open(stream) = &mut self.stream {
                    stream.handle_sent(now, wire, Purpose::Question);
                }
                WatchStep::Send(question(wire))
            }
            silence => {
                let limit = idle + patience;
                let cause = Timeout::new(TimeoutPhase::Body).with_limit(limit).into();
                self.reopen(now, cause, entropy);
                // It has waited long enough.
                self.retry_at_once(now);
                self.elsewhere = silence == Silence::Dead;
                self.poll_step(now, entropy)
            }
        }
    }

    fn next_create(&mut self) -> Option<(i64, Watch)> {
        while let Some(id) = self.queued.pop_front() {
            let wire = self.next_wire;
            let Some(watched) = self.watches.get_mut(&id) else {
                continue;
            };
            if watched.phase != Phase::Queued {
                continue;
            }
            watched.phase = Phase::Creating { wire };
            let create = watched.next_create(wire);
            self.new_wire();
            self.wires.insert(wire, id);
            return Some((wire, create.into()));
        }
        None
    }

    fn next_progress_request(&mut self, now: Instant) -> Option<Watch> {
        let StreamState::Open(stream) = &mut self.stream else {
            return None;
        };
        let is_due = now >= stream.asked_at + self.times.progress;
        match stream.answers {
            ProgressAnswers::InOrder if self.wants_progress || is_due => {
                self.wants_progress = false;
                stream.asked_at = now;
                Some(stream.ask_for_progress())
            }
            ProgressAnswers::InOrder | ProgressAnswers::Unknown => None,
            ProgressAnswers::AtOnce => {
                self.wants_progress = false;
                None
            }
        }
    }

    fn next_read(&mut self, now: Instant) -> Option<Get> {
        if self.reading.is_some() || self.read_again_at.is_some_and(|at| at > now) {
            return None;
        }
        self.read_again_at = None;
        while let Some((reason, id)) = self.reads.pop_front() {
            let Some(watched) = self.watches.get(&id) else {
                continue;
            };
            let WatchCreate { key, range_end, .. } = watched.create.clone();
            let get = match reason {
                Reason::Permission => Get::new(KeyRange::from_parts(key, range_end)).limit(1),
                Reason::Revision | Reason::Reachable => Get::new(KeyRange::single(key)),
            };
            self.reading = Some((reason, id));
            return Some(get.keys_only());
        }
        None
    }

    fn handle_failed_read(&mut self, now: Instant, reason: Reason, id: WatchId, error: Error) {
        if matches!(error.kind(), ErrorKind::ClusterChanged(_)) {
            return self.end_all(&error);
        }
        match (reason, error.retry()) {
            (Reason::Reachable, _) => self.silent_opens = 0,
            (Reason::Permission, Retry::Never | Retry::AfterLogin) => self.end(id, error),
            // Not a read that is refused for good: nothing was learned, and nothing will be.
            (Reason::Revision, Retry::Never | Retry::AfterLogin) => {}
            (Reason::Permission | Reason::Revision, _) => {
                self.reads.push_back((reason, id));
                self.read_again_at = Some(now + READ_AGAIN_AFTER);
            }
        }
    }

    fn ask_whether_reachable(&mut self) {
        if let Some(id) = self.watches.keys().next() {
            self.reads.push_back((Reason::Reachable, *id));
        }
    }

    /// Ends the watches that have seen more than there is.
    fn end_those_ahead_of(&mut self, revision: i64) {
        let ahead: Vec<_> = self
            .watches
            .iter()
            .filter(|(_, watched)| watched.seen > revision)
            .map(|(id, watched)| (*id, watched.seen))
            .collect();
        for (id, seen) in ahead {
            let actual = revision;
            self.end(id, ClusterChanged::Revision { seen, actual }.into());
        }
    }

    /// Queues a watch whose permission was checked; whether it is still there.
    fn queue_checked(&mut self, id: WatchId) -> bool {
        let is_checked = self
            .watches
            .get(&id)
            .is_some_and(|watched| watched.phase == Phase::Checking);
        if is_checked {
            self.queue(id);
        }
        is_checked
    }

    /// Has a watch created when there is a stream.
    pub(super) fn queue(&mut self, id: WatchId) {
        if let Some(watched) = self.watches.get_mut(&id) {
            watched.leave(Phase::Queued);
            self.queued.push_back(id);
        }
    }

    /// Ends a watch with an error.
    pub(super) fn end(&mut self, id: WatchId, error: Error) {
        if let Some(watched) = self.watches.remove(&id) {
            self.leave_server(watched.wire(), None);
            self.outputs.push_back((id, WatchOutput::Ended(error)));
        }
    }

    /// Ends all watches, each with the error.
    pub(super) fn end_all(&mut self, error: &Error) {
        let ids: Vec<_> = self.watches.keys().copied().collect();
        for id in ids {
            self.end(id, error.clone());
        }
    }

    /// Ends a creation on the server, of a watch that is to hear of it if it is named.
    fn leave_server(&mut self, wire: Option<i64>, watch: Option<WatchId>) {
        if let (Some(wire), StreamState::Open(_) | StreamState::Opening) = (wire, &self.stream) {
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
    pub(super) fn handle_left(&mut self, wire: i64) -> bool {
        let Some(watch) = self.leaving.remove(&wire) else {
            return false;
        };
        self.outputs.extend(watch.map(|watch| (watch, WatchOutput::Left)));
        true
    }

    /// Closes the stream, to open another after a pause.
    pub(super) fn reopen(&mut self, now: Instant, cause: Error, entropy: u64) {
        if let StreamState::Open(stream) = &self.stream
            && now >= stream.opened + Backoff::CEILING
        {
            self.backoff.reset();
        }
        let pause = self.backoff.next_pause(entropy);
        let since = self.disconnected.take().map_or(now, |(since, _)| since);
        self.disconnected = Some((since, Some(Arc::new(cause))));
        self.close(Some(now + pause));
    }

    pub(super) fn retry_at_once(&mut self, now: Instant) {
        if let StreamState::Closed { retry_at } = &mut self.stream {
            *retry_at = Some(now);
        }
    }

    /// Has the next stream opened at another endpoint, or with another token.
    pub(super) fn avoid(&mut self, elsewhere: bool, stale_token: bool) {
        self.elsewhere |= elsewhere;
        self.stale_token |= stale_token;
    }

    fn close(&mut self, retry_at: Option<Instant>) {
        self.must_close = !matches!(self.stream, StreamState::Closed { .. });
        self.stream = StreamState::Closed { retry_at };
        self.wires.clear();
        let left = std::mem::take(&mut self.leaving).into_values().flatten();
        self.outputs.extend(left.map(|watch| (watch, WatchOutput::Left)));
        self.strangers.clear();
        self.outbox.clear();
        self.queued.clear();
        for (id, watched) in &mut self.watches {
            match watched.phase {
                Phase::Queued | Phase::Creating { .. } | Phase::Live { .. } => {
                    watched.leave(Phase::Queued);
                    self.queued.push_back(*id);
                }
                Phase::Paused | Phase::Checking => {}
            }
        }
    }

    fn has_queued(&self) -> bool {
        self.queued.iter().any(|id| {
            self.watches
                .get(id)
                .is_some_and(|watched| watched.phase == Phase::Queued)
        })
    }

    fn new_wire(&mut self) -> i64 {
        let wire = self.next_wire;
        // 2^63 creations would take a million a second for 292,000 years.
        self.next_wire += 1;
        wire
    }

    fn wait(&self, until: Option<Instant>) -> WatchStep {
        let reads = self.read_again_at.filter(|_| self.reading.is_none());
        WatchStep::Wait {
            until: until.into_iter().chain(reads).min(),
        }
    }
}
