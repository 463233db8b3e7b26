//! Watches in a world where everything fails: what each was told, held against what happened.

mod adding;
mod follow;
mod progress;
mod ranges;
mod wish;

use etcd_embedded::sim::seeds;
use etcd_guarantees::{Recorder, WatchItem};

use crate::happened::all_happened;
use crate::pace::Pace;
use crate::trial::{Reached, Task, Trial};
use wish::Wish;

/// What watches were told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    events: usize,
    compactions: usize,
    lags: usize,
}

/// A run of everything.
fn run(trial: &Trial, watches: usize, compacts: bool) -> Told {
    let recorder = Recorder::new(trial.world.now());
    let wishes: Vec<Wish> = (0..watches).map(|_| Wish::random(&trial.world)).collect();
    let records: Vec<_> = wishes
        .iter()
        .enumerate()
        .map(|(number, wish)| recorder.watch(format!("watch {number}"), wish.request()))
        .collect();
    let reached: Vec<Reached> = wishes.iter().map(|_| Reached::default()).collect();
    let of_ranges = Reached::default();
    let mut tasks: Vec<Task<'_>> = vec![Box::pin(trial.write()), Box::pin(trial.write())];
    for ((wish, record), reached) in wishes.iter().zip(&records).zip(&reached) {
        tasks.push(Box::pin(follow::watch(trial, wish, record, reached.clone())));
    }
    if compacts {
        tasks.push(Box::pin(trial.compact()));
    }
    let changing = ranges::change_ranges(trial, &recorder, of_ranges.clone());
    tasks.push(Box::pin(changing));
    let (marks, have_caught_up) = trial.run(tasks, |marks| {
        let mut watches = wishes.iter().zip(&reached);
        watches.all(|(wish, reached)| reached.get() >= wish.last(marks)) && of_ranges.get() >= marks.delete
    });
    for record in records {
        let revision = marks.delete;
        record.push(trial.world.now(), WatchItem::Due { revision });
    }
    let record = recorder.record();
    if let Err(violations) = record.check(&trial.chronicle.history()) {
        for watch in &record.watches {
            eprintln!("{} {:?}", watch.name, watch.request);
            for timed in watch.items.iter().enumerate() {
                eprintln!("  {timed:?}");
            }
        }
        panic!("{violations}");
    }
    assert!(have_caught_up, "somebody has not caught up");
    trial.nothing_is_left();
    let mut told = Told::default();
    for timed in record.watches.iter().flat_map(|watch| &watch.items) {
        match &timed.item {
            WatchItem::Batch { events } => told.events += events.len(),
            WatchItem::Compacted { .. } => told.compactions += 1,
            WatchItem::Lagged { .. } => told.lags += 1,
            _ => {}
        }
    }
    told
}

/// Runs seeds, and sees to it that everything happened in them.
fn runs(count: u64, pace: Pace, members: usize, watches: usize) {
    let mut all = Told::default();
    seeds(count, |seed| {
        let trial = Trial::new(seed, pace, members);
        let told = run(&trial, watches, seed % 5 < 3);
        all.events += told.events;
        all.compactions += told.compactions;
        all.lags += told.lags;
    });
    let Told {
        events,
        compactions,
        lags,
    } = all;
    all_happened(
        count,
        [("events", events), ("compactions", compactions), ("lags", lags)],
    );
}

#[test]
fn watches_of_one_member_keep_their_promises() {
    runs(20, Pace::DEFAULT, 1, 5);
}

#[test]
fn watches_of_a_cluster_keep_their_promises() {
    runs(20, Pace::DEFAULT, 3, 4);
}

#[test]
fn watches_of_one_member_keep_their_promises_in_seconds_of_trouble() {
    runs(300, Pace::BRISK, 1, 2);
}

#[test]
fn watches_of_a_cluster_keep_their_promises_in_seconds_of_trouble() {
    runs(200, Pace::BRISK, 3, 2);
}
