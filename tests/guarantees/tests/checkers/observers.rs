use etcd_core::key::prefix;
use etcd_core::message::{Event, EventType, KeyValue};
use etcd_guarantees::ObserverItem;
use etcd_guarantees::Property::{
    Atomic, Convergence, Linearizable, PrevKv, Reliable, Resumable, Staleness, Synthetic,
};

use super::store::{Run, Store, with_prev_kv};

/// A deletion as a new list shows it: without the revision at which it happened.
fn synthetic_delete(key: &'static str) -> Event {
    let mut event = Event::default();
    event.event_type = EventType::Delete;
    event.kv.key = key.into();
    event
}

fn synthetic_put(pair: KeyValue) -> Event {
    let mut event = Event::default();
    event.kv = pair;
    event
}

#[test]
fn an_observer_that_follows_lists_and_changes_keeps_every_promise() {
    let mut store = Store::new();
    store.put("a/1", "1");
    store.put("b", "1");
    store.put("a/2", "1");
    let run = Run::new();
    let observer = run.recorder.observer("observer", prefix("a/"));
    let pairs = store.pairs().into_iter().filter(|pair| pair.key != "b");
    observer.snapshot(run.tick(), store.revision(), pairs);
    observer.changes(run.tick(), [store.put("a/1", "2")]);
    store.put("b", "2");
    observer.progress(run.tick(), 6);
    // History is compacted; what changed meanwhile comes as a difference.
    store.delete("a/2");
    store.put("a/3", "1");
    store.put("a/3", "2");
    let difference = [synthetic_delete("a/2"), synthetic_put(store.pair("a/3"))];
    observer.difference(run.tick(), store.revision(), difference);
    observer.changes(run.tick(), [store.delete("a/3")]);
    observer.view(run.tick(), store.revision(), [store.pair("a/1")]);
    observer.push(
        run.tick(),
        ObserverItem::Due {
            revision: store.revision(),
        },
    );
    assert_eq!(run.broken(&store.history().compacted(8)), []);
}

#[test]
fn a_snapshot_that_is_not_the_store_at_its_revision_is_found() {
    let mut store = Store::new();
    store.put("a", "1");
    let old = store.pairs();
    store.put("a", "2");
    store.put("b", "1");
    for (revision, pairs, rightly) in [
        (2, old.clone(), true),
        (4, store.pairs(), true),
        (4, old.clone(), false),
        (3, old, false),
        (4, store.pairs()[..1].to_vec(), false),
        (3, store.pairs(), false),
    ] {
        let run = Run::new();
        let observer = run.recorder.observer("observer", ..);
        observer.snapshot(run.tick(), revision, pairs.clone());
        let expected = if rightly { vec![] } else { vec![Convergence] };
        assert_eq!(run.broken(&store.history()), expected, "{revision} {pairs:?}");
    }
}

#[test]
fn a_difference_has_to_lead_to_the_store_and_nowhere_else() {
    let mut store = Store::new();
    store.put("a", "1");
    store.put("b", "1");
    let before = store.pairs();
    store.delete("a");
    store.put("c", "1");
    let (gone, new) = (synthetic_delete("a"), synthetic_put(store.pair("c")));
    let same = synthetic_put(store.pair("b"));
    for (difference, rightly) in [
        (vec![gone.clone(), new.clone()], true),
        (vec![new.clone(), gone.clone()], true),
        (vec![gone.clone()], false),
        (vec![new.clone()], false),
        (vec![], false),
        (vec![gone.clone(), new.clone(), same], false),
        (vec![gone.clone(), gone, new], false),
    ] {
        let run = Run::new();
        let observer = run.recorder.observer("observer", ..);
        observer.snapshot(run.tick(), 3, before.clone());
        observer.difference(run.tick(), 5, difference.clone());
        let expected = if rightly { vec![] } else { vec![Convergence] };
        let history = store.history().compacted(5);
        assert_eq!(run.broken(&history), expected, "{difference:?}");
    }
}

#[test]
fn an_observer_that_misses_a_change_diverges() {
    let mut store = Store::new();
    store.put("a", "1");
    let run = Run::new();
    let observer = run.recorder.observer("observer", ..);
    observer.snapshot(run.tick(), 2, store.pairs());
    store.put("b", "1");
    observer.changes(run.tick(), [store.put("a", "2")]);
    assert_eq!(run.broken(&store.history()), [Reliable, Resumable, Convergence]);
    let told = run.told(&store.history());
    assert!(
        told.contains("at revision 4, key \"b\": expected \"b\" = \"1\" @3"),
        "{told}"
    );
}

#[test]
fn an_observer_that_misses_a_change_which_was_undone_is_found_as_a_watch_is() {
    let mut store = Store::new();
    let run = Run::new();
    let observer = run.recorder.observer("observer", ..);
    observer.snapshot(run.tick(), 1, []);
    store.put("b", "1");
    store.delete("b");
    observer.changes(run.tick(), [store.put("a", "1")]);
    assert_eq!(run.broken(&store.history()), [Reliable, Resumable]);
}

