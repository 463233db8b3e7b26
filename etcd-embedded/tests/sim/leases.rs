//! Leases of a cluster: the leader ends them.

use std::time::Duration;

use etcd_embedded::sim::World;

use crate::steps::{Caller, FOO, KEEP_ALIVE, PUT, RANGE, WATCH, WATCH_FOO, number, seconds};

fn three(seed: u64) -> (World, Caller) {
    let world = World::builder(seed).members(3).build();
    let caller = Caller::new(&world);
    (world, caller)
}

/// Grants lease 7 for five seconds and puts `foo` under it.
async fn grant(caller: &Caller) {
    caller.get(0, "/v3/lease/grant", r#"{"TTL":"5","ID":"7"}"#).await;
    caller.get(1, PUT, r#"{"key":"Zm9v","lease":"7"}"#).await;
}

#[test]
fn a_lease_ends_on_every_member_at_its_time() {
    let (world, caller) = three(1);
    world.block_on(async {
        grant(&caller).await;
        let mut watches = Vec::new();
        for member in 0..3 {
            let mut watch = caller.open(member, WATCH, WATCH_FOO).await.unwrap();
            watch.line().await;
            watches.push(watch);
        }
        for watch in &mut watches {
            assert_eq!(watch.line().await["result"]["events"][0]["type"], "DELETE");
        }
    });
    let elapsed = world.elapsed();
    assert!(
        (seconds(5)..Duration::from_millis(5100)).contains(&elapsed),
        "{elapsed:?}"
    );
}

#[test]
fn a_lease_is_kept_alive_and_asked_for_at_any_member() {
    let (world, caller) = three(1);
    world.block_on(async {
        grant(&caller).await;
        let mut keeper = caller.open(2, KEEP_ALIVE, r#"{"ID":"7"}"#).await.unwrap();
        for _ in 0..10 {
            assert_eq!(keeper.line().await["result"]["TTL"], "5");
            world.sleep(seconds(3)).await;
            for member in 0..3 {
                let left = caller
                    .get(member, "/v3/lease/timetolive", r#"{"ID":"7","keys":true}"#)
                    .await;
                assert!((1..=2).contains(&number(&left["TTL"])), "{left}");
                assert_eq!(left["keys"][0], "Zm9v");
            }
            keeper.send(r#"{"ID":"7"}"#);
        }
        keeper.line().await;
        world.sleep(seconds(6)).await;
        keeper.send(r#"{"ID":"7"}"#);
        let gone = keeper.line().await;
        assert!(gone["result"]["TTL"].is_null(), "{gone}");
    });
}

#[test]
fn a_new_leader_gives_every_lease_its_full_time_again() {
    let (world, caller) = three(1);
    world.block_on(async {
        grant(&caller).await;
        world.sleep(seconds(4)).await;
        let leader = world.cluster().leader().unwrap();
        world.cluster().move_leader((leader + 1) % 3);
        world.sleep(seconds(4)).await;
        assert_eq!(caller.get(0, RANGE, FOO).await["count"], "1");
        world.sleep(seconds(2)).await;
        assert!(caller.get(0, RANGE, FOO).await["count"].is_null());
    });
}

#[test]
fn a_lease_does_not_end_while_there_is_no_majority_and_does_after() {
    let (world, caller) = three(1);
    world.block_on(async {
        grant(&caller).await;
        world.cluster().isolate(0);
        world.cluster().isolate(1);
        world.sleep(seconds(60)).await;
        for member in 0..3 {
            assert!(
                world
                    .cluster()
                    .inspect(member, |server| server.leases().exists(7))
            );
        }
        world.cluster().heal();
        world.sleep(seconds(3)).await;
        assert!(
            world.cluster().inspect(0, |server| server.leases().exists(7)),
            "its time began anew"
        );
        world.sleep(seconds(6)).await;
        for member in 0..3 {
            assert!(
                !world
                    .cluster()
                    .inspect(member, |server| server.leases().exists(7))
            );
        }
    });
}

#[test]
fn keeping_alive_without_a_leader_ends_the_stream_after_seven_seconds() {
    let (world, caller) = three(1);
    world.block_on(async {
        grant(&caller).await;
        world.cluster().isolate(0);
        world.cluster().isolate(1);
        world.sleep(seconds(3)).await;
        let before = world.now();
        let mut keeper = caller.open(2, KEEP_ALIVE, r#"{"ID":"7"}"#).await.unwrap();
        assert_eq!(keeper.status, 503);
        assert_eq!(keeper.line().await["error"]["message"], "etcdserver: no leader");
        assert!(world.now() - before >= seconds(7));
    });
}

#[test]
fn a_leader_that_was_stopped_ends_no_lease_that_another_leader_keeps() {
    for seed in 0..30 {
        let (world, caller) = three(seed);
        world.block_on(async {
            grant(&caller).await;
            let leader = world.cluster().leader().unwrap();
            let other = (leader + 1) % 3;
            world.cluster().stop(leader);
            // Past the lease's end on the old leader; the new one is kept in use.
            for _ in 0..5 {
                world.sleep(seconds(2)).await;
                let mut keeper = caller.open(other, KEEP_ALIVE, r#"{"ID":"7"}"#).await.unwrap();
                assert_eq!(keeper.line().await["result"]["TTL"], "5");
            }
            world.cluster().resume(leader);
            world.sleep(seconds(1)).await;
            assert_eq!(caller.get(other, RANGE, FOO).await["count"], "1");
        });
    }
}
