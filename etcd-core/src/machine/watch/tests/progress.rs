//! What moves a position on where nothing happens.

use std::time::Duration;

use super::super::{WatchOrigin, WatchOutput, WatchTimes};
use super::played::{Played, canceled, created, events, position, progress};
use crate::message::Watch;

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
fn a_watch_that_starts_after_what_there_is_keeps_nobody_from_progress_for_long() {
    let mut played = Played::new();
    let quiet = played.watch(3);
    let ahead = played.watch_from(5, WatchOrigin::Read);
    played.open();
    let wires = [(); 2].map(|()| played.sent_create());
    assert_eq!(wires[1].start_revision, 5);
    for create in wires.iter() {
        played.hear(created(create.watch_id, 4));
    }
    // No server answers this.
    played.connection.handle_progress_request();
    assert!(matches!(played.sent(), Some(Watch::Progress(_))));
    played.pass(Duration::from_millis(100));
    played.connection.handle_progress_request();
    assert_eq!(played.sent_cancel(), wires[1].watch_id);
    let create = played.sent_create();
    assert_eq!((create.start_revision, position(&create)), (4, 5));
    assert!(matches!(played.sent(), Some(Watch::Progress(_))));
    played.hear(canceled(wires[1].watch_id));
    played.hear(created(create.watch_id, 4));
    // The second request.
    played.hear(progress(-1, 4));
    let told = played.told();
    assert!(
        matches!(told[..], [.., (id, WatchOutput::Position(5))] if id == quiet),
        "{told:?}"
    );
    assert!(
        told.iter()
            .all(|(id, output)| *id != ahead || matches!(output, WatchOutput::Created))
    );
    // That is done once.
    played.connection.handle_progress_request();
    assert!(matches!(played.sent(), Some(Watch::Progress(_))));
    assert!(played.sent().is_none());
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
