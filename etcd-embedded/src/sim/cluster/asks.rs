//! What members ask of their leader.

use std::time::Duration;

use super::super::node::Power;
use super::super::universe::{Event, Universe};
use super::raft::{Asked, REQUEST_TIMEOUT, RaftEvent, Stage};
use crate::server::{Ask, AskFailure, AskId, Need, Renewal};

/// How long a leader waits before it looks again at a lease whose end is not agreed on.
const UNDECIDED: Duration = Duration::from_millis(50);

impl Universe {
    /// Takes what a member asks.
    pub(in crate::sim) fn handle_ask(&mut self, from: usize, Ask { id, need }: Ask) {
        let at = self.now + REQUEST_TIMEOUT;
        self.schedule(at, Event::Raft(RaftEvent::GiveUp { at: from, ask: id }));
        let Some(raft) = &mut self.raft else { return };
        let side = &mut raft.sides[from];
        if let Need::Propose(entry) = &need
            && entry.is_of_the_leader()
            && side.leader != Some(from)
        {
            // Whoever leads now has given the lease its time again.
            return;
        }
        let stage = Stage::Parked;
        side.asks.insert(id, Asked { need, stage });
        self.send_ask(from, id);
    }

    /// Sends a question to the leader its member knows of.
    pub(super) fn send_ask(&mut self, from: usize, ask: AskId) {
        let Some(raft) = &mut self.raft else { return };
        let side = &mut raft.sides[from];
        let Some(leader) = side.leader else { return };
        let Some(asked) = side.asks.get_mut(&ask) else {
            return;
        };
        asked.stage = Stage::Sent;
        let latency = raft.peer_latency;
        let event = RaftEvent::AtLeader {
            from,
            ask,
            to: leader,
        };
        if leader == from {
            self.handle_raft(event);
        } else {
            self.raft_after(latency, event);
        }
    }

    /// Sends what waited for a leader.
    pub(super) fn send_parked(&mut self, from: usize) {
        let Some(raft) = &self.raft else { return };
        let parked: Vec<_> = raft.sides[from]
            .asks
            .iter()
            .filter(|(_, asked)| asked.stage == Stage::Parked)
            .map(|(ask, _)| *ask)
            .collect();
        for ask in parked {
            self.send_ask(from, ask);
        }
    }

    /// Keeps a question until there is a leader again.
    fn park(&mut self, from: usize, ask: AskId) {
        if let Some(raft) = &mut self.raft
            && let Some(asked) = raft.sides[from].asks.get_mut(&ask)
        {
            asked.stage = Stage::Parked;
        }
    }

    pub(super) fn handle_at_leader(&mut self, from: usize, ask: AskId, to: usize) {
        let Some(raft) = &mut self.raft else { return };
        match self.nodes[to].power {
            Power::Running => {}
            Power::Stopped => return raft.sides[to].held.push(RaftEvent::AtLeader { from, ask, to }),
            Power::Crashed => return self.ask_again(from, ask),
        }
        let Some(asked) = raft.sides[from].asks.get(&ask) else {
            return;
        };
        let (need, latency, term) = (asked.need.clone(), raft.peer_latency, raft.term);
        let (leader, known_leader) = (raft.leader, raft.sides[to].leader);
        if to != from && !(self.is_connected(from) && self.is_connected(to)) {
            return self.ask_again(from, ask);
        }
        if leader != Some(to) {
            return match known_leader.filter(|known| *known != to) {
                // It does not lead any more, and passes on what reaches it.
                Some(to) => self.raft_after(latency, RaftEvent::AtLeader { from, ask, to }),
                None => self.ask_again(from, ask),
            };
        }
        let leader = to;
        let is_able = self.able_leader().is_some();
        match need {
            // A leader that has lost its followers does not know yet, and takes it.
            Need::Propose(entry) => self.append(entry, Some((from, ask))),
            _ if !is_able => self.ask_again(from, ask),
            Need::ReadIndex => {
                let until = self.raft.as_ref().map_or(0, super::raft::Raft::end);
                let event = RaftEvent::Confirmed {
                    at: from,
                    ask,
                    until,
                    term,
                };
                self.raft_after((latency.0 * 2, latency.1 * 2), event);
            }
            Need::Renew(lease) => {
                let now = self.now;
                let renewal = self.nodes[leader].gateway.server_mut().renew(now, lease);
                match renewal {
                    Renewal::Done(ttl) => {
                        self.raft_after(latency, RaftEvent::Renewed { at: from, ask, ttl });
                    }
                    Renewal::Undecided => {
                        let event = RaftEvent::AtLeader { from, ask, to };
                        self.raft_after((UNDECIDED, UNDECIDED), event);
                    }
                }
                self.pump(leader);
            }
            Need::TimeToLive(lease) => {
                let status = self.nodes[leader].gateway.server().lease_status(self.now, lease);
                self.raft_after(
                    latency,
                    RaftEvent::LeaseStatus {
                        at: from,
                        ask,
                        status,
                    },
                );
            }
            Need::MoveLeader(target) => {
                let target = self
                    .nodes
                    .iter()
                    .position(|node| node.gateway.server().member_id() == target);
                if self.forget_ask(from, ask) {
                    let now = self.now;
                    self.nodes[from]
                        .gateway
                        .server_mut()
                        .handle_leader_moved(now, ask);
                    self.pump(from);
                }
                if let Some(target) = target {
                    self.move_leader(target);
                }
            }
        }
    }

    /// A question did not get through: what changes nothing is kept for the next leader.
    fn ask_again(&mut self, from: usize, ask: AskId) {
        let writes = self.raft.as_ref().is_some_and(|raft| {
            let asked = raft.sides[from].asks.get(&ask);
            asked.is_some_and(|asked| matches!(asked.need, Need::Propose(_)))
        });
        if !writes {
            self.park(from, ask);
        }
    }

    pub(super) fn handle_confirmed(&mut self, at: usize, ask: AskId, until: u64, term: u64) {
        let leads_still = self.raft.as_ref().is_some_and(|raft| raft.term == term);
        if !leads_still || self.able_leader().is_none() || !self.is_connected(at) {
            return self.ask_again(at, ask);
        }
        if let Some(raft) = &mut self.raft
            && raft.sides[at].asks.contains_key(&ask)
        {
            raft.sides[at].reads.push((until, ask));
        }
        self.answer_reads(at);
    }

    /// Fails the reads that a member has under way, because somebody else leads now (`leaderChangedNotify`).
    pub(super) fn fail_reads(&mut self, at: usize) {
        let Some(raft) = &mut self.raft else { return };
        let side = &mut raft.sides[at];
        side.reads.clear();
        let reads: Vec<_> = side
            .asks
            .iter()
            .filter(|(_, asked)| matches!(asked.need, Need::ReadIndex))
            .map(|(ask, _)| *ask)
            .collect();
        let now = self.now;
        for ask in reads {
            self.forget_ask(at, ask);
            self.nodes[at]
                .gateway
                .server_mut()
                .handle_ask_failure(now, ask, AskFailure::LeaderChanged);
        }
        self.pump(at);
    }
}
