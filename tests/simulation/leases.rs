//! Holders of leases, and a server that lets them go when it may.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyetcd::{Lease, LeaseState, LostReason};
use etcd_embedded::sim::{Disturbance, Faults, Schedule, World, seeds};

use crate::writers::client;

const SECOND: Duration = Duration::from_secs(1);

/// How often holders look, when nothing wakes them.
const LOOK: Duration = Duration::from_millis(20);

/// Until when the server keeps each lease that it has.
fn deadlines(world: &World) -> BTreeMap<i64, Instant> {
    world.cluster().inspect(0, |server| {
        let leases = server.leases();
        leases
            .ids()
            .filter_map(|id| Some((id, leases.get(id)?.deadline)))
            .collect()
    })
}

/// P3: who is told that he holds a lease does so.
fn nobody_is_deceived(world: &World, leases: &[Lease]) {
    let (now, deadlines) = (world.now(), deadlines(world));
    for lease in leases.iter().filter(|lease| lease.is_held()) {
        let deadline = deadlines.get(&lease.id());
        assert!(
            deadline.is_some_and(|deadline| now < *deadline),
            "at {:?} {lease:?}, and the server has it until {deadline:?}",
            world.elapsed(),
        );
    }
}

/// Grants leases of all lengths; some grants fail, as calls do in such a world.
async fn grant(world: &World, count: u64) -> Vec<Lease> {
    let client = client(world);
    let mut leases = Vec::new();
    for _ in 0..count {
        let ttl = [2, 3, 5, 10, 30][usize::try_from(world.random(5)).unwrap()];
        leases.extend(client.lease(ttl * SECOND).await);
    }
    leases
}

#[test]
fn no_fault_makes_a_holder_believe_in_a_lease_that_the_server_let_go() {
    let (held, lost) = (Mutex::new(0), Mutex::new(0));
    seeds(40, |seed| {
        let world = World::builder(seed)
            .faults([Faults::none(), Faults::rare(), Faults::frequent()][seed as usize % 3].clone())
            .schedule(Schedule::every(4 * SECOND))
            .build();
        world.block_on(async {
            let mut leases = grant(&world, 8).await;
            while world.elapsed() < 120 * SECOND {
                nobody_is_deceived(&world, &leases);
                if world.random(4000) == 0 && !leases.is_empty() {
                    leases.swap_remove(0);
                }
                world.sleep(LOOK).await;
            }
            for lease in &leases {
                *if lease.is_held() { &held } else { &lost }.lock().unwrap() += 1;
            }
        });
    });
    let (held, lost) = (held.into_inner().unwrap(), lost.into_inner().unwrap());
    eprintln!("{held} leases outlived two minutes of faults, {lost} were lost in time");
}

#[test]
fn the_loss_of_a_lease_is_told_before_the_server_may_let_it_go() {
    let told = Mutex::new(0);
    seeds(40, |seed| {
        // A process that does not run cannot be told anything in time.
        let schedule = Schedule::every(3 * SECOND)
            .without(Disturbance::SuspendClients)
            .without(Disturbance::Leap);
        let world = World::builder(seed)
            .faults(Faults::rare())
            .schedule(schedule)
            .build();
        world.block_on(async {
            let holders = (0..6).map(|_| async {
                let Some(lease) = grant(&world, 1).await.pop() else {
                    return;
                };
                let lost = lease.lost().await;
                *told.lock().unwrap() += 1;
                let LostReason::Expired { cause: Some(_) } = lost.reason() else {
                    panic!("the server lost a lease that it was to keep alive: {lost:?}");
                };
                let deadline = deadlines(&world).get(&lease.id()).copied();
                assert!(
                    deadline.is_some_and(|deadline| world.now() < deadline),
                    "told at {:?}, and the server has had it until {deadline:?}",
                    world.now()
                );
                assert!(!lease.is_held(), "what is lost stays lost");
            });
            let holders = Box::pin(futures_util::future::join_all(holders));
            futures_util::future::select(holders, world.sleep(120 * SECOND)).await;
        });
    });
    assert_ne!(*told.lock().unwrap(), 0, "no lease was lost");
}

#[test]
fn a_lease_outlives_disturbances_that_end_in_time() {
    seeds(20, |seed| {
        let schedule = Schedule::every(20 * SECOND)
            .of([
                Disturbance::CutAll,
                Disturbance::EndOne,
                Disturbance::BlackHoleOne,
                Disturbance::RefuseClient,
                Disturbance::SilenceClient,
                Disturbance::Stop,
                Disturbance::Crash,
                Disturbance::ExpireTokens,
            ])
            .longest(2 * SECOND);
        let world = World::builder(seed).schedule(schedule).build();
        world.block_on(async {
            // Long enough for several disturbances that happen to follow each other closely.
            let lease = client(&world).lease(30 * SECOND).await.unwrap();
            let mut states = lease.states();
            let end = world.now() + 600 * SECOND;
            while world.now() < end {
                assert!(lease.is_held(), "at {:?} {lease:?}", world.elapsed());
                world.sleep(LOOK).await;
            }
            world.calm_down();
            world.sleep(60 * SECOND).await;
            assert!(
                matches!(states.next().await, Some(LeaseState::Alive { .. })),
                "{lease:?}"
            );
        });
    });
}

#[test]
fn nothing_is_left_of_leases_that_nobody_wants_any_more() {
    seeds(50, |seed| {
        let world = World::builder(seed).faults(Faults::rare()).build();
        world.block_on(async {
            let client = client(&world);
            for _ in 0..5 {
                let call = async { client.lease(600 * SECOND).await.map(drop) };
                let patience = world.sleep(Duration::from_micros(world.random(3000)));
                futures_util::future::select(std::pin::pin!(call), patience).await;
            }
            drop(client);
        });
        // Requests that were given up may still arrive, and so may what takes them back.
        world.calm_down();
        world.advance(700 * SECOND);
        assert_eq!(deadlines(&world).len(), 0);
    });
}
