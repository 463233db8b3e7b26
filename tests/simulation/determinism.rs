//! The same seed gives the same history.

use std::time::Duration;

use etcd_embedded::sim::{Faults, Schedule, World};

use crate::writers::{client, run};

fn fingerprint(seed: u64, members: usize) -> u64 {
    let world = World::builder(seed)
        .members(members)
        .faults(Faults::frequent())
        .schedule(Schedule::every(Duration::from_millis(300)))
        .build();
    run(&world, (0..5).map(|_| client(&world)), 20);
    world.fingerprint()
}

#[test]
fn the_same_seed_gives_the_same_history_twice() {
    for seed in 0..5 {
        for members in [1, 3] {
            assert_eq!(
                fingerprint(seed, members),
                fingerprint(seed, members),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn another_seed_gives_another_history() {
    assert_ne!(fingerprint(1, 1), fingerprint(2, 1));
    assert_ne!(fingerprint(1, 3), fingerprint(2, 3));
}
