//! The log: from the leader to the state of every member.

use super::super::trace::Mark;
use super::super::universe::{Event, Universe};
use super::raft::{InFlight, RaftEvent, Stage};
use crate::server::{AskFailure, AskId, Entry};

impl Universe {
    /// Takes an entry at the leader.
    pub(super) fn append(&mut self, entry: Entry, origin: Option<(usize, AskId)>) {
        let is_spread = self.able_leader().is_some();
        let Some(raft) = &mut self.raft else { return };
        let (least, most) = raft.peer_latency;
        let ready_at = self.now + self.random.between(least * 2, most * 2);
        raft.in_flight.push_back(InFlight {
            entry,
            origin,
            ready_at,
            is_spread,
        });
        self.schedule(ready_at, Event::Raft(RaftEvent::Commit));
    }

    /// Commits what is ready.
    pub(super) fn commit(&mut self) {
        if self.able_leader().is_none() {
            return;
        }
        let now = self.now;
        let Some(raft) = &mut self.raft else { return };
        let before = raft.end();
        while let Some(first) = raft.in_flight.front() {
            if first.ready_at > now {
                let at = first.ready_at;
                self.schedule(at, Event::Raft(RaftEvent::Commit));
                break;
            }
            if let Some(ready) = raft.in_flight.pop_front() {
                raft.push(ready.entry, ready.origin);
            }
        }
        if self.raft.as_ref().is_some_and(|raft| raft.end() > before) {
            self.spread();
        }
    }

    /// Lets all members learn of what is committed, the leader at once.
    pub(super) fn spread(&mut self) {
        let Some(raft) = &self.raft else { return };
        let (until, leader) = (raft.end(), raft.leader);
        for at in self.connected() {
            let event = RaftEvent::Learn { at, until };
            if leader == Some(at) {
                self.handle_raft(event);
            } else {
                self.learn_later(at, event);
            }
        }
    }

    pub(super) fn learn_later(&mut self, at: usize, event: RaftEvent) {
        let Some(raft) = &self.raft else { return };
        let ((least, most), lag) = (raft.peer_latency, raft.sides[at].lag);
        self.raft_after((least + lag, most + lag), event);
    }

    pub(super) fn handle_learn(&mut self, at: usize, until: u64) {
        // What a member missed while it was cut off, it is told when it is back.
        if self.is_connected(at) {
            self.apply(at, until);
        }
    }

    /// Lets a member apply what is committed.
    pub(super) fn apply(&mut self, at: usize, until: u64) {
        let now = self.now;
        while let Some(raft) = &mut self.raft
            && raft.sides[at].next < until
            && let Some(committed) = raft.entry(raft.sides[at].next)
        {
            raft.sides[at].next += 1;
            let number = raft.sides[at].next;
            let ask = committed
                .origin
                .and_then(|(member, ask)| (member == at).then_some(ask));
            if let Some(ask) = ask {
                raft.sides[at].asks.remove(&ask);
            }
            self.nodes[at]
                .gateway
                .server_mut()
                .handle_entry(now, &committed.entry, ask);
            self.note(Mark::Applied, at as u64, &number.to_le_bytes());
            self.pump(at);
        }
        if let Some(raft) = &mut self.raft {
            raft.trim();
        }
        self.answer_reads(at);
    }

    /// Answers the reads that waited for what has been applied.
    pub(super) fn answer_reads(&mut self, at: usize) {
        let Some(raft) = &mut self.raft else { return };
        let side = &mut raft.sides[at];
        let next = side.next;
        let (ready, waiting) = std::mem::take(&mut side.reads)
            .into_iter()
            .partition(|(until, _)| *until <= next);
        side.reads = waiting;
        let ready: Vec<(u64, AskId)> = ready;
        let now = self.now;
        for (_, ask) in ready {
            if self.forget_ask(at, ask) {
                self.nodes[at].gateway.server_mut().handle_read_index(now, ask);
                self.pump(at);
            }
        }
    }

    pub(super) fn handle_give_up(&mut self, at: usize, ask: AskId) {
        let asked = self
            .raft
            .as_mut()
            .and_then(|raft| raft.sides[at].asks.remove(&ask));
        let Some(asked) = asked else { return };
        let failure = match asked.stage {
            Stage::Parked => AskFailure::NeverSent,
            Stage::Sent => AskFailure::TimedOut,
        };
        let now = self.now;
        self.nodes[at]
            .gateway
            .server_mut()
            .handle_ask_failure(now, ask, failure);
        self.pump(at);
    }

    /// Whether a question was still without an answer; it is not any more.
    pub(super) fn forget_ask(&mut self, at: usize, ask: AskId) -> bool {
        self.raft
            .as_mut()
            .is_some_and(|raft| raft.sides[at].asks.remove(&ask).is_some())
    }
}
