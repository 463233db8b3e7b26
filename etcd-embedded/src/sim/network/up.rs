//! From the client to the server.

use std::time::Duration;

use etcd_core::transport::TransportErrorKind;

use super::connection::{ConnectionId, Fate, Outgoing, ToServer};
use super::{Faults, Reach};
use crate::sim::node::Power;
use crate::sim::trace::Mark;
use crate::sim::universe::{Event, Universe};

impl Universe {
    pub(super) fn latency(&mut self, client: usize) -> Duration {
        let (least, most) = {
            let faults = self.net.faults(client);
            (faults.min_latency, faults.max_latency)
        };
        self.random.between(least, most)
    }

    /// The time bytes take, with a stall if they have one.
    pub(super) fn passage(&mut self, client: usize) -> Duration {
        let latency = self.latency(client);
        let Faults { stall, max_stall, .. } = *self.net.faults(client);
        if self.random.chance(stall) {
            latency + self.random.between(Duration::ZERO, max_stall)
        } else {
            latency
        }
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
}
