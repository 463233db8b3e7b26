//! Tests of the tests: clients that are wrong are caught by the simulated world and the checkers of `etcd-guarantees`, and
//! one that is right is not.
//!
//! Each is written by hand on raw messages, and wrong in one thing that real clients of etcd are wrong in.

#![allow(clippy::unwrap_used, clippy::field_reassign_with_default, unreachable_pub)]

mod client;
mod dice;
mod messages;
mod observer;
mod truth;
mod watcher;
mod writer;

use std::time::Duration;

use etcd_core::key::prefix;
use etcd_core::message::Compact;
use etcd_embedded::Config;
use etcd_embedded::sim::{Cluster, Disturbance, Faults, Schedule, World, seeds};
use etcd_guarantees::{ObserverItem, Property, Recorder, Violations, WatchItem, WatchRequest};
use futures_util::future::join_all;

use client::RawClient;
use dice::Dice;
use observer::{ObserveBug, Observer};
use truth::Truth;
use watcher::{WatchBug, Watcher};
use writer::{WriteBug, Writer};

const WRITERS: u64 = 3;
const WRITES: usize = 20;
const WATCHERS: u64 = 2;
const OBSERVERS: u64 = 2;

/// Whatever is held up in a network has arrived by then, and everybody has found a member that answers.
const SETTLED: Duration = Duration::from_secs(120);

/// What is wrong with everybody.
#[derive(Clone, Copy, Default)]
struct Bugs {
    watch: WatchBug,
    observe: ObserveBug,
    write: WriteBug,
}

/// What the checkers say about clients in the world of a seed.
fn violations(seed: u64, bugs: Bugs) -> Result<(), Violations> {
    let world = World::builder(seed)
        .members(if seed.is_multiple_of(2) { 1 } else { 3 })
        .config(Config::new().watch_progress_notify_interval(Duration::from_secs(1)))
        .faults(Faults::frequent())
        // Compactions come from the test, which first takes in what would be lost.
        .schedule(Schedule::every(Duration::from_secs(1)).without(Disturbance::Compact))
        .build();
    let mut dice = Dice(seed);
    let recorder = Recorder::new(world.now());
    let truth = Truth::default();

    let mut watches = Vec::new();
    for number in 0..WATCHERS {
        let request = WatchRequest::new(prefix("w/")).prev_kv();
        let watch = recorder.watch(format!("watcher {number}"), request);
        let client = RawClient::new(&world, usize::try_from(number).unwrap());
        world.spawn(Watcher::new(client, prefix("w/"), bugs.watch, watch.clone()).run());
        watches.push(watch);
    }
    let mut observers = Vec::new();
    for number in 0..OBSERVERS {
        let observer = recorder.observer(format!("observer {number}"), prefix("w/"));
        let client = RawClient::new(&world, usize::try_from(number).unwrap());
        world.spawn(Observer::new(client, prefix("w/"), bugs.observe, observer.clone()).run());
        observers.push(observer);
    }
    let writers = (0..WRITERS).map(|number| {
        let writer = Writer {
            name: format!("writer {number}"),
            client: RawClient::new(&world, usize::try_from(number).unwrap()),
            bug: bugs.write,
            recorder: recorder.clone(),
            dice: Dice(dice.below(u64::MAX)),
        };
        writer.run(WRITES)
    });
    let writers: Vec<_> = writers.collect();
    let compactor = RawClient::new(&world, 0);
    world.spawn(compact(
        compactor,
        world.cluster(),
        truth.clone(),
        Dice(dice.below(u64::MAX)),
    ));
    world.block_on(join_all(writers));

    world.calm_down();
    world.advance(SETTLED);
    let revision = truth.harvest(&world.cluster());
    for watch in watches {
        watch.push(world.now(), WatchItem::Due { revision });
    }
    for observer in observers {
        observer.push(world.now(), ObserverItem::Due { revision });
    }
    recorder.record().check(&truth.history())
}

/// Compacts now and then, at the newest revision or a little before it.
async fn compact(mut client: RawClient, cluster: Cluster, truth: Truth, mut dice: Dice) {
    loop {
        client.sleep(Duration::from_millis(dice.below(4000))).await;
        let behind = i64::try_from(dice.below(4)).unwrap();
        let revision = truth.harvest(&cluster) - behind;
        if revision < 1 {
            continue;
        }
        truth.compacted(revision);
        if client.call(&Compact::new(revision)).await.is_err() {
            client.move_on();
        }
    }
}

/// How many worlds a client that is wrong gets, most of which have to catch it.
const WORLDS: u64 = 20;

/// In how many of the first worlds a property is found broken.
fn caught(property: Property, bugs: Bugs) -> usize {
    let catches = |seed: &u64| {
        violations(*seed, bugs).is_err_and(|violations| violations.of(property).next().is_some())
    };
    (0..WORLDS).filter(catches).count()
}

fn caught_watching(property: Property, watch: WatchBug) -> usize {
    let bugs = Bugs {
        watch,
        ..Bugs::default()
    };
    caught(property, bugs)
}

fn caught_observing(property: Property, observe: ObserveBug) -> usize {
    let bugs = Bugs {
        observe,
        ..Bugs::default()
    };
    caught(property, bugs)
}

#[test]
fn a_watcher_that_resumes_after_the_revision_of_a_header_is_caught() {
    let caught = caught_watching(Property::Resumable, WatchBug::ResumesAfterHeader);
    assert!(caught > 10, "{caught} of {WORLDS}");
}

#[test]
fn a_watcher_that_takes_chunks_for_lines_is_caught() {
    let caught = caught_watching(Property::Reliable, WatchBug::SplitsOnChunks);
    assert!(caught > 10, "{caught} of {WORLDS}");
}

#[test]
fn an_observer_that_watches_from_the_revision_of_its_list_is_caught() {
    let caught = caught_observing(Property::Filter, ObserveBug::WatchesFromTheList);
    assert!(caught > 10, "{caught} of {WORLDS}");
}

#[test]
fn an_observer_that_does_not_tell_what_is_gone_after_a_compaction_is_caught() {
    let caught = caught_observing(Property::Convergence, ObserveBug::ForgetsWhatIsGone);
    assert!(caught > 10, "{caught} of {WORLDS}");
}

#[test]
fn an_observer_that_lists_instead_of_resuming_is_caught() {
    let caught = caught_observing(Property::Reliable, ObserveBug::ListsInsteadOfResuming);
    assert!(caught > 10, "{caught} of {WORLDS}");
}

#[test]
fn a_writer_that_repeats_what_failed_is_caught() {
    let bugs = Bugs {
        write: WriteBug::RetriesBlindly,
        ..Bugs::default()
    };
    let caught = caught(Property::AtMostOnce, bugs);
    assert!(caught > 10, "{caught} of {WORLDS}");
}

#[test]
fn clients_that_are_right_are_never_blamed() {
    seeds(100, |seed| {
        if let Err(violations) = violations(seed, Bugs::default()) {
            panic!("{violations}");
        }
    });
}
