//! A member of a cluster of several.
//!
//! Alone, a server does what it is asked on the spot. A member of several instead says what it needs of the others, and
//! goes on when it is told:
//!
//! ```text
//!   a call that ─┬─ writes ──────▶ checks what it can by itself ─▶ Propose ──▶ handle_entry, like every member
//!                ├─ reads ──────▶ ReadIndex ─────────────────────────────────▶ handle_read_index: reads here
//!                ├─ asks for a lease ─▶ Renew, TimeToLive ───────────────────▶ handle_renewed, handle_lease_status
//!                └─ anything else: done here                   or, in any case, handle_ask_failure
//! ```
//!
//! Every member applies the same entries in the same order, with the chance that the entry brings along and in the name
//! of whoever the asked member found it to be, so that all have the same state. One member, the leader, ends leases.
//!
//! The checks before a proposal are those the calls make anyway: each runs up to the point where it would enter the
//! log ([`Server::enter_log`]), and once more, to its end, when the entry is applied.
//!
//! Source: `server/etcdserver/v3_server.go`, `server/lease/lessor.go`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use etcd_core::error::{Code, EtcdError};
use etcd_core::message::{
    Get, LeaseKeepAlive, LeaseKeepAliveResponse, LeaseTimeToLiveResponse, Member, TxnOp,
};
use etcd_core::rpc::{RetryClass, RpcKind, rows};

use super::waiting::Waiting;
use super::{CallId, Server, ensure};
use crate::auth::Identity;
use crate::random::Random;
use crate::state::Alarm;
use crate::store::{check_get, is_read_only};
use crate::{Config, Dialect, Request, Response, Status};

/// What makes a server a member of several.
#[derive(Clone, Debug, Default)]
pub(super) struct Replica {
    /// Which member leads, as far as this one knows.
    leader: Option<u64>,
    term: u64,
    /// In whose name the entry is that is being applied; `None` between entries.
    applying: Option<Caller>,
    /// A call has come to the point where it would enter the log.
    has_proposed: bool,
    asks: VecDeque<Ask>,
    next_ask: AskId,
    /// The calls that wait for an answer.
    pending: BTreeMap<AskId, CallId>,
    /// Keep-alives under way, with what is known of their answers.
    renewals: BTreeMap<AskId, LeaseKeepAliveResponse>,
    /// Leases whose end this member has proposed.
    ending: BTreeSet<i64>,
}

/// Names a question; never used twice by a member.
pub(crate) type AskId = u64;

/// Who makes a call, or why that cannot be told.
type Caller = Result<Option<Identity>, EtcdError>;

/// What a member needs of the others.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) id: AskId,
    pub(crate) need: Need,
}

#[derive(Clone, Debug)]
pub(crate) enum Need {
    /// That all apply this.
    Propose(Entry),
    /// That it has applied what was committed when it asked.
    ReadIndex,
    /// That the leader renews a lease.
    Renew(i64),
    /// That the leader says how long a lease lives.
    TimeToLive(i64),
    /// That another member becomes the leader.
    MoveLeader(u64),
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    operation: Operation,
    caller: Caller,
    seed: u64,
}

#[derive(Clone, Debug)]
enum Operation {
    Request(Request),
    /// A lease has expired.
    EndLease(i64),
    /// The database of a member is full.
    OutOfSpace(u64),
    /// Compacts at the revision at which the entry finds the store.
    Compact,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskFailure {
    /// It was sent to the leader, and nothing came back in time.
    TimedOut,
    /// There was no leader to ask in time.
    NeverSent,
    /// Another member leads now.
    LeaderChanged,
}

/// What the leader says about a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The lease lives for so many seconds from now on, 0 if it is gone.
    Done(i64),
    /// It has expired, and its end is not agreed on yet.
    Undecided,
}

/// What the leader says about a lease: seconds left, seconds granted, keys.
pub(crate) type LeaseStatus = (i64, i64, Vec<Bytes>);

impl Entry {
    /// An entry that compacts at the newest revision, in nobody's name.
    pub(crate) fn compaction() -> Self {
        Self {
            operation: Operation::Compact,
            caller: Ok(None),
            seed: 0,
        }
    }

    /// Whether only the leader may propose it.
    pub(crate) fn is_of_the_leader(&self) -> bool {
        matches!(self.operation, Operation::EndLease(_))
    }
}

