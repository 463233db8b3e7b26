//! The embedded server against a real one: the same generated requests to both, every answer compared.
//!
//! Needs the servers that `cargo xtask etcd` fetches. `DIFFERENTIAL_STEPS` says how many requests to make with each
//! dialect (default 600), `DIFFERENTIAL_SEED` where to begin (default 1). A failure names both.

#![allow(clippy::unwrap_used, clippy::field_reassign_with_default, unreachable_pub)]

#[path = "../generator/mod.rs"]
mod generator;
mod http;
mod steps;

use std::time::Instant;

use etcd_embedded::{Config, Dialect, ExchangeId, Gateway, GatewayEvent, Server};
use generator::Generator;
use serde_json::Value;

use http::{Connection, WatchStream};
use steps::Step;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

#[test]
fn g1_6_answers_like_3_4() {
    compare(Dialect::G1_6, etcd_process::Dialect::G1_6);
}

#[test]
fn g1_16_answers_like_upstream_3_5() {
    compare(Dialect::G1_16, etcd_process::Dialect::G1_16);
}

#[test]
fn g2_answers_like_3_5_of_debian() {
    compare(Dialect::G2, etcd_process::Dialect::G2);
}

fn compare(dialect: Dialect, real: etcd_process::Dialect) {
    let (seed, count) = (
        setting("DIFFERENTIAL_SEED", 1),
        setting("DIFFERENTIAL_STEPS", 600),
    );
    let server = etcd_process::Server::builder(real).fsync(false).start();
    let address = server.client_addr();
    let mut there = Connection::open(address);
    let mut watch_there = WatchStream::open(address, WATCH);
    let mut here = Here::new(dialect);
    let watch_here = here.open("/v3/watch");
    here.gateway.handle_body(here.now, watch_here, WATCH.as_bytes());

    let mut generator = Generator(seed);
    let mut revision = 1;
    for number in 0..count {
        let step = Step::generate(&mut generator, revision);
        let context = format!(
            "seed {seed}, step {number} of {dialect:?}: {} {}",
            step.path, step.body
        );
        let (there, here) = (
            there.post(step.path, &step.body),
            here.post(step.path, &step.body),
        );
        assert_eq!(there.0, here.0, "{context}:\nthere {}\nhere {}", there.1, here.1);
        let (mut there, mut here) = (masked(&there.1), masked(&here.1));
        if step.body.contains("sort_target") {
            order_by_key(&mut there);
            order_by_key(&mut here);
        }
        assert_eq!(there, here, "{context}");
        if let Some(now) = here["header"]["revision"].as_str() {
            revision = now.parse().unwrap();
        }
    }

    // The last event of all ends what there is to wait for.
    let end = r#"{"key":"ZW5k","value":"ZW5k"}"#;
    there.post("/v3/kv/put", end);
    here.post("/v3/kv/put", end);
    let there = watch_there.events_until("ZW5k");
    let here = events(&here.received(watch_here));
    for (position, (there, here)) in there.iter().zip(&here).enumerate() {
        assert_eq!(there, here, "seed {seed}: event {position} of {dialect:?}");
    }
    assert_eq!(there.len(), here.len(), "seed {seed}: the events of {dialect:?}");
    println!(
        "{dialect:?}: {count} requests, {} events, no difference",
        here.len()
    );
}

const WATCH: &str = r#"{"create_request":{"key":"AA==","range_end":"AA==","prev_kv":true}}"#;

/// The embedded side.
struct Here {
    gateway: Gateway,
    now: Instant,
    received: std::collections::BTreeMap<ExchangeId, (u16, Vec<u8>)>,
}

impl Here {
    fn new(dialect: Dialect) -> Self {
        let now = Instant::now();
        Self {
            gateway: Gateway::new(Server::new(Config::new().dialect(dialect), now, 1)),
            now,
            received: std::collections::BTreeMap::new(),
        }
    }

    fn open(&mut self, path: &str) -> ExchangeId {
        let head = ::http::Request::post(path).body(()).unwrap();
        self.now = Instant::now();
        self.gateway.handle_request(self.now, &head)
    }

    fn post(&mut self, path: &str, body: &str) -> (u16, String) {
        let id = self.open(path);
        self.gateway.handle_body(self.now, id, body.as_bytes());
        self.gateway.handle_end(self.now, id);
        self.drain();
        let (status, body) = self
            .received
            .remove(&id)
            .unwrap_or_else(|| panic!("no answer to {path} {body}"));
        (status, String::from_utf8(body).unwrap())
    }

    fn received(&mut self, id: ExchangeId) -> Vec<u8> {
        self.drain();
        self.received
            .get(&id)
            .map(|(_, body)| body.clone())
            .unwrap_or_default()
    }

    fn drain(&mut self) {
        while let Some(output) = self.gateway.poll_output() {
            let received = self.received.entry(output.exchange).or_default();
            match output.event {
                GatewayEvent::Head(head) => received.0 = head.status().as_u16(),
                GatewayEvent::Data(data) => received.1.extend_from_slice(&data),
                GatewayEvent::End => {}
            }
        }
    }
}

/// The events of a stream, one after the other: how they are put into messages is a matter of time.
fn events(body: &[u8]) -> Vec<Value> {
    serde_json::Deserializer::from_slice(body)
        .into_iter::<Value>()
        .flat_map(|line| {
            line.unwrap()["result"]["events"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        })
        .collect()
}

/// Pairs in the order of their keys, where the one they came in may be chance.
fn order_by_key(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Array(pairs)) = members.get_mut("kvs") {
                pairs.sort_by_key(|pair| pair["key"].as_str().unwrap_or_default().to_owned());
            }
            members.values_mut().for_each(order_by_key);
        }
        Value::Array(items) => items.iter_mut().for_each(order_by_key),
        _ => {}
    }
}

/// An answer without what no two servers have in common.
fn masked(body: &str) -> Value {
    let mut value = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.replace('\u{a0}', " ")));
    mask(&mut value);
    value
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in ["cluster_id", "member_id", "raft_term"] {
                members.remove(name);
            }
            // Full seconds pass at different moments.
            if members.contains_key("grantedTTL") {
                members.remove("TTL");
            }
            if let Some(Value::Array(keys)) = members.get_mut("keys") {
                keys.sort_by_key(ToString::to_string);
            }
            if let Some(Value::Array(leases)) = members.get_mut("leases") {
                leases.sort_by_key(ToString::to_string);
            }
            members.values_mut().for_each(mask);
            // A header with nothing but ids, or an empty one of a transaction within another.
            members.retain(|_, value| *value != Value::Object(serde_json::Map::new()));
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}
