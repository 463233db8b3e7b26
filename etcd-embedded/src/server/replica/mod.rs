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

mod answer;
mod entry;
mod leader;
mod request;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use etcd_core::message::{LeaseKeepAliveResponse, Member};

pub(crate) use answer::AskFailure;
use entry::Caller;
pub(crate) use entry::Entry;
pub(crate) use leader::{LeaseStatus, Renewal};

use super::waiting::Waiting;
use super::{CallId, Server};
use crate::{Config, Request};

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

    pub(super) fn is_replica(&self) -> bool {
        self.replica.is_some()
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

    fn ask(&mut self, call: Option<CallId>, need: Need) -> Option<AskId> {
        let replica = self.replica.as_mut()?;
        replica.next_ask += 1;
        let id = replica.next_ask;
        replica.pending.extend(call.map(|call| (id, call)));
        replica.asks.push_back(Ask { id, need });
        Some(id)
    }

    fn wait_for(&mut self, call: CallId, request: Request, need: Need) {
        if let Some(ask) = self.ask(Some(call), need) {
            self.wait(call, Waiting::ForCluster { ask, request });
        }
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
}
