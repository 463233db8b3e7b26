//! Holders of leases, and a server that lets them go when it may.

mod holders;
mod suspension;

use std::cell::Cell;
use std::future::IntoFuture;
use std::sync::Mutex;
use std::time::Duration;

use anyetcd::{Lease, LeaseState, LostReason, Put, RegistrationState};
use etcd_embedded::sim::{Disturbance, Faults, Schedule, World, seeds};

use futures_util::future::{FutureExt, join_all};

use crate::happened::all_happened;
use crate::pace::Pace;
use crate::trial::{Task, Trial};
use crate::writers::client;
use holders::{Holders, LOOK, Learns, deadlines};

const SECOND: Duration = Duration::from_secs(1);

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
    const SEEDS: u64 = 40;
    let (held, lost) = (Mutex::new(0), Mutex::new(0));
    seeds(SEEDS, |seed| {
        let world = World::builder(seed)
            .faults([Faults::none(), Faults::rare(), Faults::frequent()][seed as usize % 3].clone())
            .schedule(Schedule::every(4 * SECOND))
            .build();
        world.block_on(async {
            let holders = Holders::new(&world);
            for lease in grant(&world, 8).await {
                holders.add(lease, Learns::ByLooking);
            }
            while world.elapsed() < 120 * SECOND {
                holders.look();
                if world.random(4000) == 0
                    && let Some(lease) = holders.first()
                {
                    holders.remove(&lease);
                }
                world.sleep(LOOK).await;
            }
            *held.lock().unwrap() += holders.held();
            *lost.lock().unwrap() += holders.len() - holders.held();
            holders.check();
        });
    });
    let (held, lost) = (held.into_inner().unwrap(), lost.into_inner().unwrap());
    all_happened(
        SEEDS,
        [("held for two minutes of faults", held), ("lost in time", lost)],
    );
}

