//! Disturbances at intervals, and the same history for the same seed.

use std::time::Duration;

use etcd_embedded::sim::{Disturbance, Faults, Schedule, World};

use crate::steps::{Caller, FOO, FOO_BAR, PUT, RANGE, seconds};

/// Puts and reads for a minute, whatever becomes of them; returns fingerprint and disturbances.
fn minute(seed: u64, members: usize, schedule: Schedule) -> (u64, u64) {
    let world = World::builder(seed)
        .members(members)
        .faults(Faults::frequent())
        .schedule(schedule)
        .build();
    for client in 0..3 {
        let caller = Caller::new(&world);
        let handle = world.runtime();
        world.spawn(async move {
            use etcd_core::runtime::Runtime as _;
            loop {
                let (path, body) = if client == 0 { (RANGE, FOO) } else { (PUT, FOO_BAR) };
                let post = std::pin::pin!(caller.post(client % members, path, body));
                let second = handle.sleep_until(handle.now() + seconds(1));
                futures_util::future::select(post, second).await;
            }
        });
    }
    world.advance(seconds(60));
    (world.fingerprint(), world.disturbance_count())
}

#[test]
fn the_same_seed_gives_the_same_history_twice() {
    for seed in 0..10 {
        let schedule = || Schedule::every(Duration::from_millis(300));
        let first = minute(seed, 3, schedule());
        assert_eq!(first, minute(seed, 3, schedule()));
        assert_ne!(first.0, minute(seed + 100, 3, schedule()).0);
        // The clock leaps over some of it.
        assert!(
            (100..300).contains(&first.1),
            "{} disturbances in a minute",
            first.1
        );
    }
}

#[test]
fn every_kind_of_disturbance_changes_the_history() {
    let calm = minute(1, 3, Schedule::every(seconds(1)).of([])).0;
    for kind in Disturbance::ALL {
        let disturbed = minute(1, 3, Schedule::every(seconds(1)).of([kind])).0;
        assert_ne!(calm, disturbed, "{kind:?}");
    }
}

#[test]
fn after_calming_down_every_member_answers() {
    for seed in 0..50 {
        let world = World::builder(seed)
            .members(3)
            .schedule(Schedule::every(Duration::from_millis(200)))
            .build();
        world.advance(seconds(30));
        world.calm_down();
        world.advance(seconds(5));
        let caller = Caller::new(&world);
        world.block_on(async {
            for member in 0..3 {
                caller.get(member, PUT, FOO_BAR).await;
                caller.get(member, RANGE, FOO).await;
            }
        });
    }
}
