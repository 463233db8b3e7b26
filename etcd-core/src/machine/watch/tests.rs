//! The rules one by one, against a server that is played by hand; [`model`] plays it at random.

mod model;

use std::time::{Duration, Instant};

use super::*;
use crate::error::{
    ClusterChanged, Error, ErrorKind, EtcdError, ServerError, Timeout, TimeoutPhase, WatchError,
};
use crate::key::prefix;
use crate::message::{Event, Watch, WatchCreate, WatchResponse};
use crate::transport::{Delivery, TransportError, TransportErrorKind};

/// A connection, its clock, and what it said.
struct Played {
    connection: WatchConnection,
    now: Instant,
    outputs: Vec<(WatchId, WatchOutput)>,
}

impl Played {
    fn new() -> Self {
        Self::in_mode(WatchMode::Duplex)
    }

    fn in_mode(mode: WatchMode) -> Self {
        Self {
            connection: WatchConnection::new(mode, WatchTimes::default(), 1 << 20),
            now: Instant::now(),
            outputs: Vec::new(),
        }
    }

    fn watch(&mut self, start: i64) -> WatchId {
        self.watch_from(start, WatchOrigin::Given)
    }

    fn watch_from(&mut self, start: i64, origin: WatchOrigin) -> WatchId {
        let create = WatchCreate::new(prefix("k/")).start_revision(start);
        self.connection.handle_create(create, origin)
    }

    fn step(&mut self) -> WatchStep {
        self.take_outputs();
        self.connection.poll_step(self.now, 0)
    }

    /// Opens the stream that the connection wants and sees the greeting through, as a server that answers requests for
    /// progress in order.
    fn open(&mut self) {
        self.open_with_answers(false);
    }

    fn open_with_answers(&mut self, at_once: bool) {
        let first = match self.step() {
            WatchStep::Open { first, .. } => first,
            step => panic!("{step:?}"),
        };
        self.connection.handle_opened(self.now);
        let first = question_id(&first);
        self.hear(refused(first, "mvcc: watcher range is empty"));
        assert!(matches!(self.sent(), Some(Watch::Progress(_))));
        let second = question_id(&self.sent().unwrap());
        if at_once {
            self.hear(progress(-1, 1));
        }
        self.hear(refused(second, "mvcc: watcher range is empty"));
    }

    /// The next message it sends, if it sends one.
    fn sent(&mut self) -> Option<Watch> {
        match self.step() {
            WatchStep::Send(message) => Some(message),
            WatchStep::Wait { .. } => None,
            step => panic!("{step:?}"),
        }
    }

    fn sent_create(&mut self) -> WatchCreate {
        match self.sent() {
            Some(Watch::Create(create)) => create,
            other => panic!("{other:?}"),
        }
    }

    /// It asks whether anybody is there, perhaps after it has asked for progress.
    fn question(&mut self) -> i64 {
        match self.sent() {
            Some(Watch::Progress(_)) => self.question(),
            sent => question_id(&sent.unwrap()),
        }
    }

    fn sent_cancel(&mut self) -> i64 {
        match self.sent() {
            Some(Watch::Cancel(cancel)) => cancel.watch_id,
            other => panic!("{other:?}"),
        }
    }

    /// A watch that is alive, and its id on the stream.
    fn live(&mut self, start: i64) -> (WatchId, i64) {
        let id = self.watch(start);
        let wire = self.sent_create().watch_id;
        self.hear(created(wire, start));
        (id, wire)
    }

    fn hear(&mut self, message: WatchResponse) {
        self.connection.handle_message(self.now, message, 0);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// What watches were told since the last time, but that they are gone.
    fn told(&mut self) -> Vec<(WatchId, WatchOutput)> {
        self.take_outputs();
        let told = std::mem::take(&mut self.outputs).into_iter();
        told.filter(|(_, output)| !matches!(output, WatchOutput::Left))
            .collect()
    }

    /// The watches that are gone since the last time anything was taken.
    fn left(&mut self) -> Vec<WatchId> {
        self.take_outputs();
        let told = std::mem::take(&mut self.outputs).into_iter();
        told.filter(|(_, output)| matches!(output, WatchOutput::Left))
            .map(|(id, _)| id)
            .collect()
    }

    fn take_outputs(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            self.outputs.push(output);
        }
    }

    /// The one error that watches were told, and by which.
    fn ended(&mut self) -> (WatchId, Error) {
        let mut ended = self.told().into_iter().filter_map(|(id, output)| match output {
            WatchOutput::Ended(error) => Some((id, error)),
            _ => None,
        });
        let (Some(first), None) = (ended.next(), ended.next()) else {
            panic!("not one end");
        };
        first
    }

