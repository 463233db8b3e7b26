//! The members, and what can happen to them.

mod asks;
mod election;
mod log;
mod raft;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(super) use raft::{Raft, RaftEvent};

use super::schedule::Disturbance;
use super::universe::{Shared, Universe};
use crate::{Gateway, Server};

/// The members of a [`World`](super::World), to be disturbed. Members are numbered from 0; member `i` is reached at
/// `http://member-i.sim`.
///
/// Several members share a log, as etcd's do. A write is answered by the member that was asked, once it has applied it;
/// a read that is not serializable waits until that member has applied what was committed when it came; a serializable
/// read, and a watch, show what the member has. The leader ends leases, through the log, and renews them; a new leader
/// gives every lease its full time again. A member that is [cut off](Self::isolate) from the majority lets writes wait
/// for seven seconds, refuses those that demand a leader, and ends their streams. What was under way when a leader is
/// lost may be made, or not.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

impl Cluster {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.act(|universe| universe.nodes.len())
    }

    /// Never: there is no cluster without members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stops a member as SIGSTOP does: it accepts connections and says nothing.
    ///
    /// # Panics
    ///
    /// If there is no such member; so do the other methods that name one.
    pub fn stop(&self, member: usize) {
        self.shared.act(|universe| universe.stop_node(member));
    }

    /// Lets a stopped member go on (SIGCONT).
    pub fn resume(&self, member: usize) {
        self.shared.act(|universe| universe.resume_node(member));
    }

    /// Ends a member as SIGKILL does: its connections are closed, new ones refused. Tokens, watches and calls are
    /// lost; what it has agreed to stays.
    pub fn crash(&self, member: usize) {
        self.shared.act(|universe| universe.crash_node(member));
    }

    /// Ends a member as SIGTERM does: as [`crash`](Self::crash), but every stream is told why, and ends in good order.
    pub fn shut_down(&self, member: usize) {
        self.shared.act(|universe| universe.shut_down_node(member));
    }

    /// Starts a member again that was crashed or shut down.
    pub fn restart(&self, member: usize) {
        self.shared.act(|universe| universe.restart_node(member));
    }

    /// Cuts a member off from the other members, while clients still reach it. A cluster of one does not mind.
    pub fn isolate(&self, member: usize) {
        self.shared.act(|universe| universe.isolate_node(member));
    }

    /// Ends all disturbances that last: of members, and of clients.
    pub fn heal(&self) {
        self.shared.act(Universe::heal);
    }

    /// The member that leads, if there is one that can get anything agreed on.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        self.shared.act(|universe| universe.leader())
    }

    /// Lets a member apply what is committed later than others, by this much.
    pub fn set_lag(&self, member: usize, lag: Duration) {
        self.shared.act(|universe| universe.set_lag(member, lag));
    }

    /// Passes the leadership to a member, unless it is not in a state to lead.
    pub fn move_leader(&self, member: usize) {
        self.shared.act(|universe| universe.move_leader(member));
    }

    /// Compacts at the newest revision, the worst one for whoever lies behind.
    pub fn compact_at_worst_moment(&self) {
        self.shared.act(Universe::compact_now);
    }

    /// Ends all tokens on all members.
    pub fn expire_tokens(&self) {
        self.shared.act(Universe::expire_tokens);
    }

    /// Does one thing of a [`Schedule`](super::Schedule), with one of the members, clients or connections there are.
    pub fn disturb(&self, kind: Disturbance, lasts: Duration) {
        self.shared.act(|universe| universe.disturb(kind, lasts));
    }

    /// Looks at a member's server, for instance for watches that a client left behind.
    ///
    /// Nothing else of the world may be used within `look`: it would wait for itself.
    pub fn inspect<T>(&self, member: usize, look: impl FnOnce(&Server) -> T) -> T {
        self.shared
            .act(|universe| look(universe.nodes[member].gateway.server()))
    }

    /// The number of watches on all members.
    #[must_use]
    pub fn watch_count(&self) -> usize {
        let count = |gateway: &Gateway| gateway.server().watch_count();
        self.shared
            .act(|universe| universe.nodes.iter().map(|node| count(&node.gateway)).sum())
    }
}

impl Universe {
    pub(super) fn expire_tokens(&mut self) {
        for node in &mut self.nodes {
            node.gateway.server_mut().expire_tokens();
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("members", &self.len()).finish()
    }
}
