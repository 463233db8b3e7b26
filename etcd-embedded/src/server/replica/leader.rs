//! Who leads, and what the leader alone does: it ends leases and renews them.
//!
//! Source: `server/lease/lessor.go`, `LeaseRenew` in `server/etcdserver/v3_server.go`.

use std::time::Instant;

use bytes::Bytes;
use etcd_core::error::EtcdError;
use etcd_core::rpc::RpcKind;

use super::entry::Operation;
use super::{Entry, Need};
use crate::server::{CallId, Server};

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

impl Server {
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

    /// Whether this member knows of a leader; one that is alone leads.
    pub(crate) fn has_leader(&self) -> bool {
        self.replica
            .as_ref()
            .is_none_or(|replica| replica.leader.is_some())
    }

    /// Who leads, 0 if nobody does.
    pub(in crate::server) fn leader_id(&self) -> u64 {
        match &self.replica {
            Some(replica) => replica.leader.unwrap_or_default(),
            None => self.member_id,
        }
    }

    pub(in crate::server) fn term(&self) -> u64 {
        self.replica
            .as_ref()
            .map_or(crate::server::TERM, |replica| replica.term)
    }

    /// Ends a call that demands a leader where there is none.
    pub(in crate::server) fn demand_leader(&mut self, call: CallId) {
        let demands = self.calls.get(&call).is_some_and(|known| known.requires_leader);
        if demands && !self.has_leader() {
            self.end(call, Err(EtcdError::NoLeader.into()));
        }
    }

    /// Proposes to end the leases that have expired, if this member leads.
    pub(in crate::server) fn propose_to_end_leases(&mut self) {
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
    pub(in crate::server) fn lease_timeout(&self) -> Option<Instant> {
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
}
