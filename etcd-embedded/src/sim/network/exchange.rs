//! The life of an exchange: how it begins, and how it ends on either side.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_core::transport::{SendMark, TransportErrorKind};

use super::Reach;
use super::connection::{Arrived, Connection, ConnectionId, Failure, Fate, Outgoing, Phase, Pipe, ToServer};
use crate::sim::node::Power;
use crate::sim::trace::Mark;
use crate::sim::universe::{Event, Universe};

/// How long an attempt to connect waits for an answer, as `etcd-http` does by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a request finds a connection that is open already.
const POOLED: f64 = 0.7;

impl Universe {
    /// Begins an exchange.
    pub(super) fn begin(
        &mut self,
        client: usize,
        node: usize,
        request: Outgoing,
        mark: Option<SendMark>,
    ) -> ConnectionId {
        let id = self.net.next_connection;
        self.net.next_connection += 1;
        let fate = self.draw_fate(client);
        let is_pooled = request.body.is_some() && self.random.chance(POOLED);
        let reach = self.net.clients[client].reach(node);
        let connection = Connection {
            client,
            node,
            path: request.head.uri().path().to_owned(),
            request: Some(request),
            fate,
            up: Pipe::new(self.now),
            down: Pipe::new(self.now),
            phase: Phase::Connecting,
            inbox: VecDeque::new(),
            reader: None,
            upload: None,
            mark,
            is_answered: false,
            is_broken: false,
            is_abandoned: false,
            incarnation: 0,
            exchange: None,
            is_served: false,
            outgoing: Vec::new(),
        };
        self.net.connections.insert(id, connection);
        self.note(Mark::Connect, id, &[]);
        if fate == Fate::Unreachable || reach == Reach::Silent {
            self.schedule(self.now + CONNECT_TIMEOUT, Event::ConnectTimeout(id));
        } else if is_pooled {
            self.handle_connect(id);
        } else {
            let there = self.latency(client);
            let back = self.latency(client);
            self.schedule(self.now + there + back, Event::Connect(id));
        }
        id
    }

    fn draw_fate(&mut self, client: usize) -> Fate {
        let faults = self.net.faults(client).clone();
        let random = &mut self.random;
        if random.chance(faults.refuse) {
            Fate::Refused
        } else if random.chance(faults.unreachable) {
            Fate::Unreachable
        } else if random.chance(faults.lose_request) {
            Fate::RequestLost
        } else if random.chance(faults.lose_response) {
            Fate::ResponseLost
        } else if random.chance(faults.black_hole) {
            if random.chance(0.5) {
                Fate::BlackHoleUp
            } else {
                Fate::BlackHoleDown
            }
        } else {
            Fate::Good
        }
    }

    pub(in crate::sim) fn handle_connect(&mut self, id: ConnectionId) {
        let Some(connection) = self.net.connections.get_mut(&id) else {
            return;
        };
        let reach = self.net.clients[connection.client].reach(connection.node);
        let node = &self.nodes[connection.node];
        if connection.fate == Fate::Refused || reach == Reach::Refused || node.power == Power::Crashed {
            return self.fail(id, TransportErrorKind::Connect);
        }
        connection.phase = Phase::Open;
        connection.incarnation = node.incarnation;
        match connection.fate {
            Fate::BlackHoleUp => connection.up.is_black_hole = true,
            Fate::BlackHoleDown => connection.down.is_black_hole = true,
            _ => {}
        }
        if let Some(mark) = &connection.mark {
            mark.sent();
        }
        let upload = connection.upload.take();
        self.wake(upload);
        let connection = self.net.connections.get_mut(&id);
        if let Some(request) = connection.and_then(|connection| connection.request.take()) {
            self.send_up(id, ToServer::Request(request));
        }
    }

    pub(in crate::sim) fn handle_connect_timeout(&mut self, id: ConnectionId) {
        self.fail(id, TransportErrorKind::ConnectTimeout);
    }

