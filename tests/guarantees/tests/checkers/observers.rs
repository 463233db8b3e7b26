use etcd_core::key::prefix;
use etcd_core::message::{Event, EventType, KeyValue};
use etcd_guarantees::ObserverItem;
use etcd_guarantees::Property::{Atomic, Convergence, Reliable, Resumable};

use super::store::{Run, Store};

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
    assert_eq!(run.broken(&store.history()), []);
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
        assert_eq!(run.broken(&store.history()), expected, "{difference:?}");
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
