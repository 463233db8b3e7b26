//! A read that is not said to be serializable shows all that was acknowledged before it began.

use std::cell::Cell;
use std::time::Duration;

use etcd_embedded::sim::{Faults, Schedule, World, seeds};
use futures_util::future::join_all;

use crate::writers::client;
use crate::writes::config;

/// Writes and reads one key for a while; returns how many reads there were.
async fn take_part(world: &World, acknowledged: &Cell<i64>) -> u32 {
    let client = client(world);
    let mut reads = 0;
    for _ in 0..10 {
        if world.random(2) == 0 {
            if let Ok(put) = client.put("k", "v").await {
                acknowledged.set(acknowledged.get().max(put.header.revision));
            }
        } else {
            let expected = acknowledged.get();
            if let Ok(read) = client.get("k").await {
                let newest = read.kvs.first().map_or(0, |pair| pair.mod_revision);
                assert!(
                    newest >= expected,
                    "read {newest}, and {expected} had been acknowledged before"
                );
                reads += 1;
            }
        }
        world.sleep(Duration::from_millis(world.random(300))).await;
    }
    reads
}

fn run(world: &World) -> u32 {
    let acknowledged = Cell::new(0);
    world
        .block_on(join_all((0..4).map(|_| take_part(world, &acknowledged))))
        .iter()
        .sum()
}

#[test]
fn on_a_cluster_whose_members_stop_crash_lag_and_are_cut_off() {
    seeds(200, |seed| {
        let world = World::builder(seed)
            .members(3)
            .config(config(seed))
            .faults(Faults::rare())
            .schedule(Schedule::every(Duration::from_millis(500)))
            .build();
        world
            .cluster()
            .set_lag(1, Duration::from_millis(world.random(500)));
        run(&world);
    });
}

#[test]
fn where_nothing_goes_wrong_all_reads_succeed() {
    seeds(20, |seed| {
        let world = World::builder(seed).members(3).build();
        world.cluster().set_lag(1, Duration::from_millis(500));
        assert!(run(&world) > 5);
    });
}
