//! Watches.

use std::time::Duration;

use etcd_core::key::prefix;
use etcd_core::message::*;
use etcd_embedded::{Config, Dialect};

use super::world::{SECOND, World, events};

#[test]
fn a_revision_arrives_whole_and_at_once() {
    let mut world = World::new();
    let watch = world.watch(WatchCreate::new(prefix("k")));
    assert!(world.heard(watch)[0].created);
    world
        .call(Txn::new().then([Put::new("k1", ""), Put::new("other", ""), Put::new("k2", "")]))
        .unwrap();
    assert_eq!(events(&world.heard(watch)), [["k1@2", "k2@2"]]);
}

#[test]
fn a_watch_from_the_past_catches_up_and_then_goes_on() {
    let mut world = World::new();
    for _ in 0..4 {
        world.put("k", "");
    }
    let watch = world.watch(WatchCreate::new("k").start_revision(3));
    assert_eq!(
        world.heard(watch).len(),
        1,
        "the events come later than the creation"
    );
    world.put("k", "");
    world.pass(SECOND);
    assert_eq!(events(&world.heard(watch)), [["k@3", "k@4", "k@5", "k@6"]]);
    world.put("k", "");
    assert_eq!(events(&world.heard(watch)), [["k@7"]]);
}

#[test]
fn catching_up_takes_at_most_a_thousand_revisions_a_message_and_splits_none() {
    let mut world = World::new();
    for _ in 0..1500 {
        world
            .call(Txn::new().then([Put::new("k1", ""), Put::new("k2", "")]))
            .unwrap();
    }
    let watch = world.watch(WatchCreate::new(prefix("k")).start_revision(2));
    world.pass(SECOND);
    let messages = world.heard(watch);
    let sizes: Vec<_> = messages
        .iter()
        .skip(1)
        .map(|message| message.events.len())
        .collect();
    assert_eq!(sizes, [2000, 1000]);
    assert_eq!(messages[1].events.last().unwrap().kv.mod_revision, 1001);
    assert_eq!(messages[2].events[0].kv.mod_revision, 1002);
}

#[test]
fn a_watch_from_the_future_is_silent_until_then() {
    let mut world = World::new();
    let watch = world.watch(WatchCreate::new("k").start_revision(4));
    world.heard(watch);
    for _ in 0..3 {
        world.put("k", "");
    }
    assert_eq!(events(&world.heard(watch)), [["k@4"]]);
}

#[test]
fn a_watch_from_the_future_is_told_of_progress_before_it_starts_by_older_servers() {
    for (dialect, told) in [
        (Dialect::G1_6, true),
        (Dialect::G1_16, true),
        (Dialect::G2, false),
    ] {
        let config = Config::new().watch_progress_notify_interval(SECOND);
        let mut world = World::with(config.dialect(dialect));
        let watch = world.watch(WatchCreate::new("k").start_revision(100).progress_notify());
        world.heard(watch);
        world.pass(3 * SECOND);
        assert_eq!(!world.heard(watch).is_empty(), told, "{dialect:?}");
    }
}

#[test]
fn a_watch_from_compacted_history_is_cancelled_and_the_stream_lives_on() {
    let mut world = World::new();
    for _ in 0..4 {
        world.put("k", "");
    }
    world.call(Compact::new(4)).unwrap();
    let watch = world.watch(WatchCreate::new("k").start_revision(3).watch_id(6));
    world.say(watch, WatchCreate::new("k").start_revision(4).watch_id(7));
    world.pass(SECOND);
    let messages = world.heard(watch);
    let cancelled: Vec<_> = messages.iter().filter(|message| message.canceled).collect();
    assert_eq!(cancelled.len(), 1);
    assert_eq!((cancelled[0].watch_id, cancelled[0].compact_revision), (6, 4));
    assert_eq!(events(&messages), [["k@4", "k@5"]]);
}

#[test]
fn a_watch_that_ended_for_a_compaction_keeps_its_id_and_holds_progress_back_until_it_is_cancelled() {
    let mut world = World::new();
    for _ in 0..4 {
        world.put("k", "");
    }
    world.call(Compact::new(4)).unwrap();
    let watch = world.watch(WatchCreate::new("k").start_revision(3).watch_id(6));
    world.pass(SECOND);
    assert!(world.heard(watch).iter().any(|message| message.canceled));

    world.say(watch, WatchCreate::new("k").watch_id(6));
    let refused = world.heard(watch).remove(0);
    assert!(refused.canceled && refused.watch_id == -1, "{refused:?}");
    world.say(watch, WatchCreate::new("k").watch_id(7));
    world.heard(watch);
    world.say(watch, WatchProgress::default());
    assert_eq!(world.heard(watch), []);

    world.say(watch, WatchCancel::new(6));
    assert!(world.heard(watch).remove(0).canceled);
    world.say(watch, WatchProgress::default());
    assert_eq!(world.heard(watch).len(), 1);
    assert_eq!(world.server.watch_count(), 1);
}

#[test]
fn a_negative_start_revision_lies_after_all_history_or_before_all_compactions() {
    let mut world = World::with(Config::new().dialect(Dialect::G1_16));
    world.put("k", "1");
    let watch = world.watch(WatchCreate::new("k").start_revision(-1));
    let ended = world.watch(WatchCreate::new("k").start_revision(-2));
    world.pass(SECOND);
    world.put("k", "2");
    assert_eq!(events(&world.heard(watch)), [["k@3"]]);
    assert_eq!(
        world.heard(ended).last().map(|last| last.compact_revision),
        Some(-1)
    );

    world.call(Compact::new(3)).unwrap();
    let watch = world.watch(WatchCreate::new("k").start_revision(-1));
    world.pass(SECOND);
    assert_eq!(
        world.heard(watch).last().map(|last| last.compact_revision),
        Some(3)
    );
}

