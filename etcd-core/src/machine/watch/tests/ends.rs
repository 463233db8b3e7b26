//! What a server may end a watch for, and how far it is believed.

use std::time::Duration;

use super::super::{ConnectionStatus, WatchOrigin, WatchOutput, WatchStep};
use super::played::{
    DENIED, NO_TOKEN, Played, canceled, created, events, position, progress, question_id, refused,
    refused_under,
};
use crate::error::{ClusterChanged, ErrorKind, EtcdError, ServerError, Timeout, TimeoutPhase, WatchError};

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
fn a_watch_whose_history_is_gone_is_cancelled_on_the_server_which_keeps_it() {
    let mut played = Played::new();
    played.watch(5);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 40));
    let (other, other_wire) = played.live(41);
    let mut compacted = canceled(wire);
    compacted.compact_revision = 30;
    played.hear(compacted);
    played.ended();
    assert_eq!(played.sent_cancel(), wire);
    // It says so once more, and that is not about anybody.
    played.hear(canceled(wire));
    played.hear(events(other_wire, 41, &[41]));
    assert!(matches!(&played.told()[..], [(id, WatchOutput::Batch(_))] if *id == other));
    assert!(played.sent().is_none());
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
    let ConnectionStatus::Connecting {
        cause: Some(cause), ..
    } = played.connection.status()
    else {
        panic!("it is opened anew");
    };
    assert_eq!(cause.etcd(), Some(EtcdError::InvalidAuthToken));
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
fn a_watch_that_was_told_nothing_yet_notices_a_lost_history_as_well() {
    let learned_from: [fn(&mut Played, i64); 2] = [
        |played, wire| played.hear(created(wire, 1000)),
        |played, wire| {
            // Of a member that was behind.
            played.hear(created(wire, 900));
            played.hear(progress(wire, 1000));
        },
    ];
    for learn in learned_from {
        let mut played = Played::new();
        let id = played.watch(1001);
        played.open();
        let wire = played.sent_create().watch_id;
        learn(&mut played, wire);
        played.cut();
        played.open();
        let wire = played.sent_create().watch_id;
        played.hear(created(wire, 800));
        assert!(matches!(played.step(), WatchStep::Read(_)));
        played.connection.handle_read(played.now, Ok(800), 0);
        let (ended, error) = played.ended();
        assert_eq!(ended, id);
        let expected = ClusterChanged::Revision {
            seen: 1000,
            actual: 800,
        };
        assert!(
            matches!(error.kind(), ErrorKind::ClusterChanged(changed) if *changed == expected),
            "{error}"
        );
    }
}

#[test]
fn what_a_watch_in_the_future_waits_for_was_not_seen() {
    let mut played = Played::new();
    played.watch(1001);
    for revision in [900, 800] {
        played.open();
        let wire = played.sent_create().watch_id;
        played.hear(created(wire, revision));
        assert!(played.sent().is_none());
        played.cut();
    }
}

#[test]
fn one_read_does_for_all_watches_that_a_stale_token_was_denied() {
    let mut played = Played::new();
    for start in [5, 6, 7] {
        played.watch(start);
    }
    played.open();
    let wires: Vec<_> = (0..3).map(|_| played.sent_create().watch_id).collect();
    for wire in wires {
        played.hear(refused_under(wire, DENIED));
    }
    assert!(matches!(played.step(), WatchStep::Read(_)));
    played.connection.handle_read(played.now, Ok(9), 0);
    assert!(matches!(played.step(), WatchStep::Close));
    played.open();
    for start in [5, 6, 7] {
        assert_eq!(position(&played.sent_create()), start);
    }
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
fn a_client_that_logs_in_outlives_any_number_of_stale_tokens() {
    let mut played = Played::logging_in();
    let id = played.watch(5);
    for round in 0..20 {
        played.open_after_pause();
        let wire = played.sent_create().watch_id;
        if round < 6 && round % 2 == 0 {
            played.hear(refused_under(wire, DENIED));
            assert!(matches!(played.step(), WatchStep::Read(_)));
            let stale = ServerError::from_cancel_reason(NO_TOKEN);
            played.connection.handle_read(played.now, Err(stale.into()), 0);
            let WatchStep::Wait { until: Some(until) } = played.step() else {
                panic!("it does not pause");
            };
            played.now = until;
            assert!(matches!(played.step(), WatchStep::Read(_)));
            played.connection.handle_read(played.now, Ok(9), 0);
        } else {
            played.hear(refused(wire, NO_TOKEN));
        }
        assert!(matches!(played.step(), WatchStep::Close));
    }
    played.open_after_pause();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    played.hear(events(wire, 9, &[5]));
    assert_eq!(played.connection.len(), 1, "{id:?} lives");
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
fn a_read_that_began_before_more_was_seen_need_not_show_it() {
    let mut played = Played::new();
    played.watch_from(5, WatchOrigin::Resumed);
    played.open();
    let wire = played.sent_create().watch_id;
    played.hear(created(wire, 9));
    let denied = played.watch(5);
    let denied_wire = played.sent_create().watch_id;
    played.hear(refused_under(denied_wire, DENIED));
    assert!(
        matches!(played.step(), WatchStep::Read(_)),
        "{denied:?} is checked"
    );
    played.hear(events(wire, 12, &[10, 12]));
    played.connection.handle_read(played.now, Ok(9), 0);
    assert_eq!(played.connection.len(), 2);
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
