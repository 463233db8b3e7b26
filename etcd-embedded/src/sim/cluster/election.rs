//! Who leads.

use std::time::Duration;

use super::super::node::Power;
use super::super::trace::Mark;
use super::super::universe::Universe;
use super::raft::{ELECTION, HEARTBEAT, RaftEvent};

/// How long a stream that demands a leader goes on without one: looked at once per election timeout, ended the third
/// time in a row (`monitorLeader`), counted from the moment that the member knows.
const LEADERLESS: (Duration, Duration) = (Duration::from_millis(2000), Duration::from_millis(3000));

impl Universe {
    /// Elects the first leader, on the spot.
    pub(in crate::sim) fn elect_first(&mut self) {
        if self.raft.is_some() {
            let leader = self.random.index(self.nodes.len());
            self.lead(leader);
            for at in 0..self.nodes.len() {
                let term = self.raft.as_ref().map_or(0, |raft| raft.term);
                self.handle_leader_heard(at, term);
            }
        }
    }

    /// Looks whether the leader can still lead, or another one be elected, after something has happened to a member.
    pub(in crate::sim) fn reconsider(&mut self) {
        let is_able = self.able_leader().is_some();
        let Some(raft) = &mut self.raft else { return };
        if is_able {
            // Whatever it was, it was too short to be noticed.
            raft.election += 1;
            raft.election_is_due = false;
            self.commit();
            for at in self.connected() {
                self.send_parked(at);
            }
        } else if !raft.election_is_due {
            raft.election += 1;
            raft.election_is_due = true;
            let event = RaftEvent::Elect(raft.election);
            self.raft_after(ELECTION, event);
        }
    }

    /// A member has lost its memory; if it led, it leads no more.
    pub(in crate::sim) fn forget_leadership(&mut self, member: usize) {
        let Some(raft) = &mut self.raft else { return };
        if raft.leader == Some(member) {
            // Its followers do not know yet.
            raft.leader = None;
        }
        let side = &mut raft.sides[member];
        side.leader = None;
        side.asks.clear();
        side.reads.clear();
        side.held.clear();
    }

    /// A member is back, and hears what it has missed.
    pub(in crate::sim) fn rejoin(&mut self, member: usize) {
        let now = self.now;
        let Some(raft) = &mut self.raft else { return };
        if raft.sides[member].leader.is_none() {
            let term = raft.term;
            self.nodes[member]
                .gateway
                .server_mut()
                .handle_leader(now, None, term);
        }
        self.reconsider();
        let Some(raft) = &mut self.raft else { return };
        let held = std::mem::take(&mut raft.sides[member].held);
        let (until, term) = (raft.end(), raft.term);
        for event in held {
            self.handle_raft(event);
        }
        self.raft_after(HEARTBEAT, RaftEvent::Leader { at: member, term });
        let (least, most) = HEARTBEAT;
        self.learn_later(member, RaftEvent::Learn { at: member, until });
        self.raft_after((least + most, most * 2), RaftEvent::Learn { at: member, until });
    }

    pub(super) fn handle_elect(&mut self, number: u64) {
        let Some(raft) = &mut self.raft else { return };
        if raft.election != number {
            return;
        }
        raft.election_is_due = false;
        let members = self.nodes.len();
        for at in 0..members {
            self.lose_leader(at);
        }
        let connected = self.connected();
        if connected.len() > members / 2 {
            let leader = connected[self.random.index(connected.len())];
            self.keep_some_in_flight();
            self.lead(leader);
        } else if let Some(raft) = &mut self.raft {
            // Nobody can be elected before somebody is back.
            raft.leader = None;
        }
    }

    /// What a leader had and no majority confirmed may be with the next one, from the beginning up to some point.
    fn keep_some_in_flight(&mut self) {
        let Some(raft) = &mut self.raft else { return };
        let spread = raft.in_flight.iter().take_while(|entry| entry.is_spread).count();
        let kept = self.random.index(spread + 1);
        for entry in raft.in_flight.drain(..).take(kept).collect::<Vec<_>>() {
            raft.push(entry.entry, entry.origin);
        }
    }

