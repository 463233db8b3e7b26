//! Calls that wait for something to happen.
//!
//! # States of a call
//!
//! ```text
//!                ┌──────────────▶ ForIndex ──┐  its token promises an index that is still to come
//!   ForMessages ─┤                           ▼
//!                ├──▶ ForCluster: a member of several waits for what it asked the others
//!                ├──▶ Contending: a lock or a campaign waits for the deletion of the key before its own
//!                └──▶ Observing: follows an election
//! ```
//!
//! A lock and a campaign are contests over the keys below a name. Everyone writes a key of their own, and whoever has
//! the oldest one has won; the others wait for the one before theirs to go. The server runs Go's
//! `client/v3/concurrency` on itself for this, and so does this one, with the same requests in the same order.

use bytes::Bytes;
use etcd_core::message::{CampaignResponse, Delete, Get, SortOrder, SortTarget};

use super::election::delete_if_created;
use super::replica::AskId;
use super::{CallId, Server};
use crate::auth::index_of;
use crate::span::Span;
use crate::store::{Change, ChangeKind};
use crate::{Request, Status};

/// What a call is waiting for.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    /// What its client says.
    ForMessages,
    /// An index that a token speaks of.
    ForIndex { index: u64, request: Request },
    /// What the other members have been asked for.
    ForCluster { ask: AskId, request: Request },
    /// Its turn.
    Contending(Contest),
    /// A leader, or news of one.
    Observing(Observation),
}

/// A lock or a campaign whose turn has not come.
#[derive(Clone, Debug)]
pub(super) struct Contest {
    /// What all keys of the contest begin with.
    pub(super) prefix: Bytes,
    /// The key that stands for this contestant.
    pub(super) key: Bytes,
    /// Its create revision.
    pub(super) revision: i64,
    pub(super) goal: Goal,
    /// The key that must go first.
    pub(super) predecessor: Bytes,
    /// The first revision whose deletion of it counts.
    pub(super) from: i64,
}

/// What happens when the turn comes.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    Lock,
    /// The answer, which was fixed when the key was written.
    Campaign(CampaignResponse),
}

/// A client that follows an election.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    pub(super) prefix: Bytes,
    /// The leader's key, if there is a leader.
    pub(super) leader: Option<Bytes>,
    /// The first revision that is news.
    pub(super) from: i64,
}

impl Server {
    /// The index that has to be applied before a token can be judged, if it lies in the future.
    pub(super) fn awaited_index(&self, token: Option<&str>) -> Option<u64> {
        if !self.state.users.is_enabled() && !self.config.dialect.checks_tokens_while_auth_is_off() {
            return None;
        }
        token.and_then(index_of).filter(|index| *index > self.applied)
    }

    pub(super) fn wake_by_index(&mut self) {
        let ready: Vec<_> = self
            .waiting
            .iter()
            .filter_map(|call| Some((call, self.calls.get(call)?)))
            .filter_map(|(call, known)| match &known.waiting {
                Waiting::ForIndex { index, request } if *index <= self.applied => {
                    Some((*call, request.clone()))
                }
                _ => None,
            })
            .collect();
        for (call, request) in ready {
            self.wait(call, Waiting::ForMessages);
            self.take(call, request);
        }
    }

    /// Tells the waiting calls what a revision changed.
    pub(super) fn wake(&mut self, revision: i64) {
        let waiting: Vec<_> = self
            .waiting
            .iter()
            .filter_map(|call| Some((*call, self.calls.get(call)?.waiting.clone())))
            .collect();
        if waiting.is_empty() {
            return;
        }
        let changes = self.state.store.changes(revision).to_vec();
        for (call, waiting) in waiting {
            match waiting {
                Waiting::Contending(contest) => {
                    let gone = |change: &Change| {
                        change.kind == ChangeKind::Delete && change.pair.key == contest.predecessor
                    };
                    if revision >= contest.from && changes.iter().any(gone) {
                        self.contend(call, contest);
                    }
                }
                Waiting::Observing(observation) if revision >= observation.from => {
                    self.observe_changes(call, observation, &changes);
                }
                _ => {}
            }
        }
    }

