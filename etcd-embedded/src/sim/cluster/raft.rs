//! What the members agree on, and when.
//!
//! This is not raft, only what raft amounts to for a client: one log, which a majority has to take note of, entries in
//! one order for all, one leader at a time, and a term that grows. Nothing that has been committed is ever lost; what
//! had not been may be, or may not.
//!
//! ```text
//!   member ── Ask ──▶ leader ── a majority ──▶ committed ──▶ each member learns of it, in its own time ──▶ applied
//!      ▲                                                                                                     │
//!      └──── the member that asked answers its client once it has applied the entry itself ──────────────────┘
//! ```
//!
//! Source of the times: etcd's defaults (heartbeats of 100 ms, elections after 1 to 2 s, requests given up after 7 s).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::node::Power;
use super::super::universe::{Event, Universe};
use crate::server::{AskId, Entry, LeaseStatus, Need};

/// What a request waits for an answer of the cluster (`ReqTimeout` in `server/config/config.go`: 5 s and two election
/// timeouts).
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(7);
/// How long members go without hearing of a leader before they elect one.
pub(super) const ELECTION: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));
/// How long a member that is back goes without hearing of the leader there is.
pub(super) const HEARTBEAT: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// All members taken together.
pub(in crate::sim) struct Raft {
    pub(super) leader: Option<usize>,
    pub(super) term: u64,
    /// The committed entries that some member has not applied yet.
    log: VecDeque<Arc<Committed>>,
    /// The number of the first of them.
    first: u64,
    /// What the leader has and a majority has not.
    pub(super) in_flight: VecDeque<InFlight>,
    /// The members that the others do not reach.
    pub(super) isolated: BTreeSet<usize>,
    pub(super) sides: Vec<Side>,
    pub(super) peer_latency: (Duration, Duration),
    /// Tells an election that is due from those that were called off.
    pub(super) election: u64,
    pub(super) election_is_due: bool,
}

/// How the cluster looks from one member.
#[derive(Default)]
pub(super) struct Side {
    pub(super) leader: Option<usize>,
    /// The number of the first entry it has not applied.
    pub(super) next: u64,
    /// How long it takes longer than others to apply what is committed.
    pub(super) lag: Duration,
    /// Its questions without an answer.
    pub(super) asks: BTreeMap<AskId, Asked>,
    /// Reads that wait until this many entries are applied.
    pub(super) reads: Vec<(u64, AskId)>,
    /// What reached it while it was stopped.
    pub(super) held: Vec<RaftEvent>,
    /// Since when it has no leader: tells one such time from another.
    pub(super) leaderless: u64,
}

/// Where a question is.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) need: Need,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// At the member, for want of a leader.
    Parked,
    /// With the leader.
    Sent,
}

/// An entry that all members apply.
pub(super) struct Committed {
    pub(super) entry: Entry,
    /// Who asked for it.
    pub(super) origin: Option<(usize, AskId)>,
}

/// An entry that only the leader has for certain.
pub(super) struct InFlight {
    pub(super) entry: Entry,
    pub(super) origin: Option<(usize, AskId)>,
    pub(super) ready_at: Instant,
    /// The other members may have it: it may survive the leader.
    pub(super) is_spread: bool,
}

/// Something that happens among the members.
#[derive(Debug)]
pub(in crate::sim) enum RaftEvent {
    /// A question reaches the member that leads, as far as the one that asks knows.
    AtLeader {
        from: usize,
        ask: AskId,
        to: usize,
    },
    /// The leader's confirmation of a read reaches the member that asked.
    Confirmed {
        at: usize,
        ask: AskId,
        until: u64,
        term: u64,
    },
    /// The leader's answer to a renewal reaches the member that asked.
    Renewed {
        at: usize,
        ask: AskId,
        ttl: i64,
    },
    LeaseStatus {
        at: usize,
        ask: AskId,
        status: Option<LeaseStatus>,
    },
    GiveUp {
        at: usize,
        ask: AskId,
    },
    /// The first entries in flight may be ready.
    Commit,
    /// A member learns what is committed.
    Learn {
        at: usize,
        until: u64,
    },
    /// A member hears of the leader of a term.
    Leader {
        at: usize,
        term: u64,
    },
    Elect(u64),
    /// Streams that demand a leader have waited long enough.
    Leaderless {
        at: usize,
        number: u64,
    },
}

