//! The server: calls in, messages out.
//!
//! # Driving it
//!
//! 1. Time comes with every `handle_*` as `now`; it must not run backwards (earlier instants count as the latest one).
//! 2. Begin a call with [`Server::handle_call`]: one message for calls that send one, none yet for those that stream.
//!    The server names it with a [`CallId`].
//! 3. Say more with [`Server::handle_message`], end what the client says with [`Server::handle_half_close`], and
//!    report a client that went away with [`Server::handle_disconnect`]: nothing of the call is left then but what
//!    it wrote.
//! 4. After each `handle_*`, call [`Server::poll_output`] until it returns `None`, and arrange for
//!    [`Server::handle_timeout`] to be called at the instant that [`Server::poll_timeout`] names.
//!
//! Whatever happens happens within the `handle_*` that causes it: no background work, no hidden clock.

mod auth;
mod calls;
mod cluster;
mod dispatch;
mod election;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod replica;
mod unary;
mod waiting;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use etcd_core::error::{Code, EtcdError};
use etcd_core::message::ResponseHeader;
use etcd_core::rpc::{Rpc, rows};

use crate::auth::Tokens;
use crate::random::Random;
use crate::snapshot::SnapshotError;
use crate::state::State;
use crate::watch::{WatchOptions, Watches};
use crate::{Config, Dialect, Request, Status};
pub use calls::{CallId, CallOptions, Output, OutputEvent};
use replica::Replica;
pub(crate) use replica::{Ask, AskFailure, AskId, Entry, LeaseStatus, Need, Renewal};
use waiting::Waiting;

/// An etcd server, without sockets, threads or a clock.
///
/// ```
/// use std::time::Instant;
/// use etcd_core::message::Put;
/// use etcd_embedded::{CallOptions, Config, OutputEvent, Response, Server};
///
/// let now = Instant::now();
/// let mut server = Server::new(Config::new(), now, 42);
/// let call = server.handle_call(now, Put::new("k", "v"), CallOptions::new());
/// let output = server.poll_output().expect("a put is answered at once");
/// assert_eq!(output.call, call);
/// let OutputEvent::Message(Response::Put(put)) = output.event else { panic!() };
/// assert_eq!(put.header.revision, 2);
/// ```
#[derive(Clone, Debug)]
pub struct Server {
    config: Config,
    random: Random,
    now: Instant,
    cluster_id: u64,
    member_id: u64,
    /// How many entries of the log that a cluster would keep have been applied.
    applied: u64,
    state: State,
    tokens: Tokens,
    watches: Watches,
    calls: BTreeMap<CallId, Call>,
    next_call: u64,
    /// How many calls of each kind there have been.
    begun: BTreeMap<&'static str, u64>,
    deadlines: BTreeSet<(Instant, CallId)>,
    /// The calls that wait for something to happen.
    waiting: BTreeSet<CallId>,
    /// Up to where they have been told what changed.
    settled: i64,
    outputs: VecDeque<Output>,
    /// Present in a member of several.
    replica: Option<Replica>,
}

#[derive(Clone, Debug)]
struct Call {
    rpc: &'static Rpc,
    token: Option<String>,
    requires_leader: bool,
    deadline: Option<Instant>,
    waiting: Waiting,
}

/// The term of a cluster whose first election succeeded.
const TERM: u64 = 2;
/// The entries a new cluster has applied before the first request: its members and its version.
const FIRST_INDEX: u64 = 4;

impl Server {
    /// A new server with an empty store. Everything random follows from `seed`.
    #[must_use]
    pub fn new(config: Config, now: Instant, seed: u64) -> Self {
        let mut random = Random::new(seed);
        // Ids with the highest bit clear read the same as signed and unsigned numbers.
        let cluster_id = random.next_u64() >> 1;
        let member_id = random.next_u64() >> 1;
        let watches = Watches::new(watch_options(&config), 1);
        Self {
            state: State::new(&config, member_id),
            config,
            random,
            now,
            cluster_id,
            member_id,
            applied: FIRST_INDEX,
            tokens: Tokens::default(),
            watches,
            calls: BTreeMap::new(),
            next_call: 1,
            begun: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            waiting: BTreeSet::new(),
            settled: 1,
            outputs: VecDeque::new(),
            replica: None,
        }
    }

    /// A new server with the store, the leases and the users of a snapshot, as its bytes came over the wire.
    ///
    /// It is a new cluster, with ids of its own and without alarms; leases begin their time anew.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`], for instance for a snapshot of a real server.
    pub fn restore(config: Config, now: Instant, seed: u64, snapshot: &[u8]) -> Result<Self, SnapshotError> {
        let mut server = Self::new(config, now, seed);
        crate::snapshot::decode(snapshot, now, &mut server.state)?;
        let revision = server.state.store.revision();
        server.settled = revision;
        server.watches = Watches::new(watch_options(&server.config), revision);
        Ok(server)
    }

    /// The settings it was created with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The store, to look at.
    #[must_use]
    pub fn store(&self) -> &crate::store::Store {
        &self.state.store
    }

    /// The leases, to look at.
    #[must_use]
    pub fn leases(&self) -> &crate::lease::Leases {
        &self.state.leases
    }

    /// The number of watches on all streams, to look for those that were left behind.
    #[must_use]
    pub fn watch_count(&self) -> usize {
        self.watches.count()
    }

