//! From the server to the client.

use bytes::Bytes;

use super::connection::{Arrived, ConnectionId, Fate, Phase, ToServer};
use super::{Reach, recut};
use crate::GatewayEvent;
use crate::sim::trace::Mark;
use crate::sim::universe::{Event, Universe};

/// How often what is sent at once arrives in several steps.
const LATE_PIECE: f64 = 0.2;

impl Universe {
    /// Passes on what a member has written.
    pub(in crate::sim) fn pump(&mut self, index: usize) {
        let mut written: Vec<ConnectionId> = Vec::new();
        let node = &mut self.nodes[index];
        node.gateway.pump();
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
        while let Some(ask) = self.nodes[index].gateway.server_mut().poll_ask() {
            self.handle_ask(index, ask);
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

    pub(super) fn send_batch(&mut self, id: ConnectionId, batch: Vec<Arrived>) {
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
}