    fn revisions(&mut self) -> Vec<Vec<i64>> {
        let told = self.told().into_iter();
        told.filter_map(|(_, output)| match output {
            WatchOutput::Batch(batch) => {
                Some(batch.events().iter().map(|event| event.kv.mod_revision).collect())
            }
            _ => None,
        })
        .collect()
    }

    /// The stream breaks; the next one is wanted after a pause.
    fn cut(&mut self) {
        self.connection.handle_closed(self.now, broken(), 0);
        assert!(matches!(self.step(), WatchStep::Wait { until: Some(_) }));
        self.pass(Duration::from_secs(1));
    }
}

/// Where a watch stands that is created anew.
fn position(create: &WatchCreate) -> i64 {
    create.start_revision + 1
}

fn broken() -> Error {
    TransportError::new(TransportErrorKind::Closed, Delivery::MaybeSent).into()
}

fn question_id(message: &Watch) -> i64 {
    match message {
        Watch::Create(create) if create.key == create.range_end && !create.key.is_empty() => create.watch_id,
        other => panic!("not a question: {other:?}"),
    }
}

fn response(watch_id: i64, revision: i64) -> WatchResponse {
    let mut message = WatchResponse {
        watch_id,
        ..WatchResponse::default()
    };
    message.header.revision = revision;
    message
}

fn created(watch_id: i64, revision: i64) -> WatchResponse {
    let mut message = response(watch_id, revision);
    message.created = true;
    message
}

fn progress(watch_id: i64, revision: i64) -> WatchResponse {
    response(watch_id, revision)
}

/// As 3.4, and 3.5 and newer but for 3.5.1, refuse: under the id -1.
fn refused(_: i64, reason: &str) -> WatchResponse {
    refused_under(-1, reason)
}

fn refused_under(watch_id: i64, reason: &str) -> WatchResponse {
    let mut message = created(watch_id, 1);
    message.canceled = true;
    message.cancel_reason = reason.to_owned();
    message
}

fn canceled(watch_id: i64) -> WatchResponse {
    let mut message = response(watch_id, 1);
    message.canceled = true;
    message
}

fn events(watch_id: i64, header: i64, revisions: &[i64]) -> WatchResponse {
    let mut message = response(watch_id, header);
    message.events = revisions
        .iter()
        .map(|revision| {
            let mut event = Event::default();
            event.kv.mod_revision = *revision;
            event
        })
        .collect();
    message
}

fn piece(mut message: WatchResponse) -> WatchResponse {
    message.fragment = true;
    message
}

const NO_TOKEN: &str = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";
const DENIED: &str = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";

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
fn compaction_says_where_the_watch_was_and_where_history_begins() {
    let mut played = Played::new();
    let id = played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 40));
    let mut compacted = canceled(wire);
    compacted.compact_revision = 30;
    played.hear(compacted);
    let (ended, error) = played.ended();
    assert_eq!(ended, id);
    let expected = WatchError::Compacted {
        position: 5,
        compact_revision: 30,
    };
    assert!(
        matches!(error.kind(), ErrorKind::Watch(error) if *error == expected),
        "{error}"
    );
    assert!(
        matches!(played.step(), WatchStep::Close),
        "nothing is left to watch"
    );
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
fn a_denial_under_the_watchs_own_id_may_mean_a_stale_token() {
    let mut played = Played::new();
    let id = played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(refused_under(wire, DENIED));
    let WatchStep::Read(get) = played.step() else {
        panic!("it does not ask");
    };
    assert_eq!(
        (&get.key[..], &get.range_end[..], get.limit),
        (&b"k/"[..], &b"k0"[..], 1)
    );
    played.connection.handle_read(played.now, Ok(9), 0);
    assert!(matches!(played.step(), WatchStep::Close));
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(refused_under(wire, DENIED));
    assert!(matches!(played.step(), WatchStep::Read(_)));
    let denied = ServerError::from_cancel_reason(DENIED);
    played.connection.handle_read(played.now, Err(denied.into()), 0);
    let (ended, error) = played.ended();
    assert_eq!((ended, error.etcd()), (id, Some(EtcdError::PermissionDenied)));
}

#[test]
fn a_denial_is_believed_in_the_end_even_if_reads_are_permitted() {
    let mut played = Played::new();
    played.watch(5);
    for _ in 0..2 {
        played.open();
        let wire = played.sent_create().watch_id;
        played.hear(refused_under(wire, DENIED));
        assert!(matches!(played.step(), WatchStep::Read(_)));
        played.connection.handle_read(played.now, Ok(9), 0);
        assert!(matches!(played.step(), WatchStep::Close));
    }
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(refused_under(wire, DENIED));
    assert_eq!(played.ended().1.etcd(), Some(EtcdError::PermissionDenied));
}