impl Server {
    /// The member `id` of a cluster of `members`.
    pub(crate) fn replica(
        config: Config,
        now: Instant,
        seed: u64,
        (cluster_id, id): (u64, u64),
        members: &[Member],
    ) -> Self {
        let mut server = Self::new(config, now, seed);
        server.cluster_id = cluster_id;
        server.member_id = id;
        server.state.members = members.to_vec();
        server.replica = Some(Replica::default());
        server
    }

    /// What is needed of the other members.
    pub(crate) fn poll_ask(&mut self) -> Option<Ask> {
        self.replica.as_mut()?.asks.pop_front()
    }

    /// Applies an entry of the log; `ask` if this member asked for it.
    pub(crate) fn handle_entry(&mut self, now: Instant, entry: &Entry, ask: Option<AskId>) {
        self.advance(now);
        let call = ask.and_then(|ask| self.answered(ask));
        let random = std::mem::replace(&mut self.random, Random::new(entry.seed));
        self.set_applying(Some(entry.caller.clone()));
        match &entry.operation {
            Operation::Request(Request::Lock(lock)) => {
                let entered = self.enter_lock(None, lock);
                self.set_applying(None);
                if let Some(call) = call {
                    self.entered_lock(call, entered);
                }
            }
            Operation::Request(Request::Campaign(campaign)) => {
                let entered = self.enter_campaign(None, campaign);
                self.set_applying(None);
                if let Some(call) = call {
                    self.entered_campaign(call, entered);
                }
            }
            Operation::Request(request) => {
                let answer = self.answer(None, request.clone());
                self.set_applying(None);
                if let Some(call) = call {
                    self.finish(call, answer);
                }
            }
            Operation::EndLease(lease) => {
                self.applied += 1;
                // It may have been revoked in the meantime.
                let _ = self.state.revoke(*lease);
                if let Some(replica) = &mut self.replica {
                    replica.ending.remove(lease);
                }
            }
            Operation::OutOfSpace(member) => {
                self.applied += 1;
                self.state.alarms.insert((Alarm::NoSpace, *member));
            }
            Operation::Compact => {
                self.applied += 1;
                let keep_deletions = self.config.dialect.compaction_keeps_its_deletions();
                let revision = self.state.store.revision();
                // It may be compacted already.
                let _ = self.state.store.compact(revision, keep_deletions);
            }
        }
        self.set_applying(None);
        self.random = random;
        self.settle();
    }

    /// Takes note that all is applied that was committed when it asked.
    pub(crate) fn handle_read_index(&mut self, now: Instant, ask: AskId) {
        self.advance(now);
        match self.resumed(ask) {
            // It reads who may log in, and then writes that somebody has.
            Some((call, request @ Request::Authenticate(_))) => self.answer_or_propose(call, request),
            Some((call, request)) => self.run(call, request),
            None => {}
        }
        self.settle();
    }

    /// Takes the leader's answer to a renewal.
    pub(crate) fn handle_renewed(&mut self, now: Instant, ask: AskId, ttl: i64) {
        self.advance(now);
        let response = self
            .replica
            .as_mut()
            .and_then(|replica| replica.renewals.remove(&ask));
        if let Some(call) = self.answered(ask)
            && let Some(mut response) = response
        {
            response.ttl = ttl;
            self.send(call, Response::LeaseKeepAlive(response));
        }
        self.settle();
    }

    /// Takes what the leader says about a lease, `None` if there is none.
    pub(crate) fn handle_lease_status(&mut self, now: Instant, ask: AskId, status: Option<LeaseStatus>) {
        self.advance(now);
        if let Some((call, Request::LeaseTimeToLive(query))) = self.resumed(ask) {
            let mut response = LeaseTimeToLiveResponse::default();
            response.header = self.header();
            response.id = query.id;
            response.ttl = -1;
            if let Some((left, granted, keys)) = status {
                (response.ttl, response.granted_ttl) = (left, granted);
                if query.keys {
                    response.keys = keys;
                }
            }
            self.finish(call, Ok(Response::LeaseTimeToLive(response)));
        }
        self.settle();
    }

    /// Takes note that another member leads, as it was asked for.
    pub(crate) fn handle_leader_moved(&mut self, now: Instant, ask: AskId) {
        self.advance(now);
        if let Some((call, Request::MoveLeader(_))) = self.resumed(ask) {
            self.finish(call, Ok(Response::MoveLeader(Default::default())));
        }
        self.settle();
    }