    /// The number of streams that carry watches, or could, to look for those that were left behind.
    #[must_use]
    pub fn watch_stream_count(&self) -> usize {
        self.watches.stream_count()
    }

    /// The number of calls in progress.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// The number of calls of one kind since the server began, those included that failed: what the metric
    /// `grpc_server_started_total` counts.
    #[must_use]
    pub fn calls_begun(&self, rpc: &Rpc) -> u64 {
        self.begun.get(rpc.name).copied().unwrap_or_default()
    }

    /// Whether the database is full and writes are refused.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        self.state.has_alarm(crate::state::Alarm::NoSpace)
    }

    /// This member's id.
    #[must_use]
    pub fn member_id(&self) -> u64 {
        self.member_id
    }

    /// Begins a call that sends one message.
    pub fn handle_call(&mut self, now: Instant, request: impl Into<Request>, options: CallOptions) -> CallId {
        let request = request.into();
        let call = self.begin(now, request.rpc(), options);
        self.demand_leader(call);
        self.handle_message(now, call, request);
        call
    }

    /// Begins a call whose messages are to come.
    pub fn handle_open(&mut self, now: Instant, rpc: &'static Rpc, options: CallOptions) -> CallId {
        let call = self.begin(now, rpc, options);
        self.demand_leader(call);
        if rpc.name == rows::WATCH.name {
            self.open_watch(call);
        }
        self.settle();
        call
    }

    /// Takes one message of a call; ignores those of a call that has ended.
    pub fn handle_message(&mut self, now: Instant, call: CallId, request: impl Into<Request>) {
        self.advance(now);
        let Some(known) = self.calls.get(&call) else {
            return;
        };
        let request = request.into();
        if let Some(index) = self.awaited_index(known.token.as_deref()) {
            self.wait(call, Waiting::ForIndex { index, request });
        } else {
            self.take(call, request);
        }
        self.settle();
    }

    /// Takes note that the client of a call has said everything.
    ///
    /// A stream of keep-alives ends with it; a watch goes on.
    pub fn handle_half_close(&mut self, now: Instant, call: CallId) {
        self.advance(now);
        if self
            .calls
            .get(&call)
            .is_some_and(|known| known.rpc.name == rows::LEASE_KEEP_ALIVE.name)
        {
            self.end(call, Ok(()));
        }
        self.settle();
    }

    /// Takes note that the client of a call has gone away.
    pub fn handle_disconnect(&mut self, now: Instant, call: CallId) {
        self.advance(now);
        self.abandon(call);
        self.outputs.retain(|output| output.call != call);
        self.settle();
    }

    /// Does what has become due: leases expire, watches catch up, calls run out of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.settle();
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let leases = self.lease_timeout();
        [deadline, leases, self.watches.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Begins anew, as a member does that crashed: what the cluster agreed on is still there, while calls, watches and
    /// tokens are gone. Leases begin their time anew (`Promote` in `server/lease/lessor.go`).
    pub(crate) fn restart(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let revision = self.state.store.revision();
        self.tokens = Tokens::default();
        self.watches = Watches::new(watch_options(&self.config), revision);
        self.calls.clear();
        self.begun.clear();
        self.deadlines.clear();
        self.waiting.clear();
        self.settled = revision;
        self.outputs.clear();
        self.state.leases.promote(self.now);
        self.restart_replica();
    }

    /// Compacts at the current revision, in nobody's name.
    pub(crate) fn compact_now(&mut self, now: Instant) {
        self.advance(now);
        let keep_deletions = self.config.dialect.compaction_keeps_its_deletions();
        let revision = self.state.store.revision();
        if self.state.store.compact(revision, keep_deletions).is_ok() {
            self.applied += 1;
        }
        self.settle();
    }

    /// Ends all tokens, as if their time had come.
    pub(crate) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// What is to be sent next.
    #[must_use = "an output that is not sent is lost"]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A full header at the current revision.
    fn header(&self) -> ResponseHeader {
        self.header_at(self.state.store.revision())
    }

    fn header_at(&self, revision: i64) -> ResponseHeader {
        let mut header = ResponseHeader::default();
        header.cluster_id = self.cluster_id;
        header.member_id = self.member_id;
        header.revision = revision;
        header.raft_term = self.term();
        header
    }

    /// A header of a call that does not touch the store.
    fn header_without_revision(&self) -> ResponseHeader {
        self.header_at(0)
    }
}

fn watch_options(config: &Config) -> WatchOptions {
    WatchOptions {
        progress_interval: config.watch_progress_notify_interval,
        resync_period: config.watch_resync_period,
        max_message_bytes: config.max_request_bytes + crate::config::GRPC_OVERHEAD_BYTES,
        progress_waits_for_sync: config.dialect.progress_waits_for_sync(),
        tells_progress_before_start: config.dialect != Dialect::G2,
        refuses_negative_start: config.dialect == Dialect::G2,
    }
}

/// A random part of `bound`.
fn jitter(random: &mut Random, bound: Duration) -> Duration {
    let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX).max(1);
    Duration::from_nanos(random.below(nanos))
}

/// The status of a call this server does not serve, as grpc-go words it.
fn unimplemented(rpc: &Rpc) -> Status {
    Status::new(
        Code::Unimplemented,
        format!("unknown method {} for service {}", rpc.method, rpc.service),
    )
}

/// Fails with `error` unless `condition` holds.
fn ensure(condition: bool, error: EtcdError) -> Result<(), EtcdError> {
    if condition { Ok(()) } else { Err(error) }
}
