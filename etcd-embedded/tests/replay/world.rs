//! A gateway on a virtual clock, and what a client sees of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use etcd_embedded::{Config, Dialect, ExchangeId, Gateway, GatewayEvent, Server};
use etcd_recordings::Exchange;
use serde_json::Value;

/// What has been received of an exchange.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub status: Option<u16>,
    pub body: Vec<u8>,
    pub ended: bool,
}

pub struct World {
    pub version: &'static str,
    gateway: Gateway,
    now: Instant,
    received: BTreeMap<ExchangeId, Received>,
    /// What stands here for what stood there: ids, tokens and keys made of them.
    names: BTreeMap<String, String>,
    /// Where the server would be if it had done what nobody recorded.
    pub token: Option<String>,
}

/// Where the recorded server said that its peers reach it.
fn peer_urls(version: &str) -> Vec<String> {
    let list = &etcd_recordings::scenario(version, "cluster")[0];
    let body = list
        .response
        .as_ref()
        .expect("a list of members was answered")
        .body();
    let answer: Value = serde_json::from_slice(&body).expect("an answer is JSON");
    let urls = answer["members"][0]["peerURLs"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    urls.iter()
        .filter_map(|url| url.as_str().map(str::to_owned))
        .collect()
}

impl World {
    pub fn new(version: &'static str, name: &str) -> Self {
        let dialect = match version {
            "3.4.23" => Dialect::G1_6,
            "3.5.1" => Dialect::G1_16,
            _ => Dialect::G2,
        };
        let now = Instant::now();
        let config = Config::new()
            .dialect(dialect)
            .name(name)
            .peer_urls(peer_urls(version))
            .watch_progress_notify_interval(Duration::from_secs(1))
            .auth_token_ttl(Duration::from_secs(6));
        Self {
            version,
            gateway: Gateway::new(Server::new(config, now, 1)),
            now,
            received: BTreeMap::new(),
            names: BTreeMap::new(),
            token: None,
        }
    }

    pub fn revision(&self) -> i64 {
        self.gateway.server().store().revision()
    }

    /// Lets time pass, stopping wherever the server has something to do.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(next) = self.gateway.poll_timeout()
            && next <= until
        {
            self.now = self.now.max(next);
            self.gateway.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
        self.gateway.handle_timeout(self.now);
        self.drain();
    }

    /// Sends what was recorded; the body as far as it was sent.
    pub fn begin(&mut self, exchange: &Exchange) -> ExchangeId {
        let request = exchange
            .request
            .as_ref()
            .expect("only exchanges with a request are replayed");
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(&request.path);
        for (name, value) in &request.headers {
            builder = builder.header(name, self.translate(value));
        }
        let head = builder.body(()).expect("what was sent can be sent again");
        let id = self.gateway.handle_request(self.now, &head);
        self.received.insert(id, Received::default());
        for step in &request.body {
            let bytes = step.bytes();
            let bytes = match std::str::from_utf8(&bytes) {
                Ok(text) => self.translate(text).into_bytes(),
                Err(_) => bytes.to_vec(),
            };
            self.gateway.handle_body(self.now, id, &bytes);
            self.drain();
        }
        if request.is_ended {
            self.gateway.handle_end(self.now, id);
        }
        self.drain();
        id
    }

    pub fn disconnect(&mut self, id: ExchangeId) {
        self.gateway.handle_disconnect(self.now, id);
        self.drain();
    }

    pub fn received(&self, id: ExchangeId) -> Received {
        self.received.get(&id).cloned().unwrap_or_default()
    }

    /// Does something that is not part of the recording.
    pub fn post(&mut self, path: &str, body: &str) -> Value {
        let mut builder = http::Request::post(path);
        if let Some(token) = &self.token {
            builder = builder.header("authorization", token);
        }
        let head = builder.body(()).expect("the request is well formed");
        let id = self.gateway.handle_request(self.now, &head);
        self.received.insert(id, Received::default());
        self.gateway.handle_body(self.now, id, body.as_bytes());
        self.gateway.handle_end(self.now, id);
        self.drain();
        let received = self.received(id);
        assert_eq!(
            received.status,
            Some(200),
            "{path} {body}: {}",
            String::from_utf8_lossy(&received.body)
        );
        serde_json::from_slice(&received.body).expect("an answer is JSON")
    }

    pub fn put(&mut self, key: &str, value: &str) {
        self.post("/v3/kv/put", &format!(r#"{{"key":"{key}","value":"{value}"}}"#));
    }

    /// Writes until the store is at `revision`.
    pub fn fill(&mut self, revision: i64) {
        while self.revision() < revision {
            self.put("ZmlsbGVy", "");
        }
    }

    pub fn login(&mut self, user: &str, password: &str) -> String {
        let answer = self.post(
            "/v3/auth/authenticate",
            &format!(r#"{{"name":"{user}","password":"{password}"}}"#),
        );
        answer["token"]
            .as_str()
            .expect("a login gives a token")
            .to_owned()
    }

    /// Notes that `there` is called `here`.
    pub fn learn(&mut self, there: &str, here: &str) {
        if there != here {
            self.names.insert(there.to_owned(), here.to_owned());
        }
    }

    pub fn knows(&self, there: &str) -> bool {
        self.names.contains_key(there)
    }

    /// A text with everything called as it is called here.
    pub fn translate(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (there, here) in &self.names {
            if text.contains(there.as_str()) {
                text = text.replace(there.as_str(), here);
            }
        }
        text
    }

    fn drain(&mut self) {
        while let Some(output) = self.gateway.poll_output() {
            let received = self.received.entry(output.exchange).or_default();
            match output.event {
                GatewayEvent::Head(head) => received.status = Some(head.status().as_u16()),
                GatewayEvent::Data(data) => received.body.extend_from_slice(&data),
                GatewayEvent::End => received.ended = true,
            }
        }
    }
}
