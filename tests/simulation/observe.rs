//! Observers and mirrors in a world where everything fails and history is compacted from under them: what each was told,
//! held against what happened.

mod compaction;
mod endings;
mod follow;
mod gate;
mod line;
mod mirror;
mod status;
mod wish;

use etcd_embedded::sim::seeds;
use etcd_guarantees::{ObserverItem, Recorder};

use crate::happened::all_happened;
use crate::pace::Pace;
use crate::trial::{Task, Trial};
use line::Line;
use wish::Wish;

/// What observers and mirrors were told, and said.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    changes: usize,
    differences: usize,
    views: usize,
    caught_up: usize,
    cut_off: usize,
    backlogs: usize,
}

/// A run of everything, with as many observers and then as many mirrors.
fn run(trial: &Trial, observers: usize, mirrors: usize) -> Told {
    let of_many = trial.world.random(6) == 0;
    let recorder = Recorder::new(trial.world.now());
    let consumers = observers + mirrors;
    let wishes: Vec<_> = (0..consumers)
        .map(|_| Wish::random(&trial.world, of_many))
        .collect();
    let lines: Vec<_> = (0..consumers).map(|_| Line::default()).collect();
    let mut records = Vec::new();
    let mut tasks: Vec<Task<'_>> = vec![
        Box::pin(trial.write()),
        Box::pin(trial.write()),
        Box::pin(trial.compact()),
        Box::pin(compaction::compact_ahead_of(trial, &lines)),
    ];
    if of_many {
        tasks.push(Box::pin(wish::put_many(trial)));
    }
    for (number, wish) in wishes.iter().enumerate() {
        let is_mirror = number >= observers;
        let kind = if is_mirror { "mirror" } else { "observer" };
        let record = recorder.observer(format!("{kind} {number}"), wish.keys.clone());
        let has_prev_kv = wish.prev_kv && !is_mirror;
        records.push(if has_prev_kv { record.prev_kv() } else { record });
    }
    for (number, ((wish, line), record)) in wishes.iter().zip(&lines).zip(&records).enumerate() {
        if number < observers {
            tasks.push(Box::pin(follow::observe(trial, wish, line, record)));
        } else {
            tasks.push(Box::pin(mirror::mirror(trial, wish, line, record)));
        }
    }
    let (marks, _) = trial.run(tasks, |marks| lines.iter().all(|line| line.has_reached(marks)));
    for record in records {
        let revision = marks.delete;
        record.push(trial.world.now(), ObserverItem::Due { revision });
    }
    let record = recorder.record();
    if let Err(violations) = record.check(&trial.chronicle.history()) {
        for observer in &record.observers {
            eprintln!("{} of {:?}", observer.name, observer.keys);
            for timed in observer.items.iter().enumerate() {
                eprintln!("  {timed:?}");
            }
        }
        panic!("{violations}");
    }
    for (line, observer) in lines.iter().zip(&record.observers) {
        let name = &observer.name;
        assert!(
            line.has_reached(marks),
            "{name} does not say that it has caught up: {line:?}"
        );
    }
    trial.nothing_is_left();
    let mut told = Told::default();
    for timed in record.observers.iter().flat_map(|observer| &observer.items) {
        match &timed.item {
            ObserverItem::Changes { .. } => told.changes += 1,
            ObserverItem::Difference { .. } => told.differences += 1,
            ObserverItem::View { .. } => told.views += 1,
            ObserverItem::CaughtUp { .. } => told.caught_up += 1,
            ObserverItem::CutOff { .. } => told.cut_off += 1,
            _ => {}
        }
    }
    told.backlogs = lines.iter().map(|line| line.backlogs.get()).sum();
    told
}

/// Runs seeds, and sees to it that everything happened in them.
fn runs(count: u64, pace: Pace, members: usize, observers: usize, mirrors: usize) {
    let mut all = Told::default();
    seeds(count, |seed| {
        let trial = Trial::new(seed, pace, members);
        let told = run(&trial, observers, mirrors);
        all.changes += told.changes;
        all.differences += told.differences;
        all.views += told.views;
        all.caught_up += told.caught_up;
        all.cut_off += told.cut_off;
        all.backlogs += told.backlogs;
    });
    all_happened(
        count,
        [
            ("changes", all.changes),
            ("differences", all.differences),
            ("views", all.views),
            ("caught up", all.caught_up),
            ("cut off", all.cut_off),
            ("backlogs full", all.backlogs),
        ],
    );
}

#[test]
fn observers_and_mirrors_of_one_member_keep_their_promises() {
    runs(20, Pace::DEFAULT, 1, 2, 2);
}

#[test]
fn observers_and_mirrors_of_a_cluster_keep_their_promises() {
    runs(20, Pace::DEFAULT, 3, 2, 2);
}

#[test]
fn observers_and_mirrors_of_one_member_keep_their_promises_in_seconds_of_trouble() {
    runs(300, Pace::BRISK, 1, 2, 1);
}

#[test]
fn observers_and_mirrors_of_a_cluster_keep_their_promises_in_seconds_of_trouble() {
    runs(200, Pace::BRISK, 3, 2, 1);
}
