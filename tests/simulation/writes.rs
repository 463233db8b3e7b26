//! Writes are made at most once, and what was acknowledged is there.

use std::time::Duration;

use etcd_embedded::sim::{Disturbance, Faults, Schedule, World, seeds};
use etcd_embedded::{Config, Dialect};

use crate::writers::{Counts, client, run};

/// Four clients, ten writes each.
fn four(world: &World) -> Counts {
    run(world, (0..4).map(|_| client(world)), 10)
}

/// One dialect after the other.
pub(crate) fn config(seed: u64) -> Config {
    let dialect = usize::try_from(seed % 3).unwrap();
    Config::new().dialect(Dialect::ALL[dialect])
}

#[test]
fn without_faults_every_write_that_is_waited_for_is_made() {
    seeds(20, |seed| {
        let counts = four(&World::new(seed));
        assert_eq!(counts.not_made, 0);
        assert!(counts.made > 20, "{counts:?}");
    });
}

#[test]
fn in_a_bad_network_no_write_is_made_twice_and_none_is_lost() {
    seeds(200, |seed| {
        let world = World::builder(seed)
            .config(config(seed))
            .faults(Faults::frequent())
            .build();
        four(&world);
    });
}

#[test]
fn on_a_server_that_stops_and_crashes_no_write_is_made_twice_and_none_is_lost() {
    seeds(200, |seed| {
        let world = World::builder(seed)
            .config(config(seed))
            .faults(Faults::rare())
            .schedule(Schedule::every(Duration::from_millis(500)))
            .build();
        four(&world);
    });
}

#[test]
fn on_a_cluster_whose_members_stop_crash_and_are_cut_off_they_agree_as_well() {
    seeds(200, |seed| {
        let world = World::builder(seed)
            .members(3)
            .config(config(seed))
            .faults(Faults::rare())
            .schedule(Schedule::every(Duration::from_millis(500)))
            .build();
        four(&world);
        let hash = |member| {
            world
                .cluster()
                .inspect(member, |server| server.store().hash(0).unwrap())
        };
        assert_eq!([hash(1), hash(2)], [hash(0); 2]);
    });
}

#[test]
fn under_elections_alone() {
    seeds(200, |seed| {
        let schedule = Schedule::every(Duration::from_millis(300))
            .of([Disturbance::MoveLeader, Disturbance::Isolate, Disturbance::Crash])
            .longest(Duration::from_secs(3));
        let world = World::builder(seed)
            .members(5)
            .config(config(seed))
            .schedule(schedule)
            .build();
        four(&world);
    });
}
