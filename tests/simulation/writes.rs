//! Writes are made at most once, and what was acknowledged is there.

use std::time::Duration;

use etcd_embedded::sim::{Disturbance, Faults, Schedule, World, seeds};

use crate::writers::run;

#[test]
fn without_faults_every_write_that_is_waited_for_is_made() {
    seeds(20, |seed| {
        let world = World::new(seed);
        let [_, not_made, _, _] = run(&world, 3, 10);
        assert_eq!(not_made, 0);
    });
}

#[test]
fn in_a_bad_network_no_write_is_made_twice_and_none_is_lost() {
    let mut totals = [0; 4];
    seeds(200, |seed| {
        let world = World::builder(seed).faults(Faults::frequent()).build();
        let counts = run(&world, 4, 10);
        for (total, count) in totals.iter_mut().zip(counts) {
            *total += count;
        }
    });
    eprintln!("made, not made, unknown and made, unknown and not made: {totals:?}");
}

#[test]
fn under_a_server_that_stops_crashes_and_compacts_as_well() {
    seeds(200, |seed| {
        let schedule = Schedule::every(Duration::from_millis(500)).without(Disturbance::Leap);
        let world = World::builder(seed)
            .faults(Faults::rare())
            .schedule(schedule)
            .build();
        run(&world, 4, 10);
    });
}
