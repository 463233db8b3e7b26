//! The same seed gives the same history.

use std::time::Duration;

use etcd_embedded::sim::{Faults, Schedule, World};

use crate::writers::run;

fn fingerprint(seed: u64) -> u64 {
    let world = World::builder(seed)
        .faults(Faults::frequent())
        .schedule(Schedule::every(Duration::from_millis(300)))
        .build();
    run(&world, 5, 20);
    world.fingerprint()
}

#[test]
fn the_same_seed_gives_the_same_history_twice() {
    for seed in 0..5 {
        assert_eq!(fingerprint(seed), fingerprint(seed), "seed {seed}");
    }
}

#[test]
fn another_seed_gives_another_history() {
    assert_ne!(fingerprint(1), fingerprint(2));
}
