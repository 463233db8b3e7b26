//! Disturbances at intervals, drawn from the seed.

use std::time::Duration;

use super::network::Reach;
use super::node::Power;
use super::trace::Mark;
use super::universe::{Event, Universe};

/// What a schedule can do. Whatever lasts, ends by itself after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disturbance {
    /// Breaks every connection.
    CutAll,
    /// Breaks one connection.
    CutOne,
    /// Ends one stream in good order, without a line that says why.
    EndOne,
    /// Makes one connection silent for ever.
    BlackHoleOne,
    /// Breaks the connections of one client, and refuses it new ones for a while.
    RefuseClient,
    /// Lets nothing pass between one client and the members for a while.
    SilenceClient,
    /// Stops a member for a while (SIGSTOP): it accepts connections and says nothing.
    Stop,
    /// Crashes a member (SIGKILL) and starts it again after a while.
    Crash,
    /// Shuts a member down (SIGTERM) and starts it again after a while.
    ShutDown,
    /// Cuts a member off from the others for a while; clients still reach it.
    Isolate,
    /// Passes the leadership on.
    MoveLeader,
    /// Compacts at the current revision.
    Compact,
    /// Ends all tokens.
    ExpireTokens,
    /// Lets no client run for a while, as when a laptop sleeps; members go on.
    SuspendClients,
    /// Moves the clock on at once, for all.
    Leap,
}

impl Disturbance {
    /// All there are.
    pub const ALL: [Self; 15] = [
        Self::CutAll,
        Self::CutOne,
        Self::EndOne,
        Self::BlackHoleOne,
        Self::RefuseClient,
        Self::SilenceClient,
        Self::Stop,
        Self::Crash,
        Self::ShutDown,
        Self::Isolate,
        Self::MoveLeader,
        Self::Compact,
        Self::ExpireTokens,
        Self::SuspendClients,
        Self::Leap,
    ];
}

/// When something happens on purpose, and what.
///
/// ```
/// use std::time::Duration;
/// use etcd_embedded::sim::{Disturbance, Schedule, World};
///
/// let world = World::builder(7)
///     .members(3)
///     .schedule(Schedule::every(Duration::from_secs(1)).without(Disturbance::Compact))
///     .build();
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    interval: Duration,
    disturbances: Vec<Disturbance>,
    longest: Duration,
}

impl Schedule {
    /// One disturbance of any kind each `interval` on average. What lasts, lasts up to 5 s, or what
    /// [`longest`](Self::longest) says.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self {
            interval,
            disturbances: Disturbance::ALL.to_vec(),
            longest: Duration::from_secs(5),
        }
    }

    /// Only these kinds; one that is named twice comes twice as often.
    #[must_use]
    pub fn of(mut self, disturbances: impl IntoIterator<Item = Disturbance>) -> Self {
        self.disturbances = disturbances.into_iter().collect();
        self
    }

    /// All but this kind.
    #[must_use]
    pub fn without(mut self, disturbance: Disturbance) -> Self {
        self.disturbances.retain(|kept| *kept != disturbance);
        self
    }

    /// How long something lasts at most.
    #[must_use]
    pub fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }
}

/// The end of a disturbance.
#[derive(Clone, Copy, Debug)]
pub(super) enum Relief {
    Client(usize),
    Resume(usize),
    Restart(usize),
    Rejoin(usize),
}

/// What the clock does that the queue cannot.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClockFault {
    Freeze(Duration),
    Leap(Duration),
}

impl Universe {
    /// Follows a schedule from now on, `None` for none.
    pub(super) fn follow(&mut self, schedule: Option<Schedule>) {
        self.plan_number += 1;
        self.plan = schedule;
        self.plan_next();
    }

    fn plan_next(&mut self) {
        let Some(plan) = self.plan.as_ref().filter(|plan| !plan.disturbances.is_empty()) else {
            return;
        };
        let (least, most) = (plan.interval / 2, plan.interval * 3 / 2);
        let at = self.now + self.random.between(least, most);
        self.schedule(at, Event::Disturb(self.plan_number));
    }

    pub(super) fn handle_disturb(&mut self, plan_number: u64) {
        if plan_number != self.plan_number {
            return;
        }
        let Some(plan) = self.plan.clone() else { return };
        let kind = plan.disturbances[self.random.index(plan.disturbances.len())];
        let lasts = self.random.between(Duration::from_millis(1), plan.longest);
        self.disturb(kind, lasts);
        self.plan_next();
    }

    pub(super) fn disturb(&mut self, kind: Disturbance, lasts: Duration) {
        self.note(Mark::Fault, kind as u64, &[]);
        self.disturbances += 1;
        let node = self.random.index(self.nodes.len());
        let until = self.now + lasts;
        match kind {
            Disturbance::CutAll => self.cut(|_| true),
            Disturbance::CutOne => {
                if let Some(id) = self.pick_connection() {
                    self.cut_connection(id);
                }
            }
            Disturbance::EndOne => self.end_one(),
            Disturbance::BlackHoleOne => self.black_hole_one(),
            Disturbance::RefuseClient | Disturbance::SilenceClient => {
                if self.net.clients.is_empty() {
                    return;
                }
                let client = self.random.index(self.net.clients.len());
                let reach = if kind == Disturbance::RefuseClient {
                    Reach::Refused
                } else {
                    Reach::Silent
                };
                for node in 0..self.nodes.len() {
                    self.set_reach(client, node, reach);
                }
                self.schedule(until, Event::Relieve(Relief::Client(client)));
            }
            Disturbance::Stop => {
                if self.nodes[node].power == Power::Running {
                    self.stop_node(node);
                    self.schedule(until, Event::Relieve(Relief::Resume(node)));
                }
            }
            Disturbance::Crash => {
                if self.nodes[node].power != Power::Crashed {
                    self.crash_node(node);
                    self.schedule(until, Event::Relieve(Relief::Restart(node)));
                }
            }
            Disturbance::ShutDown => {
                if self.nodes[node].power == Power::Running {
                    self.shut_down_node(node);
                    self.schedule(until, Event::Relieve(Relief::Restart(node)));
                }
            }
            Disturbance::Isolate => {
                self.isolate_node(node);
                self.schedule(until, Event::Relieve(Relief::Rejoin(node)));
            }
            Disturbance::MoveLeader => self.move_leader(node),
            Disturbance::Compact => self.compact_now(),
            Disturbance::ExpireTokens => self.expire_tokens(),
            Disturbance::SuspendClients => self.clock_fault = Some(ClockFault::Freeze(lasts)),
            Disturbance::Leap => self.clock_fault = Some(ClockFault::Leap(lasts)),
        }
    }

    pub(super) fn handle_relieve(&mut self, relief: Relief) {
        match relief {
            Relief::Client(client) => self.restore_client(client),
            Relief::Resume(node) => self.resume_node(node),
            Relief::Restart(node) => self.restart_node(node),
            Relief::Rejoin(node) => self.rejoin_node(node),
        }
    }

    /// Ends all that lasts.
    pub(super) fn heal(&mut self) {
        for client in 0..self.net.clients.len() {
            self.restore_client(client);
        }
        for node in 0..self.nodes.len() {
            self.resume_node(node);
            self.restart_node(node);
            self.rejoin_node(node);
        }
    }

    fn restore_client(&mut self, client: usize) {
        for node in 0..self.nodes.len() {
            self.set_reach(client, node, Reach::Open);
        }
    }
}