#[test]
fn deletions_at_the_compacted_revision_are_seen_where_servers_keep_them() {
    for (dialect, seen) in [(Dialect::G1_6, 0), (Dialect::G1_16, 0), (Dialect::G2, 1)] {
        let mut world = World::with(Config::new().dialect(dialect));
        world.put("k", "");
        world.call(Delete::new("k")).unwrap();
        world.call(Compact::new(3)).unwrap();
        let watch = world.watch(WatchCreate::new("k").start_revision(3));
        world.pass(SECOND);
        assert_eq!(events(&world.heard(watch)).len(), seen, "{dialect:?}");
    }
}

#[test]
fn filters_and_previous_pairs_are_as_asked_for() {
    let mut world = World::new();
    let deletions = world.watch(WatchCreate::new("k").filter(WatchFilter::NoPut).prev_kv());
    let puts = world.watch(WatchCreate::new("k").filter(WatchFilter::NoDelete).prev_kv());
    world.put("k", "1");
    world.put("k", "2");
    world.call(Delete::new("k")).unwrap();
    world.put("k", "3");
    let heard = world.heard(deletions);
    assert_eq!(events(&heard), [["-k@4"]]);
    assert_eq!(heard[1].events[0].prev_kv.as_ref().unwrap().value, "2");
    let heard = world.heard(puts);
    assert_eq!(events(&heard), [["k@2"], ["k@3"], ["k@5"]]);
    let previous: Vec<_> = heard[1..]
        .iter()
        .map(|message| message.events[0].prev_kv.is_some())
        .collect();
    assert_eq!(
        previous,
        [false, true, false],
        "only an update has something before it"
    );
}

#[test]
fn progress_is_told_at_intervals_unless_there_was_news() {
    let mut world = World::with(Config::new().watch_progress_notify_interval(10 * SECOND));
    let mut create = WatchCreate::new("k").progress_notify();
    create.watch_id = 5;
    let watch = world.watch(create);
    world.put("other", "");
    world.heard(watch);
    world.pass(11 * SECOND);
    let heard = world.heard(watch);
    assert_eq!(heard.len(), 1);
    assert_eq!(
        (heard[0].watch_id, heard[0].header.revision, heard[0].events.len()),
        (5, 2, 0)
    );

    world.put("k", "");
    world.pass(9 * SECOND);
    assert_eq!(world.heard(watch).len(), 1, "only the event");
}

#[test]
fn asking_for_progress_waits_for_everyone_on_the_stream_where_servers_do() {
    for (dialect, answers) in [(Dialect::G1_16, 1), (Dialect::G2, 0)] {
        let mut world = World::with(Config::new().dialect(dialect));
        world.put("k", "");
        let watch = world.watch(WatchCreate::new("k").start_revision(2));
        world.say(watch, WatchProgress::default());
        let heard = world.heard(watch);
        assert_eq!(
            heard.iter().filter(|message| message.watch_id == -1).count(),
            answers,
            "{dialect:?}"
        );
        world.pass(SECOND);
        world.say(watch, WatchProgress::default());
        assert_eq!(world.heard(watch).last().unwrap().watch_id, -1);
    }
}

#[test]
fn ids_are_given_in_order_around_those_that_were_chosen() {
    let mut world = World::new();
    let watch = world.watch(WatchCreate::new("a"));
    for create in [
        WatchCreate::new("b").watch_id(1),
        WatchCreate::new("c"),
        WatchCreate::new("d").watch_id(2),
    ] {
        world.say(watch, create);
    }
    let heard: Vec<_> = world
        .heard(watch)
        .iter()
        .map(|message| (message.watch_id, message.canceled))
        .collect();
    assert_eq!(heard, [(0, false), (1, false), (2, false), (-1, true)]);
}

#[test]
fn a_client_that_goes_away_leaves_no_watch_behind() {
    let mut world = World::new();
    let watch = world.watch(WatchCreate::new("k"));
    world.say(watch, WatchCreate::new(prefix("k")).start_revision(1));
    assert_eq!((world.heard(watch).len(), world.server.watch_count()), (2, 2));
    assert_eq!(world.server.watch_stream_count(), 1);
    world.leave(watch);
    assert_eq!((world.server.watch_count(), world.server.call_count()), (0, 0));
    assert_eq!(world.server.watch_stream_count(), 0);
    world.put("k", "");
    world.pass(SECOND);
    assert!(world.told(watch).is_empty());
}

#[test]
fn a_denied_create_of_3_5_1_silences_the_watch_whose_id_it_bears() {
    let mut world = World::with(Config::new().dialect(Dialect::G1_16));
    super::auth::enable(&mut world);
    world.token = Some(super::auth::login(&mut world, "ann"));
    let watch = world.watch(WatchCreate::new("ann/1"));
    world.say(watch, WatchCreate::new("secret"));
    let heard = world.heard(watch);
    assert_eq!(
        (heard[1].watch_id, heard[1].created, heard[1].canceled),
        (0, true, true)
    );
    world.put("ann/1", "");
    world.pass(Duration::from_secs(1));
    assert!(world.heard(watch).is_empty());
}
