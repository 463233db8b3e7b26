//! Which events a watch tells, and where it goes on after them.

use super::super::WatchStep;
use super::played::{Played, created, events, piece, position, progress};
use crate::error::ErrorKind;

#[test]
fn a_watch_goes_on_after_its_last_event_and_not_after_the_header() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 5000));
    played.hear(events(wire, 5000, &[5, 6, 6, 9]));
    assert_eq!(played.revisions(), [[5, 6, 6, 9]]);
    played.cut();
    played.open();
    assert_eq!(position(&played.sent_create()), 10);
}

#[test]
fn events_that_were_told_are_not_told_again() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    played.hear(events(wire, 9, &[3, 4, 5, 6]));
    played.hear(events(wire, 9, &[6, 6]));
    played.hear(events(wire, 9, &[6, 7]));
    assert_eq!(played.revisions(), [vec![5, 6], vec![7]]);
}

#[test]
fn what_cannot_be_followed_ends_the_watch_and_no_other() {
    for bad in [&[6, 5][..], &[0], &[-3]] {
        let mut played = Played::new();
        let first = played.watch(1);
        played.open();
        let wire = played.sent_create().watch_id;
        played.hear(created(wire, 9));
        let (_, other) = played.live(1);
        played.told();
        played.hear(events(wire, 9, bad));
        let (id, error) = played.ended();
        assert_eq!(id, first);
        assert!(matches!(error.kind(), ErrorKind::Protocol(_)), "{error}");
        assert_eq!(played.sent_cancel(), wire);
        played.hear(events(other, 9, &[1]));
        assert_eq!(played.revisions(), [[1]]);
    }
}

#[test]
fn pieces_make_one_batch_and_half_of_them_none() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    played.hear(piece(events(wire, 9, &[5, 6])));
    played.hear(piece(events(wire, 9, &[6])));
    // Its progress would be the server's mistake.
    played.hear(progress(wire, 9));
    assert!(played.revisions().is_empty());
    played.hear(events(wire, 9, &[6, 7]));
    assert_eq!(played.revisions(), [[5, 6, 6, 6, 7]]);

    played.hear(piece(events(wire, 9, &[8])));
    played.cut();
    played.open();
    let create = played.sent_create();
    assert_eq!(position(&create), 8);
    played.hear(created(create.watch_id, 9));
    played.hear(events(create.watch_id, 9, &[8, 8]));
    assert_eq!(played.revisions(), [[8, 8]]);
}

#[test]
fn pieces_without_end_are_not_collected_without_end() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    for _ in 0..1 << 20 {
        if played.connection.is_empty() {
            break;
        }
        played.hear(piece(events(wire, 9, &[5; 100])));
    }
    let (_, error) = played.ended();
    assert!(
        matches!(error.kind(), ErrorKind::ResponseTooLarge { .. }),
        "{error}"
    );
}

#[test]
fn a_watch_nobody_asked_for_is_cancelled_once() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    for _ in 0..3 {
        played.hear(events(77, 9, &[5]));
    }
    assert_eq!(played.sent_cancel(), 77);
    assert!(played.sent().is_none());
    for stranger in 1000..2000 {
        played.hear(events(stranger, 9, &[5]));
    }
    assert!(matches!(played.step(), WatchStep::Close), "that is not a server");
}
