//! Leases.

use etcd_core::key::prefix;
use etcd_core::message::*;
use etcd_core::rpc::rows;
use etcd_embedded::{CallOptions, OutputEvent, Response};

use super::world::{SECOND, World, events};

#[test]
fn the_keys_of_a_lease_go_with_it_at_one_revision() {
    let mut world = World::new();
    world.grant(7, 5);
    for key in ["k2", "k1", "k3"] {
        world.call(Put::new(key, "").lease(7)).unwrap();
    }
    world.put("k3", "stays: it no longer has a lease");
    let watch = world.watch(WatchCreate::new(prefix("k")));
    world.pass(4 * SECOND);
    assert_eq!(world.keys(Get::new(prefix("k"))).len(), 3);
    world.pass(SECOND);
    assert_eq!(world.keys(Get::new(prefix("k"))), ["k3"]);
    assert_eq!(events(&world.heard(watch)), [["-k1@6", "-k2@6"]]);
    assert_eq!(
        world.fail(LeaseRevoke::new(7)),
        "etcdserver: requested lease not found"
    );
}

#[test]
fn two_leases_that_expire_together_take_a_revision_each() {
    let mut world = World::new();
    for id in [7, 8] {
        world.grant(id, 5);
        world.call(Put::new(format!("k{id}"), "").lease(id)).unwrap();
    }
    let watch = world.watch(WatchCreate::new(prefix("k")));
    world.pass(6 * SECOND);
    assert_eq!(events(&world.heard(watch)), [["-k7@4"], ["-k8@5"]]);
}

#[test]
fn a_lease_without_keys_takes_no_revision() {
    let mut world = World::new();
    world.grant(7, 5);
    world.pass(6 * SECOND);
    assert_eq!(world.server.store().revision(), 1);
}

#[test]
fn keeping_alive_prolongs_a_lease_and_tells_when_it_is_gone() {
    let mut world = World::new();
    world.grant(7, 5);
    let call = world
        .server
        .handle_open(world.now, &rows::LEASE_KEEP_ALIVE, CallOptions::new());
    for _ in 0..4 {
        world.pass(4 * SECOND);
        world
            .server
            .handle_message(world.now, call, LeaseKeepAlive::new(7));
    }
    world.pass(6 * SECOND);
    world
        .server
        .handle_message(world.now, call, LeaseKeepAlive::new(7));
    world.pass(SECOND);
    let ttls: Vec<_> = world
        .told(call)
        .into_iter()
        .map(|event| match event {
            OutputEvent::Message(Response::LeaseKeepAlive(renewal)) => renewal.ttl,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ttls, [5, 5, 5, 5, 0]);
}

#[test]
fn a_put_moves_a_key_from_one_lease_to_another() {
    let mut world = World::new();
    world.grant(7, 60);
    world.grant(8, 60);
    let keys = |world: &mut World, id| match world.call(LeaseTimeToLive::new(id).keys()) {
        Ok(Response::LeaseTimeToLive(lease)) => lease.keys,
        other => panic!("{other:?}"),
    };
    world.call(Put::new("k", "").lease(7)).unwrap();
    assert_eq!(keys(&mut world, 7), ["k"]);
    world.call(Put::new("k", "").ignore_lease()).unwrap();
    assert_eq!(keys(&mut world, 7), ["k"]);
    world.call(Put::new("k", "").lease(8)).unwrap();
    assert!(keys(&mut world, 7).is_empty());
    world.call(Delete::new("k")).unwrap();
    assert!(keys(&mut world, 8).is_empty());
}
