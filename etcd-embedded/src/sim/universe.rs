//! What happens outside the clients: the network, the members, and what is planned for them.
//!
//! One queue holds what is going to happen, by time; members have deadlines of their own. Whatever happens may put
//! more into the queue. All of it is behind one lock, which only one thread ever takes; tasks are woken after it is
//! released.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use etcd_core::runtime::Runtime as _;

use super::cluster::{Raft, RaftEvent};
use super::network::{Arrived, ConnectionId, Net, ToServer};
use super::node::Node;
use super::runtime::{Device, SimHandle};
use super::schedule::{ClockFault, Relief, Schedule};
use super::trace::{Mark, Trace};
use crate::random::Random;

/// What the parts of a world share.
pub(super) struct Shared {
    runtime: Arc<SimHandle>,
    universe: Mutex<Universe>,
}

pub(super) struct Universe {
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) random: Random,
    pub(super) trace: Trace,
    pub(super) net: Net,
    pub(super) nodes: Vec<Node>,
    /// What several members agree on; `None` for a single one.
    pub(super) raft: Option<Raft>,
    queue: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
    pub(super) plan: Option<Schedule>,
    /// Tells the events of the schedule in force from those of earlier ones.
    pub(super) plan_number: u64,
    /// How many there have been.
    pub(super) disturbances: u64,
    /// What the clock is to do when this moment is over.
    pub(super) clock_fault: Option<ClockFault>,
    wakers: Vec<Waker>,
}

/// Something that is going to happen.
pub(super) enum Event {
    /// The attempt to connect has reached the member.
    Connect(ConnectionId),
    /// Nobody answered an attempt to connect.
    ConnectTimeout(ConnectionId),
    ToServer(ConnectionId, ToServer),
    ToClient(ConnectionId, Vec<Arrived>),
    /// The next thing of the schedule with this number.
    Disturb(u64),
    Relieve(Relief),
    Raft(RaftEvent),
}

impl Universe {
    pub(super) fn new(now: Instant, random: Random, net: Net, nodes: Vec<Node>, raft: Option<Raft>) -> Self {
        Self {
            now,
            start: now,
            random,
            trace: Trace::default(),
            net,
            nodes,
            raft,
            queue: BTreeMap::new(),
            next_event: 0,
            plan: None,
            plan_number: 0,
            disturbances: 0,
            clock_fault: None,
            wakers: Vec::new(),
        }
    }

    pub(super) fn schedule(&mut self, at: Instant, event: Event) {
        self.next_event += 1;
        self.queue.insert((at, self.next_event), event);
    }

    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        self.wakers.extend(waker);
    }

    pub(super) fn note(&mut self, mark: Mark, subject: u64, content: &[u8]) {
        let at = self.now.saturating_duration_since(self.start);
        self.trace.note(at, mark, subject, content);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let event = self.queue.first_key_value().map(|((at, _), _)| *at);
        self.nodes
            .iter()
            .filter_map(Node::poll_timeout)
            .chain(event)
            .min()
    }

    /// Does what is due, in order.
    fn handle_timeout(&mut self) {
        while let Some(next) = self.poll_timeout().filter(|next| *next <= self.now) {
            match self.queue.first_entry() {
                Some(event) if event.key().0 <= next => {
                    let event = event.remove();
                    self.handle_event(event);
                }
                _ => self.run_node_deadlines(),
            }
        }
    }

    pub(super) fn handle_event(&mut self, event: Event) {
        match event {
            Event::Connect(id) => self.handle_connect(id),
            Event::ConnectTimeout(id) => self.handle_connect_timeout(id),
            Event::ToServer(id, what) => self.handle_to_server(id, what),
            Event::ToClient(id, what) => self.handle_to_client(id, what),
            Event::Disturb(plan) => self.handle_disturb(plan),
            Event::Relieve(relief) => self.handle_relieve(relief),
            Event::Raft(event) => self.handle_raft(event),
        }
    }

    fn run_node_deadlines(&mut self) {
        for index in 0..self.nodes.len() {
            let now = self.now;
            let node = &mut self.nodes[index];
            if node.poll_timeout().is_some_and(|at| at <= now) {
                node.gateway.handle_timeout(now);
                self.pump(index);
            }
        }
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            // Writing to a string cannot fail.
            let _ = write!(text, "{} is {:?}. ", node.host, node.power);
        }
        if let Some(raft) = &self.raft {
            let _ = write!(text, "{}. ", raft.describe());
        }
        for (id, connection) in &self.net.connections {
            let _ = write!(
                text,
                "\n  connection {id} of client {} to {}{}: {:?}, {:?}",
                connection.client,
                self.nodes[connection.node].host,
                connection.path,
                connection.phase,
                connection.fate,
            );
        }
        text
    }
}

impl Shared {
    pub(super) fn new(runtime: Arc<SimHandle>, universe: Universe) -> Self {
        Self {
            runtime,
            universe: Mutex::new(universe),
        }
    }

    pub(super) fn runtime(&self) -> &Arc<SimHandle> {
        &self.runtime
    }

    /// Does something to the universe, and wakes whoever it concerns.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut Universe) -> T) -> T {
        let now = self.runtime.now();
        let mut universe = self.lock();
        universe.now = now;
        let result = act(&mut universe);
        let wakers = std::mem::take(&mut universe.wakers);
        let clock_fault = universe.clock_fault.take();
        drop(universe);
        match clock_fault {
            Some(ClockFault::Freeze(duration)) => self.runtime.freeze(duration),
            Some(ClockFault::Leap(duration)) => self.runtime.leap(duration),
            None => {}
        }
        for waker in wakers {
            waker.wake();
        }
        result
    }

    pub(super) fn elapsed(&self) -> Duration {
        let now = self.runtime.now();
        now - self.lock().start
    }

    fn lock(&self) -> MutexGuard<'_, Universe> {
        // A panic leaves it as it was at that moment; there is nothing better to go on with.
        self.universe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for Shared {
    fn poll_timeout(&self) -> Option<Instant> {
        self.lock().poll_timeout()
    }

    fn handle_timeout(&self, _: Instant) {
        self.act(Universe::handle_timeout);
    }

    fn describe(&self) -> String {
        self.lock().describe()
    }
}