#[test]
fn the_loss_of_a_lease_is_told_before_the_server_may_let_it_go() {
    const SEEDS: u64 = 40;
    let told = Mutex::new(0);
    seeds(SEEDS, |seed| {
        // A process that does not run cannot be told anything in time.
        let schedule = Schedule::every(3 * SECOND)
            .without(Disturbance::SuspendClients)
            .without(Disturbance::Leap);
        let world = World::builder(seed)
            .faults(Faults::rare())
            .schedule(schedule)
            .build();
        world.block_on(async {
            let holders = Holders::new(&world);
            let holding = (0..6).map(|_| async {
                let Some(lease) = grant(&world, 1).await.pop() else {
                    return;
                };
                let lease = holders.add(lease, Learns::ByBeingTold);
                let lost = lease.lost().await;
                holders.tell(&lease);
                *told.lock().unwrap() += 1;
                let LostReason::Expired { cause: Some(_) } = lost.reason() else {
                    panic!("the server lost a lease that it was to keep alive: {lost:?}");
                };
                assert!(!lease.is_held(), "what is lost stays lost");
            });
            let looking = async {
                loop {
                    holders.look();
                    world.sleep(LOOK).await;
                }
            };
            let holding = futures_util::future::join(join_all(holding), looking);
            futures_util::future::select(Box::pin(holding), world.sleep(120 * SECOND)).await;
            holders.check();
        });
    });
    all_happened(SEEDS, [("lost in time", told.into_inner().unwrap())]);
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

#[test]
fn a_grant_that_nobody_waits_for_is_taken_back_even_if_it_is_late() {
    seeds(200, |seed| {
        let world = World::new(seed);
        world.block_on(async {
            let client = client(&world);
            for _ in 0..5 {
                let call = async { client.lease(600 * SECOND).await.map(drop) };
                let patience = world.sleep(Duration::from_micros(world.random(3000)));
                futures_util::future::select(std::pin::pin!(call), patience).await;
            }
            // Long before it would end by itself.
            world.sleep(30 * SECOND).await;
        });
        assert_eq!(deadlines(&world).len(), 0);
    });
}

#[test]
fn a_grant_that_nobody_waits_for_is_taken_back_once_the_only_member_goes_on() {
    seeds(100, |seed| {
        let world = World::new(seed);
        world.block_on(async {
            let client = client(&world);
            client.put("so that it is", "connected").await.unwrap();
            for _ in 0..5 {
                let call = async { client.lease(600 * SECOND).await.map(drop) };
                let patience = async {
                    world.sleep(Duration::from_micros(world.random(1000))).await;
                    world.cluster().stop(0);
                    world.sleep(Duration::from_micros(world.random(1000))).await;
                };
                futures_util::future::select(std::pin::pin!(call), std::pin::pin!(patience)).await;
                world.sleep(20 * SECOND).await;
                world.cluster().resume(0);
                world.sleep(SECOND).await;
            }
            world.sleep(30 * SECOND).await;
        });
        assert_eq!(deadlines(&world).len(), 0);
    });
}

#[test]
fn a_dropped_lease_is_revoked_once_the_only_member_is_back() {
    for seed in 0..20 {
        let world = World::new(seed);
        world.block_on(async {
            let client = client(&world);
            let lease = client.lease(600 * SECOND).await.unwrap();
            if seed % 2 == 0 {
                world.cluster().stop(0);
            } else {
                world.cluster().crash(0);
            }
            drop(lease);
            world.sleep(60 * SECOND).await;
            if seed % 2 == 0 {
                world.cluster().resume(0);
            } else {
                world.cluster().restart(0);
            }
            world.sleep(5 * SECOND).await;
        });
        assert_eq!(deadlines(&world).len(), 0, "seed {seed}");
    }
}

#[test]
fn a_grant_takes_no_longer_than_it_may_even_if_its_lease_has_to_be_renewed_at_once() {
    for seed in 0..20 {
        let world = World::new(seed);
        world.block_on(async {
            let client = client(&world);
            client.put("so that it is", "connected").await.unwrap();
            world.cluster().stop(0);
            let call = client.lease(4 * SECOND).timeout(6 * SECOND);
            let trouble = async {
                // Half of its time is over when the answer comes, and the renewal gets none.
                world.sleep(5 * SECOND).await;
                world.cluster().resume(0);
                while deadlines(&world).is_empty() {
                    world.sleep(Duration::from_micros(10)).await;
                }
                world.cluster().stop(0);
            };
            let begun = world.now();
            let (granted, ()) = futures_util::future::join(call.into_future(), trouble).await;
            assert!(granted.is_err(), "seed {seed}: {granted:?}");
            let took = world.now() - begun;
            assert!(took <= 6 * SECOND, "seed {seed}: {took:?}");
        });
    }
}

#[test]
fn a_lease_is_not_held_up_by_grants_that_may_never_come() {
    let world = World::new(1);
    world.block_on(async {
        let client = client(&world);
        let lease = client.lease(600 * SECOND).await.unwrap();
        for _ in 0..100 {
            let mut call = client.lease(600 * SECOND).into_future();
            // Enough to begin it, and it ends there.
            assert!((&mut call).now_or_never().is_none());
        }
        drop(lease);
        world.sleep(SECOND).await;
        assert_eq!(deadlines(&world).len(), 0);
    });
}

/// Holds one lease after another: each until it is lost, or until its holder has had enough of it.
async fn hold(trial: &Trial, holders: &Holders<'_>, told: &Cell<usize>) {
    let client = trial.client();
    while trial.is_troubled() {
        let ttl = 2 + trial.world.random(5);
        let Some(Ok(lease)) = trial.within(5 * SECOND, client.lease(ttl as u32 * SECOND)).await else {
            trial.world.sleep(SECOND / 10).await;
            continue;
        };
        let lease = holders.add(lease, Learns::ByLooking);
        if let Some(lost) = trial.within(3 * trial.pace.trouble, lease.lost()).await {
            let LostReason::Expired { .. } = lost.reason() else {
                panic!("the server lost a lease that it was to keep alive: {lost:?}");
            };
            assert!(!lease.is_held(), "what is lost stays lost");
            told.set(told.get() + 1);
        }
        holders.remove(&lease);
    }
}

/// A run of some holders; returns how many were told of a loss.
fn run(trial: &Trial) -> usize {
    let world = &trial.world;
    let (holders, told) = (Holders::new(world), Cell::new(0));
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for _ in 0..4 {
        tasks.push(Box::pin(hold(trial, &holders, &told)));
    }
    tasks.push(Box::pin(async {
        loop {
            holders.look();
            world.sleep(2 * LOOK).await;
        }
    }));
    trial.run_troubled(join_all(tasks));
    holders.check();
    drop(holders);
    // Whatever is still under way arrives, and what nobody revoked expires.
    world.advance(20 * SECOND);
    for member in 0..world.cluster().len() {
        let left = world
            .cluster()
            .inspect(member, |server| server.leases().ids().count());
        assert_eq!(left, 0, "leases are left behind");
    }
    told.get()
}

fn runs(count: u64, members: usize) {
    let mut told = 0;
    seeds(count, |seed| {
        told += run(&Trial::new(seed, Pace::LEASES, members));
    });
    all_happened(count, [("lost in time", told)]);
}

#[test]
fn nobody_is_deceived_by_one_member_in_seconds_of_trouble() {
    runs(500, 1);
}

#[test]
fn nobody_is_deceived_by_a_cluster_in_seconds_of_trouble() {
    runs(300, 3);
}

#[test]
fn no_registration_takes_its_own_keys_for_those_of_others() {
    let again = Mutex::new(0);
    seeds(200, |seed| {
        let world = World::builder(seed)
            .faults(Faults::frequent())
            .schedule(Schedule::every(SECOND).longest(4 * SECOND))
            .build();
        world.block_on(async {
            let client = client(&world);
            let call = client.lease(2 * SECOND).register([Put::new("mine", "v")]);
            let Ok(registration) = call.await else {
                return;
            };
            let mut states = registration.states();
            let watching = async {
                while let Some(state) = states.next().await {
                    if let RegistrationState::Registered { taken, .. } = state {
                        assert!(taken.is_empty(), "at {:?} {taken:?}", world.elapsed());
                        *again.lock().unwrap() += 1;
                    }
                }
            };
            let trouble = world.sleep(60 * SECOND);
            futures_util::future::select(std::pin::pin!(watching), trouble).await;
            world.calm_down();
            world.sleep(30 * SECOND).await;
            let RegistrationState::Registered { lease, taken } = registration.state() else {
                panic!("{registration:?}");
            };
            assert!(taken.is_empty(), "{taken:?}");
            let found = client.get("mine").await.unwrap();
            assert_eq!(found.first().map(|pair| pair.lease), Some(lease));
        });
    });
    assert!(*again.lock().unwrap() > 400, "{again:?}");
}

#[test]
fn a_registration_withdrawn_after_the_loss_of_its_lease_leaves_nothing_behind() {
    for seed in 0..20 {
        let world = World::new(seed);
        world.block_on(async {
            let client = client(&world);
            let call = client.lease(5 * SECOND).register([Put::new("mine", "v")]);
            let registration = call.await.unwrap();
            world.cluster().crash(0);
            world.sleep(20 * SECOND).await;
            assert!(matches!(registration.state(), RegistrationState::Lost { .. }));
            // A member that starts gives each lease its full time.
            world.cluster().restart(0);
            assert_eq!(deadlines(&world).len(), 1);
            registration.withdraw().await.unwrap();
            assert_eq!(deadlines(&world).len(), 0, "seed {seed}");
        });
    }
}
