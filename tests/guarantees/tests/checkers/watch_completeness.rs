//! Without holes: from the start, after a break, and until a compaction.

use etcd_core::message::WatchFilter;
use etcd_guarantees::Property::{Reliable, Resumable};
use etcd_guarantees::{WatchItem, WatchRequest};

use super::store::{Run, Store};

fn all() -> WatchRequest {
    WatchRequest::new(..)
}

#[test]
fn a_revision_that_is_never_completed_is_a_hole() {
    let mut store = Store::new();
    let both = store.together(|store| {
        store.put("a", "1");
        store.put("b", "1");
    });
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), both[..1].to_vec());
    assert_eq!(run.broken(&store.history()), [Reliable]);
}

#[test]
fn an_event_left_out_is_a_hole() {
    let mut store = Store::new();
    let (first, _, third) = (store.put("a", "1"), store.put("b", "1"), store.put("c", "1"));
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), [first]);
    watch.batch(run.tick(), [third]);
    assert_eq!(run.broken(&store.history()), [Reliable]);
    let told = run.told(&store.history());
    let said = r#"Reliable broken for watch, item 2 at 3s: expected PUT "b" = "1" @3 (created @3, version 1, lease 0), got PUT "c""#;
    assert!(told.contains(said), "{told}");
}

#[test]
fn what_follows_the_last_batch_is_missed_only_once_it_is_due_or_bookmarked() {
    let mut store = Store::new();
    let first = store.put("a", "1");
    store.put("b", "1");
    for (item, expected) in [
        (None, vec![]),
        (Some(WatchItem::Due { revision: 2 }), vec![]),
        (Some(WatchItem::Due { revision: 3 }), vec![Reliable]),
        (Some(WatchItem::Progress { revision: 3 }), vec![Reliable]),
    ] {
        let run = Run::new();
        let watch = run.watch(all());
        watch.started(run.tick(), 2);
        watch.batch(run.tick(), [first.clone()]);
        if let Some(item) = item.clone() {
            watch.push(run.tick(), item);
        }
        assert_eq!(run.broken(&store.history()), expected, "{item:?}");
    }
}

#[test]
fn an_event_that_never_happened_or_not_like_this_is_not_reliable() {
    let mut store = Store::new();
    let event = store.put("a", "1");
    let mut altered = event.clone();
    altered.kv.value = "2".into();
    let mut elsewhere = event.clone();
    elsewhere.kv.key = "b".into();
    let mut later = event;
    (later.kv.mod_revision, later.kv.create_revision) = (9, 9);
    for event in [altered, elsewhere, later] {
        let run = Run::new();
        let watch = run.watch(all());
        watch.started(run.tick(), 2);
        watch.batch(run.tick(), [event.clone()]);
        let broken = run.broken(&store.history());
        assert!(broken.contains(&Reliable), "{event:?}: {broken:?}");
    }
}

#[test]
fn resuming_behind_the_next_event_is_found_even_if_nothing_arrives_any_more() {
    let mut store = Store::new();
    let first = store.put("a", "1");
    store.put("b", "1");
    for (from, expected) in [(3, vec![]), (2, vec![]), (4, vec![Resumable])] {
        let run = Run::new();
        let watch = run.watch(all());
        watch.started(run.tick(), 2);
        watch.batch(run.tick(), [first.clone()]);
        watch.reopened(run.tick(), from);
        assert_eq!(run.broken(&store.history()), expected, "from {from}");
    }
}

#[test]
fn resuming_behind_revisions_of_no_interest_loses_nothing() {
    let mut store = Store::new();
    let first = store.put("a", "1");
    store.put("other", "1");
    store.delete("a");
    let run = Run::new();
    let watch = run.watch(WatchRequest::new("a").filter(WatchFilter::NoDelete));
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), [first]);
    watch.reopened(run.tick(), 5);
    watch.batch(run.tick(), [store.put("a", "2")]);
    assert_eq!(run.broken(&store.history()), []);
}

#[test]
fn the_first_event_of_a_stream_has_to_be_the_next_there_is() {
    let mut store = Store::new();
    let events = [store.put("a", "1"), store.put("b", "1"), store.put("c", "1")];
    // At the start, and after the connection was lost.
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), events[1..].to_vec());
    assert_eq!(run.broken(&store.history()), [Reliable, Resumable]);

    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), events[..1].to_vec());
    watch.reopened(run.tick(), 3);
    watch.batch(run.tick(), events[2..].to_vec());
    assert_eq!(run.broken(&store.history()), [Reliable, Resumable]);
    let told = run.told(&store.history());
    assert!(told.contains("resumed at 3: expected PUT \"b\""), "{told}");
}

#[test]
fn a_start_in_the_future_waits_for_its_revision() {
    let mut store = Store::new();
    store.put("a", "1");
    store.put("a", "2");
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 4);
    watch.progress(run.tick(), 3);
    watch.reopened(run.tick(), 4);
    watch.batch(run.tick(), [store.put("a", "3")]);
    assert_eq!(run.broken(&store.history()), []);
}