    /// Takes note that there will be no answer.
    pub(crate) fn handle_ask_failure(&mut self, now: Instant, ask: AskId, failure: AskFailure) {
        self.advance(now);
        if let Some(replica) = &mut self.replica {
            replica.renewals.remove(&ask);
        }
        let Some(call) = self.answered(ask) else { return };
        let Some(known) = self.calls.get(&call) else {
            return;
        };
        let rpc = known.rpc;
        let status = self.failure_of(rpc.name, rpc.retry, failure);
        let result = match rpc.name {
            // Go's client closes its channel when the read fails, and the stream ends well, without a word.
            name if name == rows::OBSERVE.name => Ok(()),
            name if name.starts_with("Lock/") || name.starts_with("Election/") => Err(status.wrapped()),
            _ => Err(status),
        };
        self.end(call, result);
        self.settle();
    }

    fn failure_of(&self, name: &str, class: RetryClass, failure: AskFailure) -> Status {
        let is_of_a_lease = [rows::LEASE_KEEP_ALIVE.name, rows::LEASE_TIME_TO_LIVE.name].contains(&name);
        match failure {
            AskFailure::LeaderChanged => EtcdError::LeaderChanged.into(),
            AskFailure::NeverSent if is_of_a_lease => EtcdError::NoLeader.into(),
            // The wait to propose ends with the context of the request, which older servers do not translate.
            AskFailure::NeverSent if class != RetryClass::Read => {
                let code = match self.config.dialect {
                    Dialect::G2 => Code::DeadlineExceeded,
                    _ => Code::Unknown,
                };
                Status::new(code, "context deadline exceeded")
            }
            AskFailure::NeverSent | AskFailure::TimedOut => EtcdError::TimedOut.into(),
        }
    }

    /// Takes note of who leads. A member that begins to lead gives every lease its full time again: it does not know
    /// what was left (`Promote` in `server/lease/lessor.go`).
    pub(crate) fn handle_leader(&mut self, now: Instant, leader: Option<u64>, term: u64) {
        // Before time passes: a member ends no lease in a term that is not its own.
        self.now = self.now.max(now);
        let (id, now) = (self.member_id, self.now);
        let Some(replica) = &mut self.replica else { return };
        let led = replica.leader == Some(id) && replica.term == term;
        replica.leader = leader;
        replica.term = term;
        if leader == Some(id) && !led {
            replica.ending.clear();
            self.state.leases.promote(now);
        }
        self.advance(now);
        self.settle();
    }

    /// Ends the streams that demand a leader, if there is none (`monitorLeader` in `api/v3rpc/interceptor.go`).
    pub(crate) fn end_streams_without_leader(&mut self, now: Instant) {
        self.advance(now);
        if !self.has_leader() {
            let demanding: Vec<_> = self
                .calls
                .iter()
                .filter(|(_, call)| call.requires_leader && call.rpc.kind != RpcKind::Unary)
                .map(|(id, _)| *id)
                .collect();
            for call in demanding {
                self.end(call, Err(EtcdError::NoLeader.into()));
            }
        }
        self.settle();
    }

    /// Renews a lease, on the leader.
    pub(crate) fn renew(&mut self, now: Instant, lease: i64) -> Renewal {
        self.advance(now);
        match self.state.leases.get(lease) {
            Some(found) if found.deadline <= self.now => Renewal::Undecided,
            _ => {
                let renewed = self.state.leases.keep_alive(self.now, lease);
                Renewal::Done(renewed.unwrap_or_default())
            }
        }
    }

    /// Says how long a lease lives, on the leader.
    pub(crate) fn lease_status(&self, now: Instant, lease: i64) -> Option<LeaseStatus> {
        let lease = self.state.leases.get(lease)?;
        let keys = lease.keys.iter().cloned().collect();
        Some((lease.remaining(now), lease.ttl, keys))
    }

    pub(super) fn is_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// Ends a call that demands a leader where there is none.
    pub(super) fn demand_leader(&mut self, call: CallId) {
        let demands = self.calls.get(&call).is_some_and(|known| known.requires_leader);
        if demands && !self.has_leader() {
            self.end(call, Err(EtcdError::NoLeader.into()));
        }
    }

    /// Whether this member knows of a leader; one that is alone leads.
    pub(crate) fn has_leader(&self) -> bool {
        self.replica
            .as_ref()
            .is_none_or(|replica| replica.leader.is_some())
    }

    /// Who leads, 0 if nobody does.
    pub(super) fn leader_id(&self) -> u64 {
        match &self.replica {
            Some(replica) => replica.leader.unwrap_or_default(),
            None => self.member_id,
        }
    }

