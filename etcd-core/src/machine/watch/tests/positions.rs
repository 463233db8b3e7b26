//! Where a watch stands, and what moves it.

use std::time::Duration;

use super::super::*;
use super::played::*;
use crate::error::ErrorKind;
use crate::message::Watch;

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
        creates.push((create.watch_id, create.start_revision));
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
fn answers_given_at_once_say_nothing_of_progress() {
    let mut played = Played::new();
    played.watch(5);
    played.open_with_answers(true);
    assert_eq!(played.connection.tells_progress(), Some(false));
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 100));
    played.told();
    played.connection.handle_progress_request();
    assert!(played.sent().is_none(), "there is no use in asking");
    played.hear(progress(-1, 100));
    assert!(played.told().is_empty());
    // Its own progress is another matter.
    played.hear(progress(wire, 100));
    assert!(matches!(played.told()[..], [(_, WatchOutput::Position(101))]));
}

#[test]
fn answers_in_order_count_for_watches_created_before_the_request() {
    let mut played = Played::new();
    let first = played.watch(5);
    played.open();
    assert_eq!(played.connection.tells_progress(), Some(true));
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 100));
    played.connection.handle_progress_request();
    assert!(matches!(played.sent(), Some(Watch::Progress(_))));
    // Created after the request, and told so before its answer.
    let (second, _) = played.live(5);
    played.told();
    played.hear(progress(-1, 100));
    let told = played.told();
    assert!(
        matches!(told[..], [(id, WatchOutput::Position(101))] if id == first),
        "{told:?}"
    );
    // An answer nobody asked for.
    played.hear(progress(-1, 200));
    assert!(played.told().is_empty());
    played.connection.handle_progress_request();
    played.sent();
    played.hear(progress(-1, 90));
    let told = played.told();
    assert!(
        matches!(told[..], [(id, WatchOutput::Position(91))] if id == second),
        "the first is further already: {told:?}"
    );
}

#[test]
fn an_answer_that_may_be_for_an_earlier_request_counts_as_that() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 100));
    played.connection.handle_progress_request();
    played.sent();
    let (second, _) = played.live(5);
    played.connection.handle_progress_request();
    played.sent();
    played.told();
    // One of the two requests was not answered. Nobody can say which.
    played.hear(progress(-1, 100));
    assert!(played.told().iter().all(|(id, _)| *id != second));
}

#[test]
fn a_watch_that_goes_on_starts_one_revision_early() {
    for (origin, first, again) in [
        (WatchOrigin::Given, 5, 5),
        (WatchOrigin::Read, 5, 4),
        (WatchOrigin::Resumed, 4, 4),
    ] {
        let mut played = Played::new();
        played.watch_from(5, origin);
        played.open();
        assert_eq!(played.sent_create().start_revision, first);
        // Not answered: whether the server knows of it matters not.
        played.cut();
        played.open();
        assert_eq!(played.sent_create().start_revision, again);
    }
}

#[test]
fn positions_are_asked_for_now_and_then() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let create = played.sent_create();
    assert!(create.progress_notify);
    played.hear(created(create.watch_id, 9));
    let every = WatchTimes::default().progress;
    let mut asked = 0;
    for second in 1..=3 * every.as_secs() {
        played.pass(Duration::from_secs(1));
        let revision = second.try_into().unwrap();
        played.hear(events(create.watch_id, revision, &[revision]));
        asked += usize::from(matches!(played.sent(), Some(Watch::Progress(_))));
    }
    assert_eq!(asked, 3);
}
