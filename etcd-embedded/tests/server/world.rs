//! A server, a clock, and what each call was told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use etcd_core::message::*;
use etcd_core::rpc::rows;
use etcd_embedded::{CallId, CallOptions, Config, OutputEvent, Request, Response, Server, Status};

pub const SECOND: Duration = Duration::from_secs(1);

pub struct World {
    pub server: Server,
    pub now: Instant,
    pub token: Option<String>,
    told: BTreeMap<CallId, Vec<OutputEvent>>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Config::new())
    }

    pub fn with(config: Config) -> Self {
        let now = Instant::now();
        Self::around(Server::new(config, now, 1), now)
    }

    pub fn around(server: Server, now: Instant) -> Self {
        Self {
            server,
            now,
            token: None,
            told: BTreeMap::new(),
        }
    }

    fn options(&self) -> CallOptions {
        match &self.token {
            Some(token) => CallOptions::new().token(token),
            None => CallOptions::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            self.told.entry(output.call).or_default().push(output.event);
        }
    }

    /// Lets time pass, stopping wherever the server has something to do.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(next) = self.server.poll_timeout()
            && next <= until
        {
            self.now = self.now.max(next);
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
        self.server.handle_timeout(self.now);
        self.drain();
    }

    pub fn begin(&mut self, request: impl Into<Request>) -> CallId {
        let call = self.server.handle_call(self.now, request, self.options());
        self.drain();
        call
    }

    /// What a call has been told since the last time.
    pub fn told(&mut self, call: CallId) -> Vec<OutputEvent> {
        self.told.remove(&call).unwrap_or_default()
    }

    pub fn call(&mut self, request: impl Into<Request>) -> Result<Response, Status> {
        let call = self.begin(request);
        match &self.told(call)[..] {
            [OutputEvent::Message(response), OutputEvent::End(Ok(()))] => Ok(response.clone()),
            [OutputEvent::End(Err(status))] => Err(status.clone()),
            other => panic!("not an answer: {other:?}"),
        }
    }

    pub fn fail(&mut self, request: impl Into<Request>) -> String {
        self.call(request).unwrap_err().message().to_owned()
    }

    pub fn put(&mut self, key: &str, value: &str) -> i64 {
        match self.call(Put::new(key, value)) {
            Ok(Response::Put(put)) => put.header.revision,
            other => panic!("{other:?}"),
        }
    }

    pub fn keys(&mut self, get: Get) -> Vec<String> {
        match self.call(get) {
            Ok(Response::Range(range)) => range
                .kvs
                .iter()
                .map(|pair| pair.key_str().unwrap().to_owned())
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    pub fn grant(&mut self, id: i64, ttl: i64) {
        self.call(LeaseGrant::new(ttl).id(id)).unwrap();
    }

    pub fn watch(&mut self, create: WatchCreate) -> CallId {
        let call = self.server.handle_open(self.now, &rows::WATCH, self.options());
        self.say(call, create);
        call
    }

    pub fn say(&mut self, call: CallId, message: impl Into<Watch>) {
        self.server.handle_message(self.now, call, message.into());
        self.drain();
    }

    pub fn heard(&mut self, call: CallId) -> Vec<WatchResponse> {
        let told = self.told(call).into_iter();
        told.map(|event| match event {
            OutputEvent::Message(Response::Watch(message)) => message,
            other => panic!("{other:?}"),
        })
        .collect()
    }

    pub fn leave(&mut self, call: CallId) {
        self.server.handle_disconnect(self.now, call);
        self.drain();
    }
}

/// Events as `key@revision`, deletions with a minus in front.
pub fn events(messages: &[WatchResponse]) -> Vec<Vec<String>> {
    let describe = |event: &Event| {
        let sign = if event.event_type == EventType::Delete {
            "-"
        } else {
            ""
        };
        format!("{sign}{}@{}", event.kv.key_str().unwrap(), event.kv.mod_revision)
    };
    messages
        .iter()
        .filter(|message| !message.events.is_empty())
        .map(|message| message.events.iter().map(describe).collect())
        .collect()
}
