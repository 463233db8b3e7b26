//! Watches that their consumers have no room for, or want no more.

use std::time::Duration;

use super::super::{ConnectionStatus, WatchStep};
use super::played::{DENIED, Played, broken, canceled, created, events, position, progress, refused};

#[test]
fn a_watch_without_room_leaves_the_server_and_comes_back_where_it_was() {
    let mut played = Played::new();
    let id = played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    let (_, other) = played.live(5);
    played.hear(events(wire, 9, &[5, 6]));
    played.connection.handle_full(id, 5);
    played.hear(events(wire, 9, &[7]));
    played.told();
    assert_eq!(played.sent_cancel(), wire);
    played.hear(events(other, 9, &[5]));
    assert_eq!(played.revisions(), [[5]], "the other goes on");
    played.hear(canceled(wire));
    assert!(played.sent().is_none());

    played.connection.handle_room(id);
    let create = played.sent_create();
    assert_eq!(position(&create), 5);
    played.hear(created(create.watch_id, 9));
    played.hear(events(create.watch_id, 9, &[4, 5, 6, 7]));
    assert_eq!(played.revisions(), [[5, 6, 7]]);
}

#[test]
fn a_paused_watch_stays_paused_over_a_cut_and_needs_no_stream() {
    let mut played = Played::new();
    let id = played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    played.connection.handle_full(id, 5);
    played.connection.handle_closed(played.now, broken(), 0);
    played.pass(Duration::from_secs(9));
    assert!(matches!(played.step(), WatchStep::Wait { until: None }));
    assert!(matches!(played.connection.status(), ConnectionStatus::Idle));
    played.connection.handle_room(id);
    played.open();
    assert_eq!(position(&played.sent_create()), 5);
}

#[test]
fn a_cancelled_watch_is_not_heard_of_again_however_far_it_was() {
    let mut played = Played::new();
    // Never sent.
    let queued = played.watch(5);
    let kept = played.watch(5);
    played.connection.handle_cancel(queued);
    played.open();
    let kept_wire = played.sent_create().watch_id;
    played.hear(created(kept_wire, 9));
    // Sent, not answered.
    let creating = played.watch(5);
    let wire = played.sent_create().watch_id;
    played.connection.handle_cancel(creating);
    played.connection.handle_cancel(creating);
    assert_eq!(played.sent_cancel(), wire);
    played.hear(created(wire, 9));
    played.hear(events(wire, 9, &[5]));
    played.hear(canceled(wire));
    // Alive.
    let (live, wire) = played.live(5);
    played.told();
    played.connection.handle_cancel(live);
    assert_eq!(played.sent_cancel(), wire);
    played.hear(events(wire, 9, &[5]));
    played.hear(progress(wire, 9));
    played.hear(canceled(wire));
    assert!(played.told().is_empty());
    assert!(played.sent().is_none());
    // The last one.
    played.connection.handle_cancel(kept);
    assert!(matches!(played.step(), WatchStep::Close));
    assert!(matches!(played.step(), WatchStep::Wait { until: None }));
    assert!(matches!(played.connection.status(), ConnectionStatus::Idle));
}

#[test]
fn whoever_cancels_hears_when_the_watch_is_gone() {
    let mut played = Played::new();
    let ids = [played.watch(5), played.watch(5), played.watch(5), played.watch(5)];
    played.connection.handle_cancel(ids[0]);
    assert_eq!(played.left(), [ids[0]], "it never was there");
    played.open();
    let wires: Vec<_> = (0..3).map(|_| played.sent_create().watch_id).collect();
    for wire in &wires[..2] {
        played.hear(created(*wire, 9));
    }
    for id in &ids[1..] {
        played.connection.handle_cancel(*id);
    }
    assert!(played.left().is_empty());
    let keeps_it_open = played.watch(5);
    played.hear(canceled(wires[0]));
    assert_eq!(played.left(), [ids[1]]);
    played.hear(refused(wires[2], DENIED));
    assert_eq!(played.left(), [ids[3]], "it was not let in");
    played.cut();
    assert_eq!(played.left(), [ids[2]], "the stream is gone, and all with it");
    played.connection.handle_cancel(keeps_it_open);
    played.connection.handle_cancel(keeps_it_open);
    assert_eq!(played.left(), [keeps_it_open, keeps_it_open]);
}