    pub(super) fn term(&self) -> u64 {
        self.replica.as_ref().map_or(super::TERM, |replica| replica.term)
    }

    /// Forgets what was under way, as a member does that crashed.
    pub(super) fn restart_replica(&mut self) {
        if let Some(replica) = &mut self.replica {
            replica.leader = None;
            replica.applying = None;
            replica.asks.clear();
            replica.pending.clear();
            replica.renewals.clear();
            replica.ending.clear();
        }
    }

    /// Comes to the point where a request enters the log. A member of several stops here with an error, of which nobody
    /// hears, and goes on when the entry comes back.
    pub(super) fn enter_log(&mut self) -> Result<(), EtcdError> {
        if let Some(replica) = &mut self.replica
            && replica.applying.is_none()
        {
            replica.has_proposed = true;
            return Err(EtcdError::Stopped);
        }
        self.applied += 1;
        Ok(())
    }

    /// Raises the alarm that the database is full.
    pub(super) fn raise_out_of_space(&mut self) {
        let member = self.member_id;
        if self.replica.is_some() {
            self.ask(
                None,
                Need::Propose(Entry::internal(Operation::OutOfSpace(member))),
            );
        } else {
            self.applied += 1;
            self.state.alarms.insert((Alarm::NoSpace, member));
        }
    }

    /// In whose name the entry is that is being applied.
    pub(super) fn applying(&self) -> Option<&Caller> {
        self.replica.as_ref()?.applying.as_ref()
    }

    /// Takes a request of a call as a member of several does.
    pub(super) fn take_as_replica(&mut self, call: CallId, request: Request) {
        let token = self.calls.get(&call).and_then(|known| known.token.clone());
        let token = token.as_deref();
        let reads_the_newest = match &request {
            Request::Range(get) => !get.serializable,
            Request::Txn(txn) => is_read_only(txn) && !is_serializable(txn),
            Request::Leader(_) | Request::Observe(_) | Request::Authenticate(_) => true,
            Request::MemberList(list) => list.linearizable && self.config.dialect != Dialect::G1_6,
            _ => false,
        };
        match request {
            Request::Watch(_) | Request::Snapshot(_) => self.run(call, request),
            Request::LeaseKeepAlive(renewal) => self.ask_renewal(call, token, &renewal),
            request if reads_the_newest => {
                if let Request::Range(get) = &request
                    && let Err(error) = check_get(get)
                {
                    return self.end(call, Err(error.into()));
                }
                self.wait_for(call, request, Need::ReadIndex);
            }
            Request::LeaseTimeToLive(query) => match self.check_query(token, &query) {
                Ok(()) => {
                    let id = query.id;
                    self.wait_for(call, Request::LeaseTimeToLive(query), Need::TimeToLive(id));
                }
                Err(error) => self.end(call, Err(error.into())),
            },
            Request::MoveLeader(target) => match self.check_move_leader(token, &target) {
                Ok(()) => {
                    let id = target.target_id;
                    self.wait_for(call, Request::MoveLeader(target), Need::MoveLeader(id));
                }
                Err(error) => self.end(call, Err(error.into())),
            },
            Request::Lock(lock) => {
                let entered = self.enter_lock(token, &lock);
                if !self.propose_for(call, token, Request::Lock(lock)) {
                    self.entered_lock(call, entered);
                }
            }
            Request::Campaign(campaign) => {
                let entered = self.enter_campaign(token, &campaign);
                if !self.propose_for(call, token, Request::Campaign(campaign)) {
                    self.entered_campaign(call, entered);
                }
            }
            request => self.answer_or_propose(call, request),
        }
    }

    /// Answers a call, unless it comes to the point where it would enter the log.
    fn answer_or_propose(&mut self, call: CallId, request: Request) {
        let token = self.calls.get(&call).and_then(|known| known.token.clone());
        let answer = self.answer(token.as_deref(), request.clone());
        if !self.propose_for(call, token.as_deref(), request) {
            self.finish(call, answer);
        }
    }

    /// Proposes a request in nobody's name, which nobody waits for.
    pub(super) fn propose_aside(&mut self, request: impl Into<Request>) {
        self.ask(
            None,
            Need::Propose(Entry::internal(Operation::Request(request.into()))),
        );
    }

