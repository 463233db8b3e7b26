//! One after the other, requests to any members of a cluster are answered as a single server answers them.

use std::time::Instant;

use etcd_core::codec::to_json;
use etcd_core::message::{Compact, LeaseGrant, LeaseList, LeaseRevoke, LeaseTimeToLive};
use etcd_embedded::sim::World;
use etcd_embedded::{Config, Dialect, Gateway, GatewayEvent, Server};
use serde_json::Value;

use crate::generator::Generator;
use crate::steps::{Answer, Caller, seconds};

/// A path and a body.
type Step = (&'static str, String);

fn step(generator: &mut Generator, revision: i64) -> Step {
    let body = |json: Vec<u8>| String::from_utf8(json).unwrap();
    let lease = generator.small(4);
    match generator.below(16) {
        0..=2 => ("/v3/kv/range", body(to_json(&generator.get(revision)))),
        3..=5 => ("/v3/kv/put", body(to_json(&generator.put()))),
        6 | 7 => ("/v3/kv/deleterange", body(to_json(&generator.delete()))),
        8..=10 => ("/v3/kv/txn", body(to_json(&generator.txn(revision, 2)))),
        11 => {
            let ttl = 60 + generator.small(60);
            (
                "/v3/lease/grant",
                body(to_json(&LeaseGrant::new(ttl).id(lease.max(1)))),
            )
        }
        12 => ("/v3/lease/revoke", body(to_json(&LeaseRevoke::new(lease)))),
        13 => (
            "/v3/lease/timetolive",
            body(to_json(&LeaseTimeToLive::new(lease).keys())),
        ),
        14 => ("/v3/lease/leases", body(to_json(&LeaseList::default()))),
        _ => {
            let target = generator.small(u64::try_from(revision).unwrap() + 2);
            ("/v3/kv/compaction", body(to_json(&Compact::new(target))))
        }
    }
}

fn ask(gateway: &mut Gateway, now: Instant, (path, body): &Step) -> Answer {
    let request = http::Request::post(*path).body(()).unwrap();
    let exchange = gateway.handle_request(now, &request);
    gateway.handle_body(now, exchange, body.as_bytes());
    gateway.handle_end(now, exchange);
    let mut status = 0;
    let mut bytes = Vec::new();
    while let Some(output) = gateway.poll_output() {
        match output.event {
            GatewayEvent::Head(head) => status = head.status().as_u16(),
            GatewayEvent::Data(data) => bytes.extend_from_slice(&data),
            GatewayEvent::End => {}
        }
    }
    let body = serde_json::from_slice(&bytes).unwrap();
    Answer { status, body }
}

/// Without what is a cluster's own, and without seconds, which pass differently.
fn masked(mut answer: Answer) -> Answer {
    if let Some(header) = answer.body.get_mut("header").and_then(Value::as_object_mut) {
        for own in ["cluster_id", "member_id", "raft_term"] {
            header.remove(own);
        }
    }
    if let Some(fields) = answer.body.as_object_mut()
        && fields.contains_key("grantedTTL")
    {
        fields.remove("TTL");
    }
    answer
}

fn compare(seed: u64, members: usize) {
    let dialect = Dialect::ALL[usize::try_from(seed % 3).unwrap()];
    let config = Config::new().dialect(dialect);
    let world = World::builder(seed)
        .members(members)
        .config(config.clone())
        .build();
    let now = Instant::now();
    let mut single = Gateway::new(Server::new(config, now, seed));
    let caller = Caller::new(&world);
    let mut generator = Generator::new(seed);
    world.block_on(async {
        for _ in 0..200 {
            let step = step(&mut generator, single.server().store().revision());
            let member = usize::try_from(world.random(members as u64)).unwrap();
            let expected = ask(&mut single, now + world.elapsed(), &step);
            let found = caller.post(member, step.0, &step.1).await.unwrap();
            assert_eq!(masked(found), masked(expected), "seed {seed}, {step:?}");
            // What a member serves by itself may be behind: here it catches up first.
            world.sleep(seconds(1) / 100).await;
        }
    });
}

#[test]
fn a_world_of_one_member_answers_like_a_server() {
    for seed in 0..9 {
        compare(seed, 1);
    }
}

#[test]
fn a_cluster_answers_like_a_server() {
    for seed in 0..9 {
        compare(seed, 3);
    }
}