#[test]
fn an_observer_sees_revisions_whole() {
    let mut store = Store::new();
    let both = store.together(|store| {
        store.put("a", "1");
        store.put("b", "1");
    });
    let run = Run::new();
    let observer = run.recorder.observer("observer", ..);
    observer.snapshot(run.tick(), 1, []);
    observer.changes(run.tick(), both[..1].to_vec());
    observer.changes(run.tick(), both[1..].to_vec());
    assert_eq!(run.broken(&store.history()), [Atomic, Convergence]);
}

#[test]
fn an_observer_never_goes_back() {
    let mut store = Store::new();
    store.put("a", "1");
    let old = store.pairs();
    store.put("a", "2");
    let run = Run::new();
    let observer = run.recorder.observer("observer", ..);
    observer.snapshot(run.tick(), 3, store.pairs());
    observer.snapshot(run.tick(), 2, old);
    assert_eq!(run.broken(&store.history()), [Convergence]);
}

#[test]
fn an_observer_that_stays_behind_is_found_once_more_is_due() {
    let mut store = Store::new();
    store.put("a", "1");
    let run = Run::new();
    let observer = run.recorder.observer("observer", ..);
    observer.snapshot(run.tick(), 2, store.pairs());
    store.put("a", "2");
    assert_eq!(run.broken(&store.history()), []);
    observer.push(run.tick(), ObserverItem::Due { revision: 3 });
    assert_eq!(run.broken(&store.history()), [Reliable, Convergence]);
}

#[test]
fn a_mirror_that_shows_a_mixture_of_revisions_is_found() {
    let mut store = Store::new();
    store.put("a", "1");
    let old = store.pair("a");
    store.together(|store| {
        store.put("a", "2");
        store.put("b", "2");
    });
    let run = Run::new();
    let observer = run.recorder.observer("mirror", ..);
    observer.snapshot(run.tick(), 3, store.pairs());
    observer.view(run.tick(), 3, store.pairs());
    assert_eq!(run.broken(&store.history()), []);
    observer.view(run.tick(), 3, [old, store.pair("b")]);
    assert_eq!(run.broken(&store.history()), [Convergence]);
}

#[test]
fn a_mirror_never_goes_back() {
    let mut store = Store::new();
    store.put("a", "1");
    let old = store.pairs();
    store.put("a", "2");
    let run = Run::new();
    let observer = run.recorder.observer("mirror", ..);
    observer.view(run.tick(), 2, old.clone());
    observer.view(run.tick(), 3, store.pairs());
    observer.view(run.tick(), 3, store.pairs());
    assert_eq!(run.broken(&store.history()), []);
    observer.view(run.tick(), 2, old);
    assert_eq!(run.broken(&store.history()), [Convergence]);
}

#[test]
fn synthetic_events_without_a_compaction_in_their_way_are_found() {
    let mut store = Store::new();
    store.put("a", "1");
    let before = store.pairs();
    store.put("a", "2");
    store.put("a", "3");
    let difference = [synthetic_put(store.pair("a"))];
    // Of the compaction at what had been told, nothing was lost; that at a later revision came later.
    for (compacted, rightly) in [(3, true), (4, true), (2, false), (5, false)] {
        let run = Run::new();
        let observer = run.recorder.observer("observer", ..);
        observer.snapshot(run.tick(), 2, before.clone());
        observer.difference(run.tick(), 4, difference.clone());
        let expected = if rightly { vec![] } else { vec![Synthetic] };
        let history = store.history().compacted(compacted);
        assert_eq!(run.broken(&history), expected, "compacted at {compacted}");
        assert_eq!(run.broken(&store.history()), [Synthetic], "never compacted");
    }
}

#[test]
fn synthetic_events_that_are_not_marked_as_such_are_found() {
    let mut store = Store::new();
    store.put("a", "1");
    let run = Run::new();
    let observer = run.recorder.observer("observer", ..);
    observer.snapshot(run.tick(), 2, store.pairs());
    store.put("a", "2");
    store.put("a", "3");
    observer.changes(run.tick(), [synthetic_put(store.pair("a"))]);
    let history = store.history().compacted(4);
    assert_eq!(run.broken(&history), [Reliable, Resumable]);
}