    /// Proposes to end the leases that have expired, if this member leads.
    pub(super) fn propose_to_end_leases(&mut self) {
        let (id, now) = (self.member_id, self.now);
        let Some(replica) = &mut self.replica else { return };
        if replica.leader != Some(id) {
            return;
        }
        let expired: Vec<_> = self
            .state
            .leases
            .by_deadline()
            .take_while(|(deadline, _)| *deadline <= now)
            .map(|(_, lease)| lease)
            .filter(|lease| replica.ending.insert(*lease))
            .collect();
        for lease in expired {
            self.ask(None, Need::Propose(Entry::internal(Operation::EndLease(lease))));
        }
    }

    /// When the next lease expires whose end this member would propose.
    pub(super) fn lease_timeout(&self) -> Option<Instant> {
        let Some(replica) = &self.replica else {
            return self.state.leases.poll_timeout();
        };
        if replica.leader != Some(self.member_id) {
            return None;
        }
        self.state
            .leases
            .by_deadline()
            .find(|(_, lease)| !replica.ending.contains(lease))
            .map(|(deadline, _)| deadline)
    }

    fn ask_renewal(&mut self, call: CallId, token: Option<&str>, renewal: &LeaseKeepAlive) {
        let mut response = LeaseKeepAliveResponse::default();
        response.header = self.header();
        response.id = renewal.id;
        if let Err(error) = self.check_renewal(token, renewal.id) {
            return self.end(call, Err(error.into()));
        }
        if let Some(ask) = self.ask(Some(call), Need::Renew(renewal.id))
            && let Some(replica) = &mut self.replica
        {
            replica.renewals.insert(ask, response);
        }
    }

    fn check_move_leader(
        &mut self,
        token: Option<&str>,
        target: &etcd_core::message::MoveLeader,
    ) -> Result<(), EtcdError> {
        self.require_admin_if_guarded(token)?;
        ensure(self.leader_id() == self.member_id, EtcdError::NotLeader)?;
        let is_member = self
            .state
            .members
            .iter()
            .any(|member| member.id == target.target_id);
        ensure(is_member, EtcdError::BadLeaderTransferee)
    }

    /// Proposes what a call has asked for, if it came to that point.
    fn propose_for(&mut self, call: CallId, token: Option<&str>, request: Request) -> bool {
        let has_proposed = self
            .replica
            .as_mut()
            .is_some_and(|replica| std::mem::take(&mut replica.has_proposed));
        if has_proposed {
            let entry = Entry {
                operation: Operation::Request(request.clone()),
                caller: self.identity(token),
                seed: self.random.next_u64(),
            };
            self.wait_for(call, request, Need::Propose(entry));
        }
        has_proposed
    }

    fn wait_for(&mut self, call: CallId, request: Request, need: Need) {
        if let Some(ask) = self.ask(Some(call), need) {
            self.wait(call, Waiting::ForCluster { ask, request });
        }
    }

    fn ask(&mut self, call: Option<CallId>, need: Need) -> Option<AskId> {
        let replica = self.replica.as_mut()?;
        replica.next_ask += 1;
        let id = replica.next_ask;
        replica.pending.extend(call.map(|call| (id, call)));
        replica.asks.push_back(Ask { id, need });
        Some(id)
    }

    /// The call that waits for an answer.
    fn answered(&mut self, ask: AskId) -> Option<CallId> {
        let call = self.replica.as_mut()?.pending.remove(&ask)?;
        self.calls.contains_key(&call).then_some(call)
    }

    /// The same, with its request, if it is still there.
    fn resumed(&mut self, ask: AskId) -> Option<(CallId, Request)> {
        let call = self.answered(ask)?;
        let request = match &self.calls.get(&call)?.waiting {
            Waiting::ForCluster {
                ask: awaited,
                request,
            } if *awaited == ask => request.clone(),
            _ => return None,
        };
        self.wait(call, Waiting::ForMessages);
        Some((call, request))
    }

    fn set_applying(&mut self, caller: Option<Caller>) {
        if let Some(replica) = &mut self.replica {
            replica.applying = caller;
        }
    }
}

impl Entry {
    fn internal(operation: Operation) -> Self {
        Self {
            operation,
            caller: Ok(None),
            seed: 0,
        }
    }
}

/// Whether a transaction of reads takes whatever the member has (`isTxnSerializable` in `v3_server.go`).
fn is_serializable(txn: &etcd_core::message::Txn) -> bool {
    let serializable = |operation: &TxnOp| {
        matches!(
            operation,
            TxnOp::Get(Get {
                serializable: true,
                ..
            })
        )
    };
    txn.success.iter().chain(&txn.failure).all(serializable)
}
