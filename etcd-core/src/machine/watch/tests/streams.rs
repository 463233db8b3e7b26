//! When a stream is given up, where the next one is opened, and what is done where none opens.

use std::time::Duration;

use super::super::{ConnectionStatus, WatchMode, WatchOrigin, WatchStep, WatchTimes};
use super::played::{Played, canceled, created, events, position, refused};
use crate::error::{Code, Error, ServerError, Timeout, TimeoutPhase};
use crate::message::Watch;

#[test]
fn a_server_without_a_leader_or_whose_stream_breaks_off_behind_its_gateway_is_left_for_another() {
    for (code, message) in [
        (Code::Unavailable, "etcdserver: no leader"),
        (Code::Internal, "unexpected EOF"),
    ] {
        let mut played = Played::new();
        played.watch(5);
        played.open();
        let wire = played.sent_create().watch_id;
        played.hear(created(wire, 9));
        let error = ServerError::new(code, message);
        played.connection.handle_closed(played.now, error.into(), 0);
        played.pass(Duration::from_secs(1));
        assert!(
            matches!(played.step(), WatchStep::Open { elsewhere: true, .. }),
            "{message}"
        );
    }
}

#[test]
fn silence_is_asked_about_and_then_left() {
    let times = WatchTimes::default();
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    assert!(played.sent().is_none());
    // It answers: all is well.
    for _ in 0..3 {
        played.pass(times.idle);
        let question = played.question();
        assert!(played.sent().is_none());
        played.pass(times.patience / 2);
        played.hear(refused(question, "mvcc: watcher range is empty"));
        assert!(played.sent().is_none());
    }
    // Half a line is a sign of life too.
    played.pass(times.idle);
    played.question();
    played.pass(times.patience / 2);
    played.connection.handle_activity(played.now);
    played.pass(times.idle - Duration::from_millis(1));
    assert!(played.sent().is_none());
    // Nothing.
    played.pass(Duration::from_millis(1));
    played.question();
    played.pass(times.patience);
    assert!(matches!(played.step(), WatchStep::Close));
    assert!(matches!(
        played.connection.status(),
        ConnectionStatus::Connecting { cause: Some(_), .. }
    ));
    assert!(matches!(played.step(), WatchStep::Open { elsewhere: true, .. }));
}

/// Opens a stream for a watch, which is created, and then nothing is heard for so long; the watch's id, if the stream is
/// still open.
fn open_after_a_silence_of(time: Duration, played: &mut Played) -> Option<i64> {
    let times = WatchTimes::default();
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    assert!(played.sent().is_none());
    played.pass(times.idle);
    played.question();
    played.pass(time - times.idle);
    loop {
        match played.step() {
            // It is time to ask for progress, too.
            WatchStep::Send(Watch::Progress(_)) => {}
            WatchStep::Close => return None,
            _ => return Some(wire),
        }
    }
}

#[test]
fn a_server_that_is_silent_whenever_it_is_to_tell_a_long_history_gets_ever_more_time_for_it() {
    let times = WatchTimes::default();
    let mut played = Played::new();
    played.watch(5);
    for factor in [1, 2, 4, 8, 16, 16] {
        let limit = times.idle + times.patience * factor;
        assert_eq!(open_after_a_silence_of(limit, &mut played), None, "{factor}");
    }
    let limit = times.idle + times.patience * 16;
    let wire = open_after_a_silence_of(limit - Duration::from_millis(1), &mut played).unwrap();
    // Here it comes; and then all is as it was, once the stream has lived for longer than that.
    played.hear(events(wire, 9, &[5]));
    played.pass(times.idle);
    played.hear(events(wire, 10, &[6]));
    played.pass(times.idle);
    played.question();
    played.pass(times.patience);
    assert!(matches!(played.step(), WatchStep::Close));
}

#[test]
fn a_server_that_never_answered_a_stream_gets_no_more_time_for_the_next() {
    let times = WatchTimes::default();
    let mut played = Played::new();
    played.watch(5);
    for _ in 0..3 {
        assert!(matches!(played.step(), WatchStep::Open { .. }));
        played.connection.handle_opened(played.now);
        while played.sent().is_some() {}
        played.pass(times.idle);
        played.question();
        played.pass(times.patience);
        assert!(matches!(played.step(), WatchStep::Close));
    }
}

#[test]
fn a_server_that_reads_nothing_any_more_is_left_though_it_sends() {
    let mut played = Played::new();
    played.watch(1);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    played.watch(1);
    played.sent_create();
    for revision in 1..64 {
        played.hear(events(wire, revision, &[revision]));
    }
    played.pass(Duration::from_secs(30));
    assert!(
        played.connection.tells_progress().is_some(),
        "too few messages for a verdict"
    );
    played.hear(events(wire, 64, &[64]));
    assert!(matches!(played.step(), WatchStep::Close));
}

