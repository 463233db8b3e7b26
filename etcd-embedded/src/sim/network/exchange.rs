//! The way of an exchange: to the server, and back.

use std::time::Duration;

use bytes::Bytes;
use etcd_core::transport::{SendMark, TransportErrorKind};

use super::connection::{Arrived, Connection, ConnectionId, Failure, Fate, Outgoing, Phase, Pipe, ToServer};
use super::{Faults, Reach, recut};
use crate::GatewayEvent;
use crate::sim::node::Power;
use crate::sim::trace::Mark;
use crate::sim::universe::{Event, Universe};

/// How long an attempt to connect waits for an answer, as `etcd-http` does by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often what is sent at once arrives in several steps.
const LATE_PIECE: f64 = 0.2;

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
            inbox: std::collections::VecDeque::new(),
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

    fn latency(&mut self, client: usize) -> Duration {
        let (least, most) = {
            let faults = self.net.faults(client);
            (faults.min_latency, faults.max_latency)
        };
        self.random.between(least, most)
    }

    /// The time bytes take, with a stall if they have one.
    fn passage(&mut self, client: usize) -> Duration {
        let latency = self.latency(client);
        let Faults { stall, max_stall, .. } = *self.net.faults(client);
        if self.random.chance(stall) {
            latency + self.random.between(Duration::ZERO, max_stall)
        } else {
            latency
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

    /// Sends something to the server.
    pub(super) fn send_up(&mut self, id: ConnectionId, what: ToServer) {
        let Some(client) = self.net.connections.get(&id).map(|known| known.client) else {
            return;
        };
        let passage = self.passage(client);
        let at = self.now + passage;
        if let Some(connection) = self.net.connections.get_mut(&id)
            && !connection.up.is_black_hole
        {
            let at = connection.up.arrival(at);
            self.schedule(at, Event::ToServer(id, what));
        }
    }

    pub(in crate::sim) fn handle_to_server(&mut self, id: ConnectionId, what: ToServer) {
        let Some(connection) = self.net.connections.get_mut(&id) else {
            return;
        };
        let client = &mut self.net.clients[connection.client];
        if client.reach(connection.node) == Reach::Silent {
            return client.limbo.push(Event::ToServer(id, what));
        }
        let node = &mut self.nodes[connection.node];
        if node.power == Power::Crashed || node.incarnation != connection.incarnation {
            // Nobody knows of this connection any more, and says so.
            connection.is_served = true;
            return self.fail(id, TransportErrorKind::Io);
        }
        if connection.fate == Fate::RequestLost {
            connection.is_served = true;
            return self.fail(id, TransportErrorKind::Io);
        }
        if node.power == Power::Stopped {
            node.held.push_back((id, what));
            return;
        }
        self.deliver_to_server(id, what);
    }

    pub(in crate::sim) fn deliver_to_server(&mut self, id: ConnectionId, what: ToServer) {
        let now = self.now;
        let Some(connection) = self.net.connections.get_mut(&id) else {
            return;
        };
        let index = connection.node;
        let node = &mut self.nodes[index];
        match what {
            ToServer::Request(Outgoing { head, body }) => {
                let exchange = node.gateway.handle_request(now, &*head);
                connection.exchange = Some(exchange);
                node.exchanges.insert(exchange, id);
                if let Some(body) = body {
                    node.gateway.handle_body(now, exchange, &body);
                    node.gateway.handle_end(now, exchange);
                }
            }
            ToServer::Body(bytes) => {
                if let Some(exchange) = connection.exchange {
                    node.gateway.handle_body(now, exchange, &bytes);
                }
            }
            ToServer::End => {
                if let Some(exchange) = connection.exchange {
                    node.gateway.handle_end(now, exchange);
                }
            }
            ToServer::Gone => {
                if let Some(exchange) = connection.exchange.take() {
                    node.gateway.handle_disconnect(now, exchange);
                    node.exchanges.remove(&exchange);
                }
                connection.is_served = true;
                self.forget_if_over(id);
            }
        }
        self.note(Mark::ToServer, id, &[]);
        self.pump(index);
    }

    /// Passes on what a member has written.
    pub(in crate::sim) fn pump(&mut self, index: usize) {
        let mut written: Vec<ConnectionId> = Vec::new();
        let node = &mut self.nodes[index];
        while let Some(output) = node.gateway.poll_output() {
            let Some(id) = node.exchanges.get(&output.exchange).copied() else {
                continue;
            };
            if matches!(output.event, GatewayEvent::End) {
                node.exchanges.remove(&output.exchange);
            }
            if let Some(connection) = self.net.connections.get_mut(&id) {
                connection.outgoing.push(output.event);
                if !written.contains(&id) {
                    written.push(id);
                }
            }
        }
        for id in written {
            self.send_down(id);
        }
    }

    /// Sends what a member has written to a connection.
    fn send_down(&mut self, id: ConnectionId) {
        let Some(connection) = self.net.connections.get_mut(&id) else {
            return;
        };
        let client = connection.client;
        let mut head = None;
        let mut lines = Vec::new();
        let mut ends = false;
        for event in connection.outgoing.drain(..) {
            match event {
                GatewayEvent::Head(response) => head = Some(response),
                GatewayEvent::Data(data) => lines.push(data),
                GatewayEvent::End => ends = true,
            }
        }
        if ends {
            connection.is_served = true;
            connection.exchange = None;
        }
        if connection.is_abandoned {
            // The first thing written to a closed connection tells the server that it is.
            if !ends {
                let passage = self.latency(client);
                self.schedule(self.now + passage, Event::ToServer(id, ToServer::Gone));
            }
            return self.forget_if_over(id);
        }
        if connection.down.is_black_hole || connection.is_broken {
            return;
        }
        if connection.fate == Fate::ResponseLost {
            return self.reset(id);
        }
        let faults = self.net.faults(client).clone();
        if self.random.chance(faults.black_hole) {
            self.make_black_hole(id);
            return;
        }
        let is_cut = self.random.chance(faults.cut);
        let ends_early = !ends && self.random.chance(faults.end);
        let mut pieces = recut::as_written(lines);
        if !pieces.is_empty() && self.random.chance(faults.recut) {
            pieces = recut::anyhow(&mut self.random, pieces);
        }
        if is_cut {
            pieces = recut::beginning(&mut self.random, pieces);
        }
        let ends = !is_cut && (ends || ends_early);
        self.send_pieces(id, head, pieces, ends);
        if is_cut {
            self.reset(id);
        } else if ends_early {
            self.break_off(id);
        }
    }

    fn send_pieces(
        &mut self,
        id: ConnectionId,
        head: Option<http::Response<()>>,
        pieces: Vec<Bytes>,
        ends: bool,
    ) {
        let Some(client) = self.net.connections.get(&id).map(|known| known.client) else {
            return;
        };
        let recuts = self.net.faults(client).recut > 0.0;
        if let Some(connection) = self.net.connections.get_mut(&id) {
            connection.is_answered |= head.is_some();
        }
        let mut batch: Vec<_> = head.map(Box::new).map(Arrived::Head).into_iter().collect();
        let mut steps = 0;
        for piece in pieces {
            if recuts && steps < 3 && !batch.is_empty() && self.random.chance(LATE_PIECE) {
                steps += 1;
                self.send_batch(id, std::mem::take(&mut batch));
            }
            batch.push(Arrived::Data(piece));
        }
        if ends {
            batch.push(Arrived::End);
        }
        self.send_batch(id, batch);
    }

    fn send_batch(&mut self, id: ConnectionId, batch: Vec<Arrived>) {
        let Some(client) = self.net.connections.get(&id).map(|known| known.client) else {
            return;
        };
        let passage = self.passage(client);
        let at = self.now + passage;
        if let Some(connection) = self.net.connections.get_mut(&id) {
            let at = connection.down.arrival(at);
            self.schedule(at, Event::ToClient(id, batch));
        }
    }

    pub(in crate::sim) fn handle_to_client(&mut self, id: ConnectionId, arrived: Vec<Arrived>) {
        if let Some(connection) = self.net.connections.get(&id)
            && connection.phase == Phase::Open
        {
            let client = &mut self.net.clients[connection.client];
            if client.reach(connection.node) == Reach::Silent {
                return client.limbo.push(Event::ToClient(id, arrived));
            }
        }
        for piece in &arrived {
            match piece {
                Arrived::Data(data) => self.note(Mark::ToClient, id, data),
                Arrived::Head(head) => self.note(Mark::ToClient, id, &head.status().as_u16().to_le_bytes()),
                Arrived::End | Arrived::Failure(_) => self.note(Mark::ToClient, id, &[]),
            }
        }
        let Some(connection) = self.net.connections.get_mut(&id) else {
            return;
        };
        if connection.phase == Phase::Over || connection.is_abandoned {
            return;
        }
        let is_over = matches!(arrived.last(), Some(Arrived::End | Arrived::Failure(_)));
        connection.inbox.extend(arrived);
        let reader = connection.reader.take();
        let mut upload = None;
        if is_over {
            connection.phase = Phase::Over;
            upload = connection.upload.take();
        }
        self.wake(reader);
        self.wake(upload);
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

    fn break_off(&mut self, id: ConnectionId) {
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
