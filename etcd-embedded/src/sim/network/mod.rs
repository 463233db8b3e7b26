//! The network between clients and members.

mod connection;
mod down;
mod exchange;
mod recut;
mod transport;
mod up;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub(super) use connection::{Arrived, ConnectionId, ToServer};
use connection::{Connection, Phase};
use etcd_core::transport::TransportErrorKind;
pub use transport::SimTransport;

use super::Faults;
use super::trace::Mark;
use super::universe::{Event, Shared, Universe};

/// All connections, and how bad things are.
pub(super) struct Net {
    pub(super) faults: Faults,
    pub(super) clients: Vec<ClientSide>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    next_connection: ConnectionId,
}

/// What holds for one client.
#[derive(Default)]
pub(super) struct ClientSide {
    /// In place of those of the network.
    pub(super) faults: Option<Faults>,
    /// Members that it does not reach as usual.
    outages: BTreeMap<usize, Reach>,
    /// What was on its way when it stopped reaching a member: TCP sends it again.
    limbo: Vec<Event>,
}

/// Whether a client reaches a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Open,
    /// Connections are refused.
    Refused,
    /// Nothing passes, and nobody says so.
    Silent,
}

impl ClientSide {
    pub(super) fn reach(&self, node: usize) -> Reach {
        self.outages.get(&node).copied().unwrap_or(Reach::Open)
    }
}

impl Net {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            faults,
            clients: Vec::new(),
            connections: BTreeMap::new(),
            next_connection: 1,
        }
    }

    pub(super) fn faults(&self, client: usize) -> &Faults {
        self.clients[client].faults.as_ref().unwrap_or(&self.faults)
    }
}

/// The network of a [`World`](super::World), to be disturbed.
///
/// What is done to one client, its [`SimTransport`] does.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

impl Network {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Sets how bad it is from now on.
    pub fn set(&self, faults: Faults) {
        self.shared.act(|universe| universe.net.faults = faults);
    }

    /// How bad it is.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.shared.act(|universe| universe.net.faults.clone())
    }

    /// Breaks every connection.
    pub fn cut_all(&self) {
        self.shared.act(|universe| universe.cut(|_| true));
    }

    /// Breaks one of the connections there are, if there is any.
    pub fn cut_one(&self) {
        self.shared.act(|universe| {
            if let Some(id) = universe.pick_connection() {
                universe.cut_connection(id);
            }
        });
    }

    /// Ends one of the streams there are, in good order and without a line that says why.
    pub fn end_one(&self) {
        self.shared.act(Universe::end_one);
    }

    /// Makes one of the connections there are silent for ever.
    pub fn black_hole_one(&self) {
        self.shared.act(Universe::black_hole_one);
    }

    /// The number of connections whose two ends are not both over.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.shared.act(|universe| universe.net.connections.len())
    }
}

impl Universe {
    pub(super) fn cut(&mut self, mut concerns: impl FnMut(&Connection) -> bool) {
        let ids: Vec<_> = self
            .net
            .connections
            .iter()
            .filter(|(_, connection)| concerns(connection))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.cut_connection(id);
        }
    }

    pub(super) fn cut_connection(&mut self, id: ConnectionId) {
        let Some(connection) = self.net.connections.get(&id) else {
            return;
        };
        match connection.phase {
            Phase::Connecting => self.fail(id, TransportErrorKind::Connect),
            Phase::Open if !connection.is_abandoned => self.reset(id),
            Phase::Open | Phase::Over => {}
        }
    }

    /// Ends one of the streams there are in good order.
    pub(super) fn end_one(&mut self) {
        let open =
            self.connections_that(|connection| connection.is_answered && connection.exchange.is_some());
        if !open.is_empty() {
            let id = open[self.random.index(open.len())];
            self.end_stream(id);
        }
    }

    pub(super) fn black_hole_one(&mut self) {
        if let Some(id) = self.pick_connection() {
            self.make_black_hole(id);
        }
    }

    /// One of the connections in use.
    pub(super) fn pick_connection(&mut self) -> Option<ConnectionId> {
        let open = self.connections_that(|_| true);
        if open.is_empty() {
            return None;
        }
        Some(open[self.random.index(open.len())])
    }

    fn connections_that(&self, concerns: impl Fn(&Connection) -> bool) -> Vec<ConnectionId> {
        self.net
            .connections
            .iter()
            .filter(|(_, connection)| connection.phase == Phase::Open && !connection.is_abandoned)
            .filter(|(_, connection)| concerns(connection))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Breaks the connections of a member that has none any more.
    pub(super) fn drop_connections_of(&mut self, node: usize) {
        let ids: Vec<_> = self
            .net
            .connections
            .iter()
            .filter(|(_, connection)| connection.node == node && connection.phase != Phase::Connecting)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if let Some(connection) = self.net.connections.get_mut(&id) {
                connection.exchange = None;
                connection.is_served = true;
            }
            self.cut_connection(id);
            self.forget_if_over(id);
        }
    }

    /// Whether a client reaches a member from now on.
    pub(super) fn set_reach(&mut self, client: usize, node: usize, reach: Reach) {
        self.note(Mark::Fault, node as u64, &[reach as u8]);
        let side = &mut self.net.clients[client];
        match reach {
            Reach::Open => side.outages.remove(&node),
            _ => side.outages.insert(node, reach),
        };
        if reach != Reach::Silent {
            // All of it goes on, before anything that was sent later; what concerns a member that is still out of reach
            // comes back here.
            for event in std::mem::take(&mut side.limbo) {
                self.handle_event(event);
            }
        }
        if reach == Reach::Refused {
            self.cut(|connection| connection.client == client && connection.node == node);
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("faults", &self.faults()).finish()
    }
}