#[test]
fn a_server_that_reads_slowly_is_not_left() {
    let mut played = Played::new();
    played.watch(1);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    for _ in 0..10 {
        played.watch(1);
    }
    let wires: Vec<_> = (0..10).map(|_| played.sent_create().watch_id).collect();
    let mut revision = 0;
    for pending in wires {
        for _ in 0..64 {
            revision += 1;
            played.hear(events(wire, revision, &[revision]));
        }
        played.pass(Duration::from_secs(8));
        played.hear(created(pending, 9));
        assert!(played.connection.tells_progress().is_some(), "it is left");
    }
}

#[test]
fn a_read_for_watches_that_are_gone_holds_up_no_later_one() {
    let mut played = Played::new();
    let id = played.watch(5);
    assert!(matches!(played.step(), WatchStep::Open { .. }));
    let silent = Timeout::new(TimeoutPhase::Response);
    played.connection.handle_closed(played.now, silent.into(), 0);
    assert!(matches!(played.step(), WatchStep::Read(_)));
    played.connection.handle_cancel(id);
    // Nobody waits for the read any more, and its driver may go with it.
    assert!(matches!(played.step(), WatchStep::Wait { until: None }));
    played.watch(5);
    played.pass(Duration::from_secs(1));
    assert!(matches!(played.step(), WatchStep::Open { .. }));
}

#[test]
fn a_way_that_carries_calls_and_no_streams_is_recognized() {
    let mut played = Played::new();
    let id = played.watch(5);
    let silent = || Error::from(Timeout::new(TimeoutPhase::Response));
    let try_to_open = |played: &mut Played, read: Result<i64, Error>| {
        played.pass(Duration::from_secs(2));
        assert!(matches!(played.step(), WatchStep::Open { .. }));
        played.connection.handle_closed(played.now, silent(), 0);
        assert!(matches!(played.step(), WatchStep::Read(_)));
        played.pass(Duration::from_secs(2));
        assert!(
            matches!(played.step(), WatchStep::Wait { .. }),
            "first the answer"
        );
        played.connection.handle_read(played.now, read, 0);
    };
    // A server that is down as a whole is no reason.
    try_to_open(&mut played, Ok(9));
    try_to_open(&mut played, Err(silent()));
    try_to_open(&mut played, Ok(9));
    try_to_open(&mut played, Ok(9));
    assert!(matches!(played.step(), WatchStep::FallBack));
    let taken = played.connection.take_watches();
    assert!(
        matches!(&taken[..], [(taken, create, WatchOrigin::Given)] if *taken == id && create.start_revision == 5)
    );
}

#[test]
fn alone_on_its_stream_a_watch_is_named_first_and_asked_nothing() {
    let mut played = Played::in_mode(WatchMode::Single);
    let id = played.watch(5);
    let WatchStep::Open {
        first: Watch::Create(create),
        ..
    } = played.step()
    else {
        panic!("not opened with the watch");
    };
    assert_eq!(position(&create), 5);
    played.connection.handle_opened(played.now);
    played.hear(created(create.watch_id, 9));
    played.hear(events(create.watch_id, 9, &[5]));
    assert_eq!(played.revisions(), [[5]]);
    played.connection.handle_progress_request();
    assert!(played.sent().is_none());
    // Silence.
    played.pass(WatchTimes::default().idle_single);
    assert!(matches!(played.step(), WatchStep::Close));
    let WatchStep::Open {
        first: Watch::Create(create),
        elsewhere,
        ..
    } = played.step()
    else {
        panic!("not opened again");
    };
    assert_eq!((position(&create), elsewhere), (6, false));
    played.connection.handle_opened(played.now);
    // No room.
    played.connection.handle_full(id, 6);
    assert!(matches!(played.step(), WatchStep::Close));
    assert!(matches!(played.step(), WatchStep::Wait { until: None }));
    played.connection.handle_room(id);
    let WatchStep::Open {
        first: Watch::Create(create),
        ..
    } = played.step()
    else {
        panic!("not opened when there is room");
    };
    // The server ends it without a reason: nothing will come on this stream.
    played.connection.handle_opened(played.now);
    played.hear(created(create.watch_id, 9));
    played.hear(canceled(create.watch_id));
    assert!(matches!(played.step(), WatchStep::Close));
    assert!(matches!(played.step(), WatchStep::Open { .. }));
    played.connection.handle_cancel(id);
    assert!(matches!(played.step(), WatchStep::Close));
}

#[test]
fn a_stream_that_opens_for_a_watch_that_is_gone_is_closed() {
    let mut played = Played::in_mode(WatchMode::Single);
    let id = played.watch(5);
    assert!(matches!(played.step(), WatchStep::Open { .. }));
    played.connection.handle_cancel(id);
    // Its head is there before anybody could say that it is not wanted any more.
    played.connection.handle_opened(played.now);
    assert!(matches!(played.step(), WatchStep::Close));
    assert!(matches!(played.step(), WatchStep::Wait { until: None }));
}
