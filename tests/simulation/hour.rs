//! An hour of ten clients with a fault each second.

use std::time::{Duration, Instant};

use etcd_embedded::sim::{Schedule, World, seeds};
use futures_util::future::{join_all, select};

use crate::writers::{Record, check, client, write};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// One hour; returns its fingerprint.
fn hour(seed: u64, members: usize) -> u64 {
    let begun = Instant::now();
    let world = World::builder(seed)
        .members(members)
        .schedule(Schedule::every(SECOND))
        .build();
    let record = Record::default();
    let hour = world.sleep(HOUR);
    world.block_on(async {
        let writers = (0..10).map(|number| {
            let name = format!("c{number}");
            write(&world, client(&world), name, u32::MAX, 4 * SECOND, record.clone())
        });
        select(Box::pin(join_all(writers)), hour).await;
    });
    let disturbances = world.disturbance_count();
    let counts = check(&world, &client(&world), &record);
    eprintln!(
        "seed {seed}, {members} member(s): an hour with {disturbances} disturbances and 10 clients, {} writes, in {:.2?} \
         of real time; fingerprint {:016x}; {counts:?}",
        record.lock().unwrap().len(),
        begun.elapsed(),
        world.fingerprint(),
    );
    assert!(disturbances > 2500, "{disturbances} disturbances in an hour");
    world.fingerprint()
}

#[test]
fn an_hour_with_ten_clients_and_a_fault_each_second_is_the_same_twice() {
    seeds(1, |seed| assert_eq!(hour(seed, 1), hour(seed, 1)));
}

#[test]
fn an_hour_of_a_cluster() {
    seeds(1, |seed| {
        hour(seed, 3);
    });
}
