//! A member: its gateway and what becomes of the process.
//!
//! ```text
//!              stop                          crash
//!   Stopped ◀────────▶ Running ──────────────────────────────▶ Crashed
//!     │       resume     ▲  ▲            restart                  │ ▲
//!     │                  │  └─────────────────────────────────────┘ │
//!     └──────────────────┴──── crash ───────────────────────────────┘
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::network::{ConnectionId, ToServer};
use super::trace::Mark;
use super::universe::Universe;
use crate::{ExchangeId, Gateway};

pub(super) struct Node {
    pub(super) host: String,
    pub(super) gateway: Gateway,
    pub(super) power: Power,
    /// What arrived while it was stopped: the kernel takes it.
    pub(super) held: VecDeque<(ConnectionId, ToServer)>,
    pub(super) exchanges: BTreeMap<ExchangeId, ConnectionId>,
    /// How often it has been started.
    pub(super) incarnation: u64,
}

/// What state the process of a member is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    Running,
    /// As after SIGSTOP: it accepts connections and says nothing.
    Stopped,
    /// As after SIGKILL: connections are closed, and new ones refused.
    Crashed,
}

impl Node {
    pub(super) fn new(index: usize, gateway: Gateway) -> Self {
        Self {
            host: host(index),
            gateway,
            power: Power::Running,
            held: VecDeque::new(),
            exchanges: BTreeMap::new(),
            incarnation: 1,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.power {
            Power::Running => self.gateway.poll_timeout(),
            Power::Stopped | Power::Crashed => None,
        }
    }
}

/// The host under which a member is reached.
pub(super) fn host(index: usize) -> String {
    format!("member-{index}.sim")
}

impl Universe {
    pub(super) fn stop_node(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.power == Power::Running {
            node.power = Power::Stopped;
            self.note(Mark::Fault, index as u64, b"stop");
            self.reconsider();
        }
    }

    pub(super) fn resume_node(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if node.power != Power::Stopped {
            return;
        }
        node.power = Power::Running;
        let held = std::mem::take(&mut node.held);
        self.note(Mark::Fault, index as u64, b"resume");
        self.rejoin(index);
        // What became due in the meantime is late.
        self.nodes[index].gateway.handle_timeout(now);
        self.pump(index);
        for (id, what) in held {
            self.deliver_to_server(id, what);
        }
    }

    pub(super) fn shut_down_node(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if node.power == Power::Running {
            node.gateway.handle_shutdown(now);
            self.pump(index);
            self.crash_node(index);
        }
    }

    pub(super) fn crash_node(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.power == Power::Crashed {
            return;
        }
        node.power = Power::Crashed;
        node.held.clear();
        node.exchanges.clear();
        self.note(Mark::Fault, index as u64, b"crash");
        self.drop_connections_of(index);
        self.forget_leadership(index);
        self.reconsider();
    }

    pub(super) fn restart_node(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if node.power != Power::Crashed {
            return;
        }
        node.power = Power::Running;
        node.incarnation += 1;
        node.gateway.restart(now);
        self.note(Mark::Fault, index as u64, b"restart");
        self.rejoin(index);
    }
}
