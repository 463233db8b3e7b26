//! The embedded side, on a clock of its own that stands still unless it is told to go on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use etcd_embedded::{Config, ExchangeId, Gateway, GatewayEvent, Server};

use super::pair::{Answer, Ask};

pub struct Here {
    pub gateway: Gateway,
    pub now: Instant,
    received: BTreeMap<ExchangeId, Received>,
}

/// What an exchange has been answered so far.
#[derive(Default)]
struct Received {
    status: u16,
    content_type: String,
    body: Vec<u8>,
    ended: bool,
}

impl Here {
    pub fn new(config: Config) -> Self {
        let now = Instant::now();
        Self {
            gateway: Gateway::new(Server::new(config, now, 1)),
            now,
            received: BTreeMap::new(),
        }
    }

    /// Begins an exchange, without the end of its body.
    pub fn open(&mut self, ask: &Ask) -> ExchangeId {
        let mut request = http::Request::builder().method(ask.method).uri(&ask.path);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let id = self.gateway.handle_request(self.now, &request.body(()).unwrap());
        self.received.insert(id, Received::default());
        self.say(id, &ask.body);
        id
    }

    pub fn say(&mut self, id: ExchangeId, message: &[u8]) {
        self.gateway.handle_body(self.now, id, message);
    }

    /// Ends the body of a request.
    pub fn end(&mut self, id: ExchangeId) {
        self.gateway.handle_end(self.now, id);
    }

    pub fn close(&mut self, id: ExchangeId) {
        self.gateway.handle_disconnect(self.now, id);
        self.received.remove(&id);
    }

    /// The whole answer to a whole request, `None` if there is none yet.
    pub fn ask(&mut self, ask: &Ask) -> Option<Answer> {
        let id = self.open(ask);
        self.end(id);
        self.answer(id)
    }

    /// The whole answer of an exchange, once it has ended.
    pub fn answer(&mut self, id: ExchangeId) -> Option<Answer> {
        self.drain();
        if !self.received.get(&id)?.ended {
            return None;
        }
        let received = self.received.remove(&id)?;
        Some(Answer {
            status: received.status,
            content_type: received.content_type,
            body: String::from_utf8(received.body).unwrap(),
        })
    }

    /// What an exchange has received since the last time: its status, data, and whether it has ended.
    pub fn take(&mut self, id: ExchangeId) -> (u16, Vec<u8>, bool) {
        self.drain();
        match self.received.get_mut(&id) {
            Some(received) => (
                received.status,
                std::mem::take(&mut received.body),
                received.ended,
            ),
            None => (0, Vec::new(), true),
        }
    }

    /// Lets time pass, stopping wherever there is something to do.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.gateway.poll_timeout()
            && next <= until
        {
            self.now = self.now.max(next);
            self.gateway.handle_timeout(self.now);
        }
        self.now = until;
        self.gateway.handle_timeout(self.now);
    }

    fn drain(&mut self) {
        while let Some(output) = self.gateway.poll_output() {
            let Some(received) = self.received.get_mut(&output.exchange) else {
                continue;
            };
            match output.event {
                GatewayEvent::Head(head) => {
                    received.status = head.status().as_u16();
                    let content_type = head.headers().get("content-type");
                    received.content_type = content_type
                        .map_or("", |value| value.to_str().unwrap())
                        .to_owned();
                }
                GatewayEvent::Data(data) => received.body.extend_from_slice(&data),
                GatewayEvent::End => received.ended = true,
            }
        }
    }
}