impl RaftEvent {
    /// The member it happens to, if it is one.
    fn member(&self) -> Option<usize> {
        match self {
            Self::Confirmed { at, .. }
            | Self::Renewed { at, .. }
            | Self::LeaseStatus { at, .. }
            | Self::GiveUp { at, .. }
            | Self::Learn { at, .. }
            | Self::Leader { at, .. }
            | Self::Leaderless { at, .. } => Some(*at),
            Self::AtLeader { .. } | Self::Commit | Self::Elect(_) => None,
        }
    }
}

impl Raft {
    pub(in crate::sim) fn new(members: usize, peer_latency: (Duration, Duration)) -> Self {
        Self {
            leader: None,
            term: 1,
            log: VecDeque::new(),
            first: 0,
            in_flight: VecDeque::new(),
            isolated: BTreeSet::new(),
            sides: (0..members).map(|_| Side::default()).collect(),
            peer_latency,
            election: 0,
            election_is_due: false,
        }
    }

    /// The number of entries committed.
    pub(super) fn end(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    /// For whoever has to find out why nothing moves.
    pub(in crate::sim) fn describe(&self) -> String {
        let sides: Vec<_> = self
            .sides
            .iter()
            .map(|side| (side.leader, side.next, side.asks.len(), side.reads.len()))
            .collect();
        format!(
            "leader {:?} of term {}, {} entries committed, {} in flight, {:?} cut off; \
             members know of (leader, applied, asks, reads) {sides:?}",
            self.leader,
            self.term,
            self.end(),
            self.in_flight.len(),
            self.isolated,
        )
    }

    pub(super) fn entry(&self, number: u64) -> Option<Arc<Committed>> {
        let position = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.log.get(position).cloned()
    }

    pub(super) fn push(&mut self, entry: Entry, origin: Option<(usize, AskId)>) {
        self.log.push_back(Arc::new(Committed { entry, origin }));
    }

    /// Forgets what every member has applied.
    pub(super) fn trim(&mut self) {
        let needed = self.sides.iter().map(|side| side.next).min().unwrap_or_default();
        while self.first < needed && self.log.pop_front().is_some() {
            self.first += 1;
        }
    }
}

impl Universe {
    pub(in crate::sim) fn handle_raft(&mut self, event: RaftEvent) {
        let Some(raft) = &mut self.raft else { return };
        if let Some(member) = event.member() {
            match self.nodes[member].power {
                Power::Running => {}
                Power::Stopped => return raft.sides[member].held.push(event),
                // It forgot all that it was waiting for.
                Power::Crashed => return,
            }
        }
        match event {
            RaftEvent::AtLeader { from, ask, to } => self.handle_at_leader(from, ask, to),
            RaftEvent::Confirmed { at, ask, until, term } => self.handle_confirmed(at, ask, until, term),
            RaftEvent::Renewed { at, ask, ttl } => {
                if self.forget_ask(at, ask) {
                    let now = self.now;
                    self.nodes[at].gateway.server_mut().handle_renewed(now, ask, ttl);
                    self.pump(at);
                }
            }
            RaftEvent::LeaseStatus { at, ask, status } => {
                if self.forget_ask(at, ask) {
                    let now = self.now;
                    self.nodes[at]
                        .gateway
                        .server_mut()
                        .handle_lease_status(now, ask, status);
                    self.pump(at);
                }
            }
            RaftEvent::GiveUp { at, ask } => self.handle_give_up(at, ask),
            RaftEvent::Commit => self.commit(),
            RaftEvent::Learn { at, until } => self.handle_learn(at, until),
            RaftEvent::Leader { at, term } => self.handle_leader_heard(at, term),
            RaftEvent::Elect(number) => self.handle_elect(number),
            RaftEvent::Leaderless { at, number } => self.handle_leaderless(at, number),
        }
    }

    pub(super) fn raft_after(&mut self, (least, most): (Duration, Duration), event: RaftEvent) {
        let at = self.now + self.random.between(least, most);
        self.schedule(at, Event::Raft(event));
    }

    /// Whether two members reach each other.
    pub(super) fn is_connected(&self, member: usize) -> bool {
        self.nodes[member].power == Power::Running
            && self
                .raft
                .as_ref()
                .is_some_and(|raft| !raft.isolated.contains(&member))
    }

    /// The members that reach each other, a majority or not.
    pub(super) fn connected(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|member| self.is_connected(*member))
            .collect()
    }

    /// The leader, if it can get anything agreed on at the moment.
    pub(super) fn able_leader(&self) -> Option<usize> {
        let leader = self.raft.as_ref()?.leader?;
        let connected = self.connected();
        (connected.contains(&leader) && connected.len() > self.nodes.len() / 2).then_some(leader)
    }
}
