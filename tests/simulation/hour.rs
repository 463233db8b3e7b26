//! An hour of ten clients with a fault each second.

use std::time::{Duration, Instant};

use etcd_embedded::sim::{Schedule, World, seeds};

use crate::writers::{Record, check, client, write};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// One hour; returns its fingerprint.
fn hour(seed: u64) -> u64 {
    let begun = Instant::now();
    let world = World::builder(seed).schedule(Schedule::every(SECOND)).build();
    let record = Record::default();
    let hour = world.sleep(HOUR);
    world.block_on(async {
        let writers = (0..10).map(|number| {
            let name = format!("c{number}");
            write(&world, client(&world), name, u32::MAX, 2 * SECOND, record.clone())
        });
        let writers = futures_util::future::join_all(writers);
        futures_util::future::select(std::pin::pin!(writers), hour).await;
    });
    let disturbances = world.disturbance_count();
    let counts = check(&world, &record);
    eprintln!(
        "seed {seed}: an hour, {disturbances} disturbances, {} writes \
         (made, not made, unknown and made, unknown and not made: {counts:?}) in {:.1?}; fingerprint {:016x}",
        counts.iter().sum::<usize>(),
        begun.elapsed(),
        world.fingerprint(),
    );
    assert!(disturbances > 3000, "{disturbances} disturbances in an hour");
    world.fingerprint()
}

#[test]
fn an_hour_with_ten_clients_and_a_fault_each_second_is_the_same_twice() {
    seeds(1, |seed| assert_eq!(hour(seed), hour(seed)));
}
