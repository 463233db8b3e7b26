//! What a member does about a request: answers it, or asks the others.

use etcd_core::error::EtcdError;
use etcd_core::message::{Get, LeaseKeepAlive, LeaseKeepAliveResponse, MoveLeader, Txn, TxnOp};

use super::entry::Operation;
use super::{Entry, Need};
use crate::server::{CallId, Server, ensure};
use crate::store::{check_get, is_read_only};
use crate::{Dialect, Request};

impl Server {
    /// Takes a request of a call as a member of several does.
    pub(in crate::server) fn take_as_replica(&mut self, call: CallId, request: Request) {
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
    pub(super) fn answer_or_propose(&mut self, call: CallId, request: Request) {
        let token = self.calls.get(&call).and_then(|known| known.token.clone());
        let answer = self.answer(token.as_deref(), request.clone());
        if !self.propose_for(call, token.as_deref(), request) {
            self.finish(call, answer);
        }
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

    /// Proposes a request in nobody's name, which nobody waits for.
    pub(in crate::server) fn propose_aside(&mut self, request: impl Into<Request>) {
        self.ask(
            None,
            Need::Propose(Entry::internal(Operation::Request(request.into()))),
        );
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

    fn check_move_leader(&mut self, token: Option<&str>, target: &MoveLeader) -> Result<(), EtcdError> {
        self.require_admin_if_guarded(token)?;
        ensure(self.leader_id() == self.member_id, EtcdError::NotLeader)?;
        let is_member = self
            .state
            .members
            .iter()
            .any(|member| member.id == target.target_id);
        ensure(is_member, EtcdError::BadLeaderTransferee)
    }
}

/// Whether a transaction of reads takes whatever the member has (`isTxnSerializable` in `v3_server.go`).
fn is_serializable(txn: &Txn) -> bool {
    let operations = txn.success.iter().chain(&txn.failure);
    operations.into_iter().all(|operation| match operation {
        TxnOp::Get(Get { serializable, .. }) => *serializable,
        _ => false,
    })
}
