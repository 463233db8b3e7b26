//! How a watch is created: under which id, from which revision, and which answer is the answer to it.

use super::super::{WatchOrigin, WatchOutput, WatchStep};
use super::played::{DENIED, Played, created, events, position, refused, refused_under};
use crate::error::EtcdError;

#[test]
fn every_creation_names_its_revision_and_an_id_that_was_never_used() {
    let mut played = Played::new();
    played.watch(7);
    let second = played.watch(9);
    played.open();
    let mut used = vec![0];
    let mut creates = Vec::new();
    for _ in 0..2 {
        let create = played.sent_create();
        assert!(!used.contains(&create.watch_id), "{}", create.watch_id);
        used.push(create.watch_id);
        creates.push((create.watch_id, position(&create)));
    }
    assert_eq!([creates[0].1, creates[1].1], [7, 9]);
    assert!(played.sent().is_none());
    for (wire, _) in &creates {
        played.hear(created(*wire, 6));
    }
    assert_eq!(played.told().len(), 2);

    played.cut();
    played.open();
    for start in [7, 9] {
        let create = played.sent_create();
        assert_eq!(position(&create), start);
        assert!(!used.contains(&create.watch_id));
        used.push(create.watch_id);
        played.hear(created(create.watch_id, 6));
    }
    assert!(played.told().is_empty(), "creation is told once");

    // Back and forth on one stream: what is said of the life before is not taken for the present one.
    let before = used[used.len() - 1];
    played.connection.handle_full(second, 9);
    assert_eq!(played.sent_cancel(), before);
    played.connection.handle_room(second);
    let create = played.sent_create();
    assert!(!used.contains(&create.watch_id));
    played.hear(events(before, 9, &[9]));
    assert!(played.told().is_empty());
}

#[test]
fn a_watch_that_stands_at_the_first_revision_does_not_start_at_zero() {
    let mut played = Played::new();
    played.watch(1);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 1));
    played.cut();
    played.open();
    assert_eq!(played.sent_create().start_revision, 1, "0 would be now");
}

#[test]
fn a_watch_from_now_that_was_overtaken_starts_anew() {
    let mut played = Played::new();
    let id = played.watch_from(5, WatchOrigin::Read);
    played.open();
    let first = played.sent_create();
    assert_eq!(first.start_revision, 5);
    // Revision 5 may have come and been compacted since the read.
    played.hear(created(first.watch_id, 5));
    assert!(played.told().is_empty());
    assert_eq!(played.sent_cancel(), first.watch_id);
    let second = played.sent_create();
    assert_eq!(second.start_revision, 4);
    played.hear(events(first.watch_id, 5, &[5]));
    assert!(played.told().is_empty());
    played.hear(created(second.watch_id, 5));
    let told = played.told();
    assert!(
        matches!(told[..], [(told, WatchOutput::Created)] if told == id),
        "{told:?}"
    );
}

#[test]
fn a_watch_starts_one_revision_early_and_tells_nothing_of_that_one() {
    for origin in [WatchOrigin::Given, WatchOrigin::Read, WatchOrigin::Resumed] {
        let mut played = Played::new();
        let id = played.watch_from(5, origin);
        played.open();
        let first = played.sent_create().start_revision;
        assert_eq!(first, if origin == WatchOrigin::Read { 5 } else { 4 });
        // Not answered: whether the server knows of it matters not.
        played.cut();
        played.open();
        let create = played.sent_create();
        assert_eq!(create.start_revision, 4);
        played.hear(created(create.watch_id, 9));
        played.hear(events(create.watch_id, 9, &[4, 5]));
        let told = played.told();
        let [(told, WatchOutput::Created), (_, WatchOutput::Batch(batch))] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!((*told, batch.events().len(), batch.position()), (id, 1, 6));
    }
}

#[test]
fn a_refusal_without_an_id_is_for_the_creation_whose_turn_it_is() {
    let mut played = Played::new();
    let ids = [played.watch(5), played.watch(6), played.watch(7)];
    played.open();
    let wires: Vec<_> = (0..3).map(|_| played.sent_create().watch_id).collect();
    played.hear(created(wires[0], 9));
    played.hear(refused(wires[1], DENIED));
    played.hear(created(wires[2], 9));
    let (id, error) = played.ended();
    assert_eq!(id, ids[1]);
    assert_eq!(error.etcd(), Some(EtcdError::PermissionDenied));
    played.hear(events(wires[0], 9, &[9]));
    played.hear(events(wires[2], 9, &[9]));
    assert_eq!(played.revisions(), [[9], [9]]);
}

#[test]
fn an_answer_to_what_was_not_asked_begins_anew() {
    for wrong in [created(99, 9), created(-1, 9), refused_under(99, DENIED)] {
        let mut played = Played::new();
        played.watch(5);
        played.open();
        let wire = played.sent_create().watch_id;
        played.hear(created(wire, 9));
        played.watch(5);
        played.sent_create();
        played.hear(wrong);
        assert!(matches!(played.step(), WatchStep::Close));
        assert_eq!(played.connection.len(), 2);
    }
}

#[test]
fn a_refused_creation_that_was_cancelled_meanwhile_leaves_nothing() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    let id = played.watch(5);
    played.sent_create();
    played.connection.handle_cancel(id);
    played.sent_cancel();
    played.told();
    played.hear(refused(0, DENIED));
    assert!(played.told().is_empty());
    assert!(
        played.connection.leaving.is_empty(),
        "nobody acknowledges that cancellation"
    );
}