#[test]
fn an_event_tells_the_pair_that_had_been_told_before_it() {
    let mut store = Store::new();
    store.put("a", "1");
    let (first, pairs) = (store.pair("a"), store.pairs());
    store.put("a", "2");
    let second = store.pair("a");
    let event = store.put("a", "3");
    let third = store.pair("a");
    let synthetic = synthetic_put(second.clone());
    // The history of the pair before the synthetic event is compacted: that is no excuse.
    for (has_prev_kv, difference, change, rightly) in [
        (true, Some(&first), Some(&second), true),
        (true, None, Some(&second), false),
        (true, Some(&first), None, false),
        (true, Some(&second), Some(&second), false),
        (true, Some(&first), Some(&third), false),
        (false, None, None, true),
        (false, Some(&first), None, false),
        (false, None, Some(&second), false),
    ] {
        let run = Run::new();
        let observer = run.recorder.observer("observer", ..);
        let observer = if has_prev_kv { observer.prev_kv() } else { observer };
        observer.snapshot(run.tick(), 2, pairs.clone());
        let told = |event: &Event, before: Option<&KeyValue>| match before {
            Some(pair) => with_prev_kv(event.clone(), pair.clone()),
            None => event.clone(),
        };
        observer.difference(run.tick(), 3, [told(&synthetic, difference)]);
        observer.changes(run.tick(), [told(&event, change)]);
        let expected = if rightly { vec![] } else { vec![PrevKv] };
        let history = store.history().compacted(3);
        assert_eq!(run.broken(&history), expected, "{difference:?} {change:?}");
    }
}

#[test]
fn whoever_has_caught_up_shows_what_had_been_written() {
    let mut store = Store::new();
    store.put("a", "1");
    let old = store.pairs();
    store.put("a", "2");
    let new = store.pairs();
    store.put("b", "1");
    // What is shown, and of which revision; what it says to have caught up with; what had been written.
    for (pairs, revision, caught_up, written, rightly) in [
        (&new, 3, 3, 3, true),
        (&new, 3, 3, 2, true),
        (&old, 2, 2, 3, false),
        (&old, 2, 3, 3, false),
        (&new, 3, 4, 4, false),
    ] {
        for is_mirror in [false, true] {
            let run = Run::new();
            let observer = run.recorder.observer("observer", ..);
            if is_mirror {
                observer.view(run.tick(), revision, pairs.clone());
            } else {
                observer.snapshot(run.tick(), revision, pairs.clone());
            }
            observer.caught_up(run.tick(), caught_up, written);
            let expected = if rightly { vec![] } else { vec![Linearizable] };
            assert_eq!(
                run.broken(&store.history()),
                expected,
                "{revision} {caught_up} {written}"
            );
        }
    }
}

#[test]
fn whoever_has_caught_up_does_not_show_again_what_was_gone_by_then() {
    let mut store = Store::new();
    store.put("a", "1");
    let before = store.pairs();
    let put = store.put("b", "1");
    let between = store.pairs();
    let delete = store.delete("b");
    // What there is at 4 is what there was at 2, and whoever shows it need not know of 3.
    let run = Run::new();
    let observer = run.recorder.observer("observer", ..);
    observer.snapshot(run.tick(), 2, before.clone());
    observer.caught_up(run.tick(), 4, 4);
    observer.changes(run.tick(), [put.clone(), delete]);
    assert_eq!(run.broken(&store.history()), []);

    let run = Run::new();
    let observer = run.recorder.observer("observer", ..);
    observer.snapshot(run.tick(), 2, before.clone());
    observer.caught_up(run.tick(), 4, 4);
    observer.changes(run.tick(), [put]);
    assert_eq!(run.broken(&store.history()), [Linearizable]);

    let run = Run::new();
    let mirror = run.recorder.observer("mirror", ..);
    mirror.view(run.tick(), 2, before.clone());
    mirror.caught_up(run.tick(), 4, 4);
    mirror.view(run.tick(), 2, before);
    assert_eq!(run.broken(&store.history()), []);
    mirror.view(run.tick(), 3, between);
    assert_eq!(run.broken(&store.history()), [Linearizable]);
}

#[test]
fn whoever_was_told_of_it_was_not_cut_off_when_it_was_written() {
    let mut store = Store::new();
    store.put("a", "1");
    let before = store.pairs();
    store.put("b", "1");
    for (newest, rightly) in [(2, false), (3, true), (4, true)] {
        let run = Run::new();
        let mirror = run.recorder.observer("mirror", ..);
        mirror.view(run.tick(), 2, before.clone());
        mirror.cut_off(run.tick(), 2);
        mirror.view(run.tick(), 3, store.pairs());
        mirror.cut_off(run.tick(), newest);
        let expected = if rightly { vec![] } else { vec![Staleness] };
        assert_eq!(run.broken(&store.history()), expected, "{newest}");
    }
    // Who is cut off may still be able to ask.
    let run = Run::new();
    let mirror = run.recorder.observer("mirror", ..);
    mirror.view(run.tick(), 3, store.pairs());
    mirror.caught_up(run.tick(), 3, 3);
    mirror.cut_off(run.tick(), 2);
    assert_eq!(run.broken(&store.history()), []);
}
