//! Locks and elections.

use etcd_core::key::prefix;
use etcd_core::message::*;
use etcd_embedded::{CallId, CallOptions, Config, Dialect, OutputEvent, Response};

use super::world::{SECOND, World};

fn locked(world: &mut World, call: CallId) -> Option<String> {
    match &world.told(call)[..] {
        [] => None,
        [
            OutputEvent::Message(Response::Lock(lock)),
            OutputEvent::End(Ok(())),
        ] => Some(String::from_utf8(lock.key.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    }
}

fn contenders(world: &mut World, leases: std::ops::RangeInclusive<i64>) -> Vec<CallId> {
    leases
        .map(|lease| {
            world.grant(lease, 60);
            world.begin(Lock::new("L", lease))
        })
        .collect()
}

#[test]
fn a_lock_passes_on_in_the_order_of_asking() {
    let mut world = World::new();
    let calls = contenders(&mut world, 1..=3);
    assert_eq!(locked(&mut world, calls[0]).as_deref(), Some("L/1"));
    world.call(Unlock::new("L/1")).unwrap();
    assert_eq!(locked(&mut world, calls[1]).as_deref(), Some("L/2"));
    assert_eq!(locked(&mut world, calls[2]), None);
    world.call(LeaseRevoke::new(2)).unwrap();
    assert_eq!(locked(&mut world, calls[2]).as_deref(), Some("L/3"));
}

#[test]
fn a_contender_in_the_middle_can_leave() {
    let mut world = World::new();
    let calls = contenders(&mut world, 1..=3);
    world.leave(calls[1]);
    assert_eq!(world.keys(Get::new(prefix("L/"))), ["L/1", "L/3"]);
    assert_eq!(locked(&mut world, calls[2]), None);
    world.call(Unlock::new("L/1")).unwrap();
    assert_eq!(locked(&mut world, calls[2]).as_deref(), Some("L/3"));
    assert_eq!(world.server.call_count(), 0);
}

#[test]
fn a_lock_without_a_lease_lives_for_a_minute() {
    let mut world = World::new();
    let call = world.begin(Lock::new("L", 0));
    assert!(locked(&mut world, call).is_some());
    world.pass(59 * SECOND);
    assert_eq!(world.keys(Get::new(prefix("L/"))).len(), 1);
    world.pass(SECOND);
    assert!(world.keys(Get::new(prefix("L/"))).is_empty());
}

#[test]
fn who_loses_its_lease_while_waiting_learns_it_when_its_turn_comes() {
    for dialect in Dialect::ALL {
        let mut world = World::with(Config::new().dialect(dialect));
        let calls = contenders(&mut world, 1..=2);
        world.call(LeaseRevoke::new(2)).unwrap();
        assert_eq!(locked(&mut world, calls[1]), None);
        world.call(Unlock::new("L/1")).unwrap();
        match (dialect, &world.told(calls[1])[..]) {
            (Dialect::G1_6, [OutputEvent::Message(_), OutputEvent::End(Ok(()))]) => {}
            (_, [OutputEvent::End(Err(status))]) => assert_eq!(status.message(), "mutex: session is expired"),
            (_, other) => panic!("{dialect:?}: {other:?}"),
        }
    }
}

#[test]
fn a_lock_that_runs_out_of_time_leaves_no_key() {
    let mut world = World::new();
    contenders(&mut world, 1..=1);
    world.grant(2, 60);
    let options = CallOptions::new().timeout(SECOND);
    let call = world.server.handle_call(world.now, Lock::new("L", 2), options);
    world.pass(SECOND);
    let [OutputEvent::End(Err(status))] = &world.told(call)[..] else {
        panic!()
    };
    assert_eq!(status.message(), "context deadline exceeded");
    assert_eq!(world.keys(Get::new(prefix("L/"))), ["L/1"]);
}

/// The server takes the key back in its own name, and has no token.
#[test]
fn with_authentication_on_a_waiter_that_leaves_keeps_its_place_until_its_lease_ends() {
    let mut world = World::new();
    super::auth::enable(&mut world);
    world.token = Some(super::auth::login(&mut world, "root"));
    let calls = contenders(&mut world, 1..=2);
    world.leave(calls[1]);
    assert_eq!(world.keys(Get::new(prefix("L/"))), ["L/1", "L/2"]);
    world.pass(60 * SECOND);
    assert!(world.keys(Get::new(prefix("L/"))).is_empty());
}

#[test]
fn an_observer_is_told_of_every_leader_and_every_proclamation() {
    let mut world = World::new();
    let observer = world.begin(Observe::new("E"));
    assert!(world.told(observer).is_empty());
    world.grant(1, 60);
    world.grant(2, 60);
    let Ok(Response::Campaign(first)) = world.call(Campaign::new("E", 1, "one")) else {
        panic!()
    };
    let second = world.begin(Campaign::new("E", 2, "two"));
    world
        .call(Proclaim::new(first.leader.clone(), "one again"))
        .unwrap();
    world.call(Resign::new(first.leader)).unwrap();
    assert_eq!(world.told(second).len(), 2);
    let told: Vec<_> = world
        .told(observer)
        .into_iter()
        .map(|event| match event {
            OutputEvent::Message(Response::Observe(leader)) => {
                leader.kv.unwrap().value_str().unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["one", "one again", "two"]);
}

#[test]
fn who_does_not_lead_cannot_proclaim() {
    let mut world = World::new();
    world.grant(1, 60);
    let Ok(Response::Campaign(won)) = world.call(Campaign::new("E", 1, "one")) else {
        panic!()
    };
    world.call(Resign::new(won.leader.clone())).unwrap();
    assert_eq!(
        world.fail(Proclaim::new(won.leader, "late")),
        "election: not leader"
    );
    assert_eq!(world.fail(Leader::new("E")), "election: no leader");
}