    /// Tells the client of an exchange that it is over, now.
    pub(in crate::sim) fn fail(&mut self, id: ConnectionId, kind: TransportErrorKind) {
        let Some(connection) = self.net.connections.get_mut(&id) else {
            return;
        };
        let is_sent = connection.phase != Phase::Connecting;
        let failure = Failure { kind, is_sent };
        if !is_sent {
            connection.is_served = true;
            if let Some(mark) = &connection.mark {
                mark.hold();
            }
        }
        self.note(Mark::Lost, id, &[]);
        self.handle_to_client(id, vec![Arrived::Failure(failure)]);
        self.forget_if_over(id);
    }

    /// Breaks a connection: the client is told after what is on its way, the server after that.
    pub(in crate::sim) fn reset(&mut self, id: ConnectionId) {
        let kind = if self.random.chance(0.5) {
            TransportErrorKind::Io
        } else {
            TransportErrorKind::Closed
        };
        let is_silent = self
            .net
            .connections
            .get(&id)
            .is_some_and(|known| known.down.is_black_hole);
        if !is_silent {
            let is_sent = true;
            self.note(Mark::Lost, id, &[]);
            self.send_batch(id, vec![Arrived::Failure(Failure { kind, is_sent })]);
        }
        self.break_off(id);
    }

    /// Ends a stream in good order, as something between client and server may do.
    pub(super) fn end_stream(&mut self, id: ConnectionId) {
        self.note(Mark::Lost, id, &[]);
        self.send_batch(id, vec![Arrived::End]);
        self.break_off(id);
    }

    pub(super) fn break_off(&mut self, id: ConnectionId) {
        if let Some(connection) = self.net.connections.get_mut(&id) {
            connection.is_broken = true;
        }
        self.leave(id);
    }

    /// Lets the server learn that a client has gone, sooner or later.
    pub(in crate::sim) fn leave(&mut self, id: ConnectionId) {
        let Some(connection) = self.net.connections.get(&id) else {
            return;
        };
        let (client, free_at) = (connection.client, connection.up.free_at);
        if connection.is_served {
            return;
        }
        let faults = self.net.faults(client).clone();
        let mut delay = self.latency(client);
        if connection_is_silent(&self.net, id) || self.random.chance(faults.linger) {
            delay += self.random.between(Duration::ZERO, faults.max_linger);
        }
        // Not before what it has sent.
        let at = free_at.max(self.now) + delay;
        self.schedule(at, Event::ToServer(id, ToServer::Gone));
    }

    /// From now on nothing arrives on either side.
    pub(in crate::sim) fn make_black_hole(&mut self, id: ConnectionId) {
        if let Some(connection) = self.net.connections.get_mut(&id) {
            connection.up.is_black_hole = true;
            connection.down.is_black_hole = true;
            self.note(Mark::Lost, id, &[]);
        }
    }

    /// Takes note that the client reads no more.
    pub(super) fn close(&mut self, id: ConnectionId) {
        let Some(connection) = self.net.connections.get_mut(&id) else {
            return;
        };
        connection.is_abandoned = true;
        connection.inbox.clear();
        let upload = connection.upload.take();
        let was_connecting = connection.phase == Phase::Connecting;
        if was_connecting {
            connection.is_served = true;
        } else if connection.phase == Phase::Open {
            self.leave(id);
        }
        self.wake(upload);
        self.forget_if_over(id);
    }

    pub(super) fn forget_if_over(&mut self, id: ConnectionId) {
        let is_over = self
            .net
            .connections
            .get(&id)
            .is_some_and(|connection| connection.is_abandoned && connection.is_served);
        if is_over {
            self.net.connections.remove(&id);
        }
    }
}

/// Whether a closed connection is not heard of at the other end.
fn connection_is_silent(net: &super::Net, id: ConnectionId) -> bool {
    net.connections
        .get(&id)
        .is_some_and(|connection| connection.up.is_black_hole)
}