    /// Waits for the key before the contestant's own, or takes the turn if there is none.
    ///
    /// Source: `waitDeletes` in `client/v3/concurrency/key.go`.
    pub(super) fn contend(&mut self, call: CallId, mut contest: Contest) {
        let Some(token) = self.calls.get(&call).map(|known| known.token.clone()) else {
            return;
        };
        let mut before = first_created(&contest.prefix, SortOrder::Descend);
        before.max_create_revision = contest.revision - 1;
        match self.range(token.as_deref(), &before) {
            Ok(found) => match found.first() {
                Some(pair) => {
                    contest.predecessor = pair.key.clone();
                    contest.from = found.header.revision;
                    self.wait(call, Waiting::Contending(contest));
                }
                None => self.take_turn(call, token.as_deref(), contest, found.header),
            },
            Err(status) => self.lose_turn(call, &contest, status),
        }
    }

    fn take_turn(
        &mut self,
        call: CallId,
        token: Option<&str>,
        contest: Contest,
        header: etcd_core::message::ResponseHeader,
    ) {
        match contest.goal {
            Goal::Lock => self.take_lock_turn(call, token, &contest, header),
            Goal::Campaign(response) => self.finish(call, Ok(crate::Response::Campaign(response))),
        }
    }

    pub(super) fn lose_turn(&mut self, call: CallId, contest: &Contest, status: Status) {
        if matches!(contest.goal, Goal::Lock) {
            self.take_back(contest);
        }
        self.end(call, Err(status.wrapped()));
    }

    /// Gives up whatever a call is waiting for, because its client has.
    pub(super) fn withdraw(&mut self, call: CallId) {
        if let Some(known) = self.calls.get(&call)
            && let Waiting::Contending(contest) = known.waiting.clone()
        {
            self.take_back(&contest);
        }
    }

    /// Deletes the key of a contestant.
    ///
    /// The server does so in its own name, without a token: with authentication on, the key stays until its lease
    /// ends (`m.Unlock(client.Ctx())` in `client/v3/concurrency/mutex.go`).
    fn take_back(&mut self, contest: &Contest) {
        if self.is_replica() {
            return self.propose_aside(match &contest.goal {
                Goal::Lock => Request::from(Delete::new(&contest.key)),
                Goal::Campaign(_) => Request::from(delete_if_created(&contest.key, contest.revision)),
            });
        }
        match &contest.goal {
            Goal::Lock => drop(self.delete_range(None, &Delete::new(&contest.key))),
            Goal::Campaign(_) => drop(self.delete_created(None, &contest.key, contest.revision)),
        }
    }
}

/// Asks for the key below `prefix` that was created first, or last.
pub(super) fn first_created(prefix: &Bytes, order: SortOrder) -> Get {
    let span = Span::prefix(prefix);
    let mut get = Get::default();
    get.key = span.key().clone();
    get.range_end = span.range_end().clone();
    get.sort_target = SortTarget::Create;
    get.sort_order = order;
    get.limit = 1;
    get
}

/// The key of a contestant: the name, a slash, and the lease in hexadecimal (`%x`).
pub(super) fn contestant_key(prefix: &Bytes, lease: i64) -> Bytes {
    let sign = if lease < 0 { "-" } else { "" };
    let suffix = format!("{sign}{:x}", lease.unsigned_abs());
    [&prefix[..], suffix.as_bytes()].concat().into()
}

/// What the keys of a contest begin with.
pub(super) fn contest_prefix(name: &Bytes) -> Bytes {
    [&name[..], b"/"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contestant_is_named_after_its_lease_in_hexadecimal() {
        let prefix = contest_prefix(&Bytes::from_static(b"L"));
        assert_eq!(contestant_key(&prefix, 701), "L/2bd");
        assert_eq!(contestant_key(&prefix, -7), "L/-7");
    }
}