#[test]
fn without_a_known_start_the_first_arrival_tells_it() {
    let mut store = Store::new();
    store.put("a", "1");
    let run = Run::new();
    let watch = run.watch(all());
    watch.batch(run.tick(), [store.put("a", "2")]);
    store.put("a", "3");
    assert_eq!(run.broken(&store.history()), []);
    watch.batch(run.tick(), [store.put("a", "4")]);
    assert_eq!(run.broken(&store.history()), [Reliable]);
}

#[test]
fn a_slow_reader_is_told_where_it_can_go_on() {
    let mut store = Store::new();
    let first = store.put("a", "1");
    store.put("b", "1");
    for (resume_revision, expected) in [(3, vec![]), (4, vec![Resumable]), (2, vec![Resumable])] {
        let run = Run::new();
        let watch = run.watch(all());
        watch.started(run.tick(), 2);
        watch.batch(run.tick(), [first.clone()]);
        watch.push(run.tick(), WatchItem::Lagged { resume_revision });
        assert_eq!(run.broken(&store.history()), expected, "{resume_revision}");
    }
}

#[test]
fn a_watch_may_end_for_a_compaction_only_if_there_was_one_that_it_needed_history_of() {
    let mut store = Store::new();
    let first = store.put("a", "1");
    for value in ["2", "3", "4"] {
        store.put("a", value);
    }
    for (compact_revision, compacted, expected) in [
        (4, 4, vec![]),
        (4, 5, vec![]),
        (4, 0, vec![Resumable]),
        (5, 4, vec![Resumable]),
        (3, 5, vec![Resumable]),
    ] {
        let run = Run::new();
        let watch = run.watch(all());
        watch.started(run.tick(), 2);
        watch.batch(run.tick(), [first.clone()]);
        watch.push(run.tick(), WatchItem::Compacted { compact_revision });
        let history = store.history().compacted(compacted);
        assert_eq!(run.broken(&history), expected, "{compact_revision}, {compacted}");
    }
}

#[test]
fn after_a_compaction_a_watch_begins_anew_without_owing_what_lies_between() {
    let mut store = Store::new();
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), [store.put("a", "1")]);
    store.put("a", "2");
    store.put("a", "3");
    watch.push(run.tick(), WatchItem::Compacted { compact_revision: 4 });
    watch.started(run.tick(), 4);
    let third = store.history().events().last().unwrap().clone();
    watch.batch(run.tick(), [third]);
    assert_eq!(run.broken(&store.history().compacted(4)), []);

    // But from then on it does.
    store.put("a", "4");
    watch.batch(run.tick(), [store.put("a", "5")]);
    assert_eq!(run.broken(&store.history().compacted(4)), [Reliable]);
    let told = run.told(&store.history().compacted(4));
    assert!(told.contains("item 5 at 6s"), "{told}");
}

#[test]
fn a_coalescing_watch_may_leave_out_what_a_later_event_of_the_batch_replaces() {
    let mut store = Store::new();
    let first = store.put("a", "1");
    let other = store.put("b", "1");
    let second = store.put("a", "2");
    let third = store.put("b", "2");
    for (batches, due, expected) in [
        (
            vec![vec![first.clone(), other.clone(), second.clone(), third.clone()]],
            5,
            vec![],
        ),
        (
            vec![vec![other.clone(), second.clone()], vec![third.clone()]],
            5,
            vec![],
        ),
        (vec![vec![second.clone(), third.clone()]], 5, vec![]),
        (vec![vec![first.clone(), third.clone()]], 5, vec![Reliable]),
        (vec![vec![third.clone()]], 5, vec![Reliable]),
        (vec![vec![second.clone()]], 4, vec![Reliable]),
        (vec![vec![other.clone(), second.clone()]], 5, vec![Reliable]),
        (vec![vec![other.clone(), second.clone()]], 4, vec![]),
    ] {
        let run = Run::new();
        let watch = run.watch(all().coalesced());
        watch.started(run.tick(), 2);
        for batch in &batches {
            watch.batch(run.tick(), batch.clone());
        }
        watch.push(run.tick(), WatchItem::Due { revision: due });
        assert_eq!(run.broken(&store.history()), expected, "{batches:?}");

        // Who asked for every event gets every event.
        let strict = Run::new();
        let watch = strict.watch(all());
        watch.started(strict.tick(), 2);
        for batch in &batches {
            watch.batch(strict.tick(), batch.clone());
        }
        let whole = batches.concat().len() == 4;
        assert_eq!(
            strict.broken(&store.history()).contains(&Reliable),
            !whole,
            "{batches:?}"
        );
    }
}

#[test]
fn a_coalescing_watch_neither_makes_up_nor_repeats_events() {
    let mut store = Store::new();
    let first = store.put("a", "1");
    let mut altered = first.clone();
    altered.kv.value = "x".into();
    for batches in [vec![vec![altered]], vec![vec![first.clone()], vec![first]]] {
        let run = Run::new();
        let watch = run.watch(all().coalesced());
        watch.started(run.tick(), 2);
        for batch in batches {
            watch.batch(run.tick(), batch);
        }
        assert!(run.broken(&store.history()).contains(&Reliable));
    }
}
