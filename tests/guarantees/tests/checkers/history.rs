use etcd_core::key::prefix;
use etcd_guarantees::{History, Incomplete};

use super::store::Store;

#[test]
fn a_history_with_a_hole_is_refused_as_a_reference() {
    let mut store = Store::new();
    let (first, _, third) = (store.put("a", "1"), store.put("b", "1"), store.put("c", "1"));
    assert_eq!(
        History::new([first.clone(), third.clone()]).unwrap_err(),
        Incomplete::Gap { after: 2, next: 4 }
    );
    // Where others write too, the revisions in between may be theirs.
    assert_eq!(History::of_keys([first, third], 9).unwrap().revision(), 9);
}

#[test]
fn a_history_whose_events_do_not_follow_from_one_another_is_refused() {
    let mut store = Store::new();
    let (put, again) = (store.put("a", "1"), store.put("a", "2"));
    let delete = store.delete("a");
    for events in [
        vec![again.clone()],
        vec![put.clone(), put.clone()],
        vec![put.clone(), again.clone(), delete.clone(), delete.clone()],
        vec![delete.clone()],
        vec![put.clone(), again.clone(), delete, again.clone()],
        vec![again, put],
    ] {
        let error = History::of_keys(events.clone(), 0).unwrap_err();
        assert!(
            matches!(error, Incomplete::Inconsistent { .. }),
            "{events:?}: {error}"
        );
    }
}

#[test]
fn the_pairs_at_a_revision_are_those_of_the_keys_asked_for() {
    let mut store = Store::new();
    store.put("a/1", "x");
    store.put("b/1", "x");
    store.put("a/1", "y");
    let history_before = store.pair("a/1");
    store.delete("a/1");
    let history = store.history();
    let at = |revision| {
        let pairs = history.pairs_at(&prefix("a/"), revision);
        pairs.into_values().collect::<Vec<_>>()
    };
    assert_eq!(at(1), []);
    assert_eq!(at(4), [history_before]);
    assert_eq!(at(5), []);
    assert_eq!(history.pairs_at(&(..).into(), 5).len(), 1);
}