    /// Makes a member the leader of a new term.
    pub(super) fn lead(&mut self, leader: usize) {
        let Some(raft) = &mut self.raft else { return };
        raft.term += 1;
        raft.leader = Some(leader);
        raft.election += 1;
        raft.election_is_due = false;
        let (term, until, latency) = (raft.term, raft.end(), raft.peer_latency);
        self.note(Mark::Leader, leader as u64, &term.to_le_bytes());
        // It serves nobody before it has applied all that is committed.
        self.apply(leader, until);
        for at in 0..self.nodes.len() {
            let event = RaftEvent::Leader { at, term };
            if at == leader {
                self.handle_raft(event);
            } else {
                self.raft_after(latency, event);
            }
        }
        self.spread();
    }

    /// A member hears who leads.
    pub(super) fn handle_leader_heard(&mut self, at: usize, term: u64) {
        let is_connected = self.is_connected(at);
        let Some(raft) = &mut self.raft else { return };
        let Some(leader) = raft.leader.filter(|_| raft.term == term && is_connected) else {
            return;
        };
        let side = &mut raft.sides[at];
        let is_news = side.leader != Some(leader);
        side.leader = Some(leader);
        side.leaderless += 1;
        let id = self.nodes[leader].gateway.server().member_id();
        let now = self.now;
        self.nodes[at]
            .gateway
            .server_mut()
            .handle_leader(now, Some(id), term);
        if is_news {
            self.fail_reads(at);
        }
        self.send_parked(at);
        self.pump(at);
    }

    /// A member has not heard of its leader for too long.
    fn lose_leader(&mut self, at: usize) {
        let Some(raft) = &mut self.raft else { return };
        let side = &mut raft.sides[at];
        // One that is stopped finds out when it goes on.
        if side.leader.take().is_none() || self.nodes[at].power != Power::Running {
            return;
        }
        side.leaderless += 1;
        let (number, term) = (side.leaderless, raft.term);
        let now = self.now;
        self.nodes[at].gateway.server_mut().handle_leader(now, None, term);
        self.pump(at);
        self.raft_after(LEADERLESS, RaftEvent::Leaderless { at, number });
    }

    pub(super) fn handle_leaderless(&mut self, at: usize, number: u64) {
        let is_so = self
            .raft
            .as_ref()
            .is_some_and(|raft| raft.sides[at].leaderless == number);
        if is_so {
            let now = self.now;
            self.nodes[at]
                .gateway
                .server_mut()
                .end_streams_without_leader(now);
            self.pump(at);
        }
    }

    /// Passes the leadership on, without losing anything that is under way.
    pub(in crate::sim) fn move_leader(&mut self, target: usize) {
        let Some(leader) = self.able_leader() else { return };
        if leader == target || !self.is_connected(target) {
            return;
        }
        if let Some(raft) = &mut self.raft {
            for entry in std::mem::take(&mut raft.in_flight) {
                raft.push(entry.entry, entry.origin);
            }
        }
        self.lead(target);
    }

    pub(in crate::sim) fn isolate_node(&mut self, index: usize) {
        if let Some(raft) = &mut self.raft
            && raft.isolated.insert(index)
        {
            self.note(Mark::Fault, index as u64, b"isolate");
            self.reconsider();
        }
    }

    pub(in crate::sim) fn rejoin_node(&mut self, index: usize) {
        if let Some(raft) = &mut self.raft
            && raft.isolated.remove(&index)
        {
            self.note(Mark::Fault, index as u64, b"rejoin");
            self.rejoin(index);
        }
    }

    /// Compacts at the newest revision, in nobody's name.
    pub(in crate::sim) fn compact_now(&mut self) {
        if self.raft.is_none() {
            let now = self.now;
            self.nodes[0].gateway.server_mut().compact_now(now);
            return self.pump(0);
        }
        if self.able_leader().is_some() {
            self.append(crate::server::Entry::compaction(), None);
        }
    }

    pub(in crate::sim) fn set_lag(&mut self, member: usize, lag: Duration) {
        if let Some(raft) = &mut self.raft {
            raft.sides[member].lag = lag;
        }
    }

    /// The member that leads, if it can get anything agreed on; a single one always leads.
    pub(in crate::sim) fn leader(&self) -> Option<usize> {
        match self.raft {
            None => (self.nodes[0].power == Power::Running).then_some(0),
            Some(_) => self.able_leader(),
        }
    }
}
