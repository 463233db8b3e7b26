//! What was asked for, as it was.

use etcd_core::key::prefix;
use etcd_core::message::WatchFilter;
use etcd_guarantees::Property::{Filter, IsCreate, PrevKv, Reliable};
use etcd_guarantees::{WatchItem, WatchRequest};

use super::store::{Run, Store, with_prev_kv};

fn all() -> WatchRequest {
    WatchRequest::new(..)
}

#[test]
fn an_event_before_the_start_was_not_asked_for() {
    let mut store = Store::new();
    let early = store.put("a", "1");
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 3);
    watch.batch(run.tick(), [early]);
    assert!(run.broken(&store.history()).contains(&Filter));
}

#[test]
fn events_of_other_keys_and_of_filtered_kinds_were_not_asked_for() {
    let mut store = Store::new();
    let (inside, outside) = (store.put("a/1", "1"), store.put("b", "1"));
    let delete = store.delete("a/1");
    for (request, events, rightly) in [
        (
            WatchRequest::new(prefix("a/")),
            vec![inside.clone(), outside.clone()],
            false,
        ),
        (
            WatchRequest::new(prefix("a/")),
            vec![inside.clone(), delete.clone()],
            true,
        ),
        (WatchRequest::new("b"), vec![outside.clone()], true),
        (
            WatchRequest::new("b"),
            vec![inside.clone(), outside.clone()],
            false,
        ),
        (
            all().filter(WatchFilter::NoDelete),
            vec![inside.clone(), outside.clone()],
            true,
        ),
        (
            all().filter(WatchFilter::NoDelete),
            vec![inside.clone(), outside.clone(), delete.clone()],
            false,
        ),
        (all().filter(WatchFilter::NoPut), vec![delete.clone()], true),
        (
            all().filter(WatchFilter::NoPut),
            vec![outside.clone(), delete.clone()],
            false,
        ),
    ] {
        let run = Run::new();
        let watch = run.watch(request.clone());
        watch.started(run.tick(), 2);
        watch.batch(run.tick(), events.clone());
        let broken = run.broken(&store.history());
        assert_eq!(
            !broken.contains(&Filter),
            rightly,
            "{request:?} {events:?}: {broken:?}"
        );
        assert!(
            !rightly || broken.is_empty(),
            "{request:?} {events:?}: {broken:?}"
        );
    }
}

#[test]
fn keys_are_owed_from_when_they_are_added_until_they_are_removed() {
    let mut store = Store::new();
    store.put("b", "early");
    let events = [
        store.put("a", "1"),
        store.put("b", "1"),
        store.put("a", "2"),
        store.put("b", "2"),
    ];
    // Which of the events arrive: the third comes after its key was removed.
    for (arrive, expected) in [
        ([0, 1, 3].as_slice(), vec![]),
        (&[0, 3], vec![Reliable]),
        (&[0, 1, 2, 3], vec![Reliable, Filter]),
    ] {
        let run = Run::new();
        let watch = run.watch(WatchRequest::new("a"));
        watch.started(run.tick(), 2);
        watch.batch(run.tick(), [events[0].clone()]);
        let (keys, revision) = ("b".into(), 4);
        watch.push(run.tick(), WatchItem::KeysAdded { keys, revision });
        if arrive.contains(&1) {
            watch.batch(run.tick(), [events[1].clone()]);
        }
        watch.push(run.tick(), WatchItem::KeysRemoved { keys: "a".into() });
        for number in arrive.iter().filter(|number| **number > 1) {
            watch.batch(run.tick(), [events[*number].clone()]);
        }
        assert_eq!(run.broken(&store.history()), expected, "{arrive:?}");
    }
}

#[test]
fn a_wrong_previous_pair_is_found_and_a_compacted_one_excused() {
    let mut store = Store::new();
    let first = store.put("a", "1");
    let before = store.pair("a");
    let second = store.put("a", "2");
    let wrong = store.pair("a");
    for (request, event, compacted, expected) in [
        (
            all().prev_kv(),
            with_prev_kv(second.clone(), before.clone()),
            0,
            vec![],
        ),
        (
            all().prev_kv(),
            with_prev_kv(second.clone(), wrong.clone()),
            0,
            vec![PrevKv],
        ),
        (all().prev_kv(), second.clone(), 0, vec![PrevKv]),
        (all().prev_kv(), second.clone(), 2, vec![PrevKv]),
        (all().prev_kv(), second.clone(), 3, vec![]),
        (all(), second.clone(), 0, vec![]),
        (all(), with_prev_kv(second, wrong.clone()), 0, vec![PrevKv]),
    ] {
        let run = Run::new();
        let watch = run.watch(request.clone());
        watch.started(run.tick(), 2);
        watch.batch(run.tick(), [first.clone(), event.clone()]);
        let history = store.history().compacted(compacted);
        assert_eq!(
            run.broken(&history),
            expected,
            "{request:?} {event:?} {compacted}"
        );
    }
    let run = Run::new();
    let watch = run.watch(all().prev_kv());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), [with_prev_kv(first, wrong)]);
    assert_eq!(
        run.broken(&store.history()),
        [PrevKv],
        "a creation has no previous pair"
    );
}

#[test]
fn the_previous_pair_within_a_revision_is_the_one_of_its_earlier_changes() {
    let mut store = Store::new();
    let first = store.put("a", "1");
    let before = store.pair("a");
    let mut both = store.together(|store| {
        store.delete("a");
        store.put("a", "2");
    });
    both[0].prev_kv = Some(before);
    let run = Run::new();
    let watch = run.watch(all().prev_kv());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), [first]);
    watch.batch(run.tick(), both);
    assert_eq!(run.broken(&store.history()), []);
}

#[test]
fn an_event_that_wrongly_creates_or_wrongly_does_not_is_found() {
    let mut store = Store::new();
    let first = store.put("a", "1");
    let mut no_creation = first.clone();
    no_creation.kv.create_revision = 1;
    let mut creation = store.put("a", "2");
    creation.kv.create_revision = 3;
    for events in [vec![no_creation], vec![first, creation]] {
        let run = Run::new();
        let watch = run.watch(all());
        watch.started(run.tick(), 2);
        watch.batch(run.tick(), events.clone());
        let broken = run.broken(&store.history());
        assert!(broken.contains(&IsCreate), "{events:?}: {broken:?}");
    }
}

#[test]
fn a_key_created_anew_is_a_creation() {
    let mut store = Store::new();
    let events = [store.put("a", "1"), store.delete("a"), store.put("a", "2")];
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), events);
    assert_eq!(run.broken(&store.history()), []);
}
