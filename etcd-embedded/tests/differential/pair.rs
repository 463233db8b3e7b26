//! A real server and an embedded one, asked the same.

use std::fmt;
use std::time::Duration;

use etcd_core::codec::{Message, to_json};
use etcd_core::rpc::Request;
use etcd_embedded::{Config, Dialect};
use serde_json::Value;

use super::Plan;
use super::here::Here;
use super::http::Connection;
use super::mask::masked;

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Ask {
    pub fn of<R: Request>(request: &R) -> Self {
        Self::at(R::RPC.paths[0], request)
    }

    pub fn at(path: &str, message: &impl Message) -> Self {
        Self::post(path, to_json(message))
    }

    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST",
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, path) = (self.method, &self.path);
        let body = self.body[..self.body.len().min(2000)].escape_ascii().to_string();
        write!(
            f,
            "{method} {path} {:?} {}",
            self.headers,
            body.replace("\\\"", "\"")
        )
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

/// How a server starts that is compared: with nothing that depends on how long the comparison takes.
pub const FOR_EVER: Duration = Duration::from_secs(1_000_000);

pub struct Pair {
    pub plan: Plan,
    pub server: etcd_process::Server,
    pub there: Connection,
    pub here: Here,
    step: u64,
    /// The newest revision that an answer named.
    pub revision: i64,
}

impl Pair {
    pub fn start(plan: Plan) -> Self {
        Self::start_with(plan, |builder| builder, Config::new())
    }

    /// With settings that are the same for both.
    pub fn start_with(
        plan: Plan,
        there: impl FnOnce(etcd_process::ServerBuilder) -> etcd_process::ServerBuilder,
        here: Config,
    ) -> Self {
        let builder = etcd_process::Server::builder(match plan.dialect {
            Dialect::G1_6 => etcd_process::Dialect::G1_6,
            Dialect::G1_16 => etcd_process::Dialect::G1_16,
            _ => etcd_process::Dialect::G2,
        });
        let server = there(builder.auth_token_ttl(FOR_EVER)).start();
        let config = here
            .dialect(plan.dialect)
            .client_urls([server.client_url()])
            .peer_urls([server.peer_url()])
            .auth_token_ttl(FOR_EVER);
        Self {
            plan,
            there: Connection::new(server.client_addr()),
            server,
            here: Here::new(config),
            step: 0,
            revision: 1,
        }
    }

    /// Begins the next step.
    pub fn step(&mut self) {
        self.step += 1;
    }

    /// What a failure says first.
    pub fn context(&self) -> String {
        let Plan { dialect, seed, .. } = self.plan;
        format!("seed {seed}, step {} of {dialect:?}", self.step)
    }

    /// Asks both, and compares the answers but for what no two servers have in common. Returns the embedded one's.
    pub fn ask(&mut self, ask: &Ask) -> Value {
        self.ask_as(ask, ask)
    }

    /// The same, where the two requests differ in what a server made up before: tokens.
    pub fn ask_as(&mut self, ask_there: &Ask, ask_here: &Ask) -> Value {
        let (there, here) = self.ask_raw(ask_there, ask_here);
        self.assert_same(ask_here, &there, &here)
    }

    pub fn ask_raw(&mut self, ask_there: &Ask, ask_here: &Ask) -> (Answer, Answer) {
        let context = self.context();
        let here = self.here.ask(ask_here);
        let mut here = here.unwrap_or_else(|| panic!("{context}: no answer here to {ask_here}"));
        if ask_here.method == "HEAD" {
            // Whoever serves HTTP leaves it out.
            here.body.clear();
        }
        (self.there.ask(ask_there), here)
    }

    pub fn assert_same(&mut self, ask: &Ask, there: &Answer, here: &Answer) -> Value {
        let context = format!("{}: {ask}", self.context());
        let (there_value, here_value) = (masked(&there.body, ask), masked(&here.body, ask));
        assert!(
            there.status == here.status && there_value == here_value,
            "{context}:\nthere {} {}\nhere  {} {}",
            there.status,
            there.body,
            here.status,
            here.body
        );
        assert_eq!(
            there.content_type, here.content_type,
            "{context}: {} {}",
            there.status, there.body
        );
        if let Some(revision) = here_value["header"]["revision"].as_str() {
            self.revision = self.revision.max(revision.parse().unwrap());
        }
        here_value
    }

    /// Says that the run is over.
    pub fn finish(&self, what: &str) {
        let Plan { dialect, seed, steps } = self.plan;
        println!("{dialect:?}, {what}: {steps} steps from seed {seed}, no difference");
    }
}