#[test]
fn a_stale_token_is_replaced_a_few_times_and_costs_the_other_watches_nothing() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    played.hear(events(wire, 9, &[5]));
    let stale = played.watch(5);
    played.sent_create();
    for _ in 0..2 {
        played.hear(refused(0, NO_TOKEN));
        assert!(matches!(played.step(), WatchStep::Close));
        let WatchStep::Open {
            first, stale_token, ..
        } = played.step()
        else {
            panic!("not opened again at once");
        };
        assert!(stale_token);
        played.connection.handle_opened(played.now);
        played.hear(refused(question_id(&first), "mvcc: watcher range is empty"));
        played.sent();
        let second = question_id(&played.sent().unwrap());
        played.hear(refused(second, "mvcc: watcher range is empty"));
        let create = played.sent_create();
        assert_eq!(position(&create), 6);
        played.hear(created(create.watch_id, 9));
        played.sent_create();
    }
    played.told();
    played.hear(refused(0, NO_TOKEN));
    let (id, error) = played.ended();
    assert_eq!((id, error.etcd()), (stale, Some(EtcdError::InvalidAuthToken)));
    assert_eq!(played.connection.len(), 1);
}

#[test]
fn a_server_without_a_leader_is_left_for_another() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    let no_leader = ServerError::new(crate::error::Code::Unavailable, "etcdserver: no leader");
    played.connection.handle_closed(played.now, no_leader.into(), 0);
    played.pass(Duration::from_secs(1));
    assert!(matches!(played.step(), WatchStep::Open { elsewhere: true, .. }));
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
fn a_history_that_ends_before_what_was_seen_is_reported() {
    let mut played = Played::new();
    let future = played.watch(50);
    let ahead = played.watch_from(50, WatchOrigin::Read);
    played.open();
    for _ in 0..2 {
        let wire = played.sent_create().watch_id;
        played.hear(created(wire, 9));
    }
    played.told();
    let WatchStep::Read(get) = played.step() else {
        panic!("it does not look");
    };
    assert!(get.range_end.is_empty() && !get.serializable);
    // A member that lags behind: the cluster still knows.
    played.connection.handle_read(played.now, Ok(49), 0);
    assert!(played.told().is_empty());
    assert!(played.sent().is_none());

    played.cut();
    played.open();
    for _ in 0..2 {
        let wire = played.sent_create().watch_id;
        played.hear(created(wire, 9));
    }
    assert!(matches!(played.step(), WatchStep::Read(_)));
    let timeout = Timeout::new(TimeoutPhase::Response);
    played.connection.handle_read(played.now, Err(timeout.into()), 0);
    assert!(matches!(played.step(), WatchStep::Wait { until: Some(_) }));
    played.pass(Duration::from_secs(1));
    assert!(
        matches!(played.step(), WatchStep::Read(_)),
        "it asks until it knows"
    );
    played.connection.handle_read(played.now, Ok(9), 0);
    let (id, error) = played.ended();
    assert_eq!(id, ahead);
    let expected = ClusterChanged::Revision { seen: 49, actual: 9 };
    assert!(matches!(error.kind(), ErrorKind::ClusterChanged(changed) if *changed == expected));
    assert!(
        played.connection.watches.contains_key(&future),
        "it waits for what is to come"
    );
}

#[test]
fn another_cluster_ends_every_watch() {
    let mut played = Played::new();
    played.watch(5);
    played.watch(5);
    played.open();
    let changed = ClusterChanged::ClusterId {
        expected: 1,
        actual: 2,
    };
    played.connection.handle_closed(played.now, changed.into(), 0);
    let told = played.told();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|(_, output)| matches!(
        output,
        WatchOutput::Ended(error) if matches!(error.kind(), ErrorKind::ClusterChanged(_))
    )));
    assert!(matches!(played.step(), WatchStep::Wait { until: None }));
}

#[test]
fn an_end_without_a_reason_is_believed_after_a_while() {
    let mut played = Played::new();
    played.watch(1);
    played.open();
    let mut wire = played.sent_create().watch_id;
    for revision in 1..9 {
        played.hear(created(wire, 9));
        // Events in between: it works after all.
        played.hear(events(wire, revision, &[revision]));
        played.hear(canceled(wire));
        wire = played.sent_create().watch_id;
    }
    for _ in 0..2 {
        played.hear(created(wire, 9));
        played.hear(canceled(wire));
        wire = played.sent_create().watch_id;
    }
    played.told();
    played.hear(created(wire, 9));
    played.hear(canceled(wire));
    assert_eq!(played.ended().1.etcd(), Some(EtcdError::WatchCanceled));
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
    assert_eq!(create.start_revision, 5);
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
    assert!(matches!(played.step(), WatchStep::Open { .. }));
    played.connection.handle_cancel(id);
    assert!(matches!(played.step(), WatchStep::Close));
}
