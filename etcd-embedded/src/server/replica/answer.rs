//! What a member makes of what the others answer.

use std::time::Instant;

use etcd_core::error::{Code, EtcdError};
use etcd_core::message::{LeaseTimeToLiveResponse, MoveLeaderResponse};
use etcd_core::rpc::{RetryClass, rows};

use super::{AskId, LeaseStatus};
use crate::server::Server;
use crate::{Dialect, Request, Response, Status};

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

impl Server {
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
            self.finish(call, Ok(Response::MoveLeader(MoveLeaderResponse::default())));
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
}
