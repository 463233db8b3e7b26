//! In order, once, whole, and no later than progress said.

use etcd_guarantees::Property::{Atomic, Bookmarkable, Ordered, Unique};
use etcd_guarantees::{WatchItem, WatchRequest};

use super::store::{Run, Store, with_prev_kv};

fn all() -> WatchRequest {
    WatchRequest::new(..)
}

#[test]
fn a_watch_that_saw_everything_keeps_every_promise() {
    let mut store = Store::new();
    let run = Run::new();
    let watch = run.watch(all().prev_kv());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), [store.put("a", "1")]);
    let before = store.pair("a");
    watch.batch(run.tick(), [with_prev_kv(store.put("a", "2"), before)]);
    watch.progress(run.tick(), 3);
    watch.reopened(run.tick(), 4);
    let before = store.pair("a");
    watch.batch(
        run.tick(),
        store.together(|store| {
            store.put("b", "1");
            store.put("c", "1");
        }),
    );
    watch.batch(run.tick(), [with_prev_kv(store.delete("a"), before)]);
    watch.progress(run.tick(), 5);
    watch.progress(run.tick(), 5);
    watch.push(run.tick(), WatchItem::Due { revision: 5 });
    watch.push(run.tick(), WatchItem::Lagged { resume_revision: 6 });
    assert_eq!(run.broken(&store.history()), []);
}

#[test]
fn events_that_go_back_in_time_are_not_ordered() {
    let mut store = Store::new();
    let (first, second) = (store.put("a", "1"), store.put("b", "1"));
    for events in [
        vec![vec![second.clone(), first.clone()]],
        vec![vec![second], vec![first]],
    ] {
        let run = Run::new();
        let watch = run.watch(all());
        watch.started(run.tick(), 2);
        for batch in events {
            watch.batch(run.tick(), batch);
        }
        let broken = run.broken(&store.history());
        assert!(broken.contains(&Ordered), "{broken:?}");
        assert!(!broken.contains(&Unique), "{broken:?}");
    }
}

#[test]
fn an_event_that_arrives_twice_is_not_unique() {
    let mut store = Store::new();
    let event = store.put("a", "1");
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), [event.clone()]);
    watch.reopened(run.tick(), 2);
    watch.batch(run.tick(), [event]);
    let broken = run.broken(&store.history());
    assert!(broken.contains(&Unique), "{broken:?}");
    assert!(!broken.contains(&Ordered), "{broken:?}");
}

#[test]
fn a_key_that_its_revision_deletes_and_writes_again_arrives_twice_rightly() {
    let mut store = Store::new();
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), [store.put("a", "1")]);
    let both = store.together(|store| {
        store.delete("a");
        store.put("a", "2");
    });
    watch.batch(run.tick(), both.clone());
    assert_eq!(run.broken(&store.history()), []);

    watch.reopened(run.tick(), 4);
    watch.batch(run.tick(), both);
    let broken = run.broken(&store.history());
    assert!(broken.contains(&Unique), "{broken:?}");
}

#[test]
fn a_revision_in_two_batches_is_not_atomic() {
    let mut store = Store::new();
    let both = store.together(|store| {
        store.put("a", "1");
        store.put("b", "1");
    });
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), both[..1].to_vec());
    watch.batch(run.tick(), []);
    watch.batch(run.tick(), both[1..].to_vec());
    assert_eq!(run.broken(&store.history()), [Atomic]);
    let told = run.told(&store.history());
    assert!(told.contains("revision 2 began in item 1"), "{told}");
}

#[test]
fn a_batch_may_hold_several_whole_revisions() {
    let mut store = Store::new();
    let mut batch = store.together(|store| {
        store.put("a", "1");
        store.put("b", "1");
    });
    batch.push(store.put("a", "2"));
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), batch);
    watch.batch(run.tick(), [store.put("b", "2")]);
    assert_eq!(run.broken(&store.history()), []);
}

#[test]
fn an_event_after_progress_at_its_revision_breaks_the_bookmark() {
    let mut store = Store::new();
    let (first, second) = (store.put("a", "1"), store.put("b", "1"));
    let run = Run::new();
    let watch = run.watch(all());
    watch.started(run.tick(), 2);
    watch.batch(run.tick(), [first]);
    watch.progress(run.tick(), 3);
    watch.batch(run.tick(), [second]);
    assert!(run.broken(&store.history()).contains(&Bookmarkable));
}

#[test]
fn progress_that_goes_back_or_lies_ahead_breaks_the_bookmark() {
    let mut store = Store::new();
    let events = [store.put("a", "1"), store.put("b", "1")];
    for (progress, rightly) in [
        (vec![3], true),
        (vec![3, 3], true),
        (vec![2], false),
        (vec![3, 2], false),
        (vec![4], false),
    ] {
        let run = Run::new();
        let watch = run.watch(all());
        watch.started(run.tick(), 2);
        watch.batch(run.tick(), events.clone());
        for revision in &progress {
            watch.progress(run.tick(), *revision);
        }
        let expected = if rightly { vec![] } else { vec![Bookmarkable] };
        assert_eq!(run.broken(&store.history()), expected, "{progress:?}");
    }
}

#[test]
fn progress_at_revisions_of_other_keys_is_right() {
    let mut store = Store::new();
    store.put("other", "1");
    let event = store.put("a", "1");
    store.put("other", "2");
    let run = Run::new();
    let watch = run.watch(WatchRequest::new("a"));
    watch.started(run.tick(), 2);
    watch.progress(run.tick(), 2);
    watch.batch(run.tick(), [event]);
    watch.progress(run.tick(), 4);
    watch.push(run.tick(), WatchItem::Due { revision: 4 });
    assert_eq!(run.broken(&store.history()), []);
}
