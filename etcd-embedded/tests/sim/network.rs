//! What can become of an exchange.

use std::time::Duration;

use etcd_core::transport::{Delivery, TransportErrorKind};
use etcd_embedded::sim::{Faults, World};
use etcd_embedded::{Config, Dialect};

use crate::steps::{Caller, FOO, FOO_BAR, PUT, RANGE, WATCH, WATCH_FOO, number, revision, seconds};

/// A world in which one thing always goes wrong.
fn world(seed: u64, set: impl FnOnce(&mut Faults)) -> (World, Caller) {
    let mut faults = Faults::none();
    set(&mut faults);
    let world = World::builder(seed).faults(faults).build();
    let caller = Caller::new(&world);
    (world, caller)
}

/// Whether key `foo` exists.
fn is_put(world: &World) -> bool {
    world.cluster().inspect(0, |server| server.store().revision()) > 1
}

#[test]
fn a_put_is_answered_and_read_back() {
    let (world, caller) = world(1, |_| {});
    let (put, read) = world.block_on(async {
        let put = caller.get(0, PUT, FOO_BAR).await;
        (put, caller.get(0, RANGE, FOO).await)
    });
    assert_eq!(revision(&put), 2);
    assert_eq!(read["kvs"][0]["value"], "YmFy");
    assert!(
        world.elapsed() < Duration::from_millis(10),
        "{:?}",
        world.elapsed()
    );
    assert_eq!(world.network().connection_count(), 0);
}

#[test]
fn a_refused_connection_has_sent_nothing_and_says_so() {
    let (world, caller) = world(1, |faults| faults.refuse = 1.0);
    let error = world.block_on(caller.post(0, PUT, FOO_BAR)).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect);
    assert_eq!(error.delivery(), Delivery::NotSent);
    assert_eq!(caller.mark.delivery(), Delivery::NotSent);
    assert!(!is_put(&world));
}

#[test]
fn where_nobody_answers_connecting_times_out() {
    let (world, caller) = world(1, |faults| faults.unreachable = 1.0);
    let error = world.block_on(caller.post(0, PUT, FOO_BAR)).unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::ConnectTimeout);
    assert_eq!(error.delivery(), Delivery::NotSent);
    assert_eq!(world.elapsed(), seconds(5));
}

#[test]
fn an_unknown_host_and_scheme_are_refused() {
    let (world, caller) = world(1, |_| {});
    let error = world.block_on(caller.post(7, PUT, FOO_BAR)).unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (TransportErrorKind::Connect, Delivery::NotSent)
    );
}

#[test]
fn a_lost_request_is_not_acted_on_and_may_have_been_sent() {
    let (world, caller) = world(1, |faults| faults.lose_request = 1.0);
    let error = world.block_on(caller.post(0, PUT, FOO_BAR)).unwrap_err();
    assert_eq!(error.delivery(), Delivery::MaybeSent);
    assert_eq!(caller.mark.delivery(), Delivery::MaybeSent);
    assert!(!is_put(&world));
}

#[test]
fn a_lost_response_is_that_of_a_write_that_was_made() {
    let (world, caller) = world(1, |faults| faults.lose_response = 1.0);
    let error = world.block_on(caller.post(0, PUT, FOO_BAR)).unwrap_err();
    assert_eq!(error.delivery(), Delivery::MaybeSent);
    assert!(is_put(&world));
}

#[test]
fn a_response_that_is_cut_is_an_error_and_never_an_end() {
    for seed in 0..50 {
        let (world, caller) = world(seed, |faults| faults.cut = 1.0);
        let error = world.block_on(caller.post(0, PUT, FOO_BAR)).unwrap_err();
        assert_eq!(error.delivery(), Delivery::MaybeSent);
        assert!(is_put(&world));
    }
}

#[test]
fn in_a_black_hole_nothing_arrives_and_nobody_says_so() {
    let mut made = 0;
    for seed in 0..20 {
        let (world, caller) = world(seed, |faults| faults.black_hole = 1.0);
        let silent = world.block_on(async {
            let post = std::pin::pin!(caller.post(0, PUT, FOO_BAR));
            let hour = std::pin::pin!(world.sleep(seconds(3600)));
            matches!(
                futures_util::future::select(post, hour).await,
                futures_util::future::Either::Right(_)
            )
        });
        assert!(silent);
        made += usize::from(is_put(&world));
    }
    assert!(made > 0 && made < 20, "{made}: both directions have black holes");
}

#[test]
fn a_stream_flows_both_ways_at_once() {
    let (world, caller) = world(1, |_| {});
    world.block_on(async {
        let mut watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
        assert_eq!(watch.line().await["result"]["created"], true);
        caller.get(0, PUT, FOO_BAR).await;
        assert_eq!(watch.line().await["result"]["events"][0]["kv"]["value"], "YmFy");
        watch.send(r#"{"create_request":{"key":"YQ==","watch_id":"7"}}"#);
        assert_eq!(watch.line().await["result"]["watch_id"], "7");
    });
}

#[test]
fn lines_arrive_cut_anywhere_and_whole_in_the_end() {
    let mut whole = 0;
    for seed in 0..100 {
        let (world, caller) = world(seed, |faults| faults.recut = 1.0);
        world.block_on(async {
            let mut watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
            watch.line().await;
            for round in 0..5 {
                caller.get(0, PUT, FOO_BAR).await;
                assert_eq!(revision(&watch.line().await["result"]), 2 + round);
                whole += usize::from(watch.rest().is_empty());
            }
        });
    }
    assert!(whole > 0);
}

#[test]
fn a_stream_can_end_well_without_a_word() {
    let (world, caller) = world(1, |faults| faults.end = 1.0);
    world.block_on(async {
        let mut watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
        assert_eq!(watch.line().await["result"]["created"], true);
        assert_eq!(watch.next().await.unwrap(), None);
        world.sleep(seconds(1)).await;
    });
    assert_eq!(world.cluster().watch_count(), 0);
}

#[test]
fn a_stall_delays_everything_and_loses_nothing() {
    let (world, caller) = world(1, |faults| faults.stall = 1.0);
    world.block_on(async {
        let mut watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
        for _ in 0..5 {
            caller.get(0, PUT, FOO_BAR).await;
        }
        watch.line().await;
        for revision in 2..7 {
            assert_eq!(
                number(&watch.line().await["result"]["header"]["revision"]),
                revision
            );
        }
    });
    assert!(world.elapsed() > seconds(5), "{:?}", world.elapsed());
}

#[test]
fn a_dropped_response_leaves_nothing_behind() {
    let (world, caller) = world(1, |_| {});
    world.block_on(async {
        let watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
        assert_eq!(world.cluster().watch_count(), 1);
        drop(watch);
        world.sleep(seconds(1)).await;
    });
    assert_eq!(world.cluster().watch_count(), 0);
    assert_eq!(world.network().connection_count(), 0);
}

#[test]
fn a_server_may_keep_a_watch_whose_client_went_away_until_it_writes_to_it() {
    let (world, caller) = world(1, |faults| faults.linger = 1.0);
    world.block_on(async {
        drop(caller.open(0, WATCH, WATCH_FOO).await.unwrap());
        world.sleep(Duration::from_millis(100)).await;
        assert_eq!(world.cluster().watch_count(), 1);
        caller.get(0, PUT, FOO_BAR).await;
        world.sleep(Duration::from_millis(100)).await;
        assert_eq!(world.cluster().watch_count(), 0);
    });
}

#[test]
fn one_client_can_be_cut_off_and_others_not() {
    let (world, caller) = world(1, |_| {});
    let other = Caller::new(&world);
    world.block_on(async {
        caller.transport.refuse();
        let error = caller.post(0, PUT, FOO_BAR).await.unwrap_err();
        assert_eq!(error.delivery(), Delivery::NotSent);
        other.get(0, PUT, FOO_BAR).await;
        caller.transport.restore();
        caller.get(0, PUT, FOO_BAR).await;
    });
}

#[test]
fn a_connection_survives_a_silence_that_ends() {
    let (world, caller) = world(1, |_| {});
    let other = Caller::new(&world);
    world.block_on(async {
        let mut watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
        watch.line().await;
        caller.transport.silence();
        other.get(0, PUT, FOO_BAR).await;
        assert_eq!(watch.line_within(&world, seconds(60)).await, None);
        caller.transport.restore();
        assert_eq!(revision(&watch.line().await["result"]), 2);
    });
}

#[test]
fn nothing_overtakes_what_was_on_its_way_when_a_silence_began() {
    let (world, caller) = world(1, |_| {});
    let other = Caller::new(&world);
    world.block_on(async {
        let mut watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
        watch.line().await;
        caller.transport.silence();
        other.get(0, PUT, FOO_BAR).await;
        world.sleep(seconds(1)).await;
        let mut faults = Faults::none();
        (faults.min_latency, faults.max_latency) = (seconds(1), seconds(1));
        caller.transport.set_faults(faults);
        other.get(0, PUT, FOO_BAR).await;
        // The second event is under way when the silence turns into something else.
        caller.transport.refuse();
        assert_eq!(revision(&watch.line().await["result"]), 2);
        assert_eq!(revision(&watch.line().await["result"]), 3);
    });
}

#[test]
fn cutting_all_connections_breaks_them_and_releases_what_they_held() {
    let (world, caller) = world(1, |_| {});
    world.block_on(async {
        let mut watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
        watch.line().await;
        world.network().cut_all();
        let error = watch.next().await.unwrap_err();
        assert_eq!(error.delivery(), Delivery::MaybeSent);
        world.sleep(seconds(1)).await;
        assert_eq!(world.cluster().watch_count(), 0);
    });
}

#[test]
fn a_stopped_server_takes_requests_and_answers_them_when_it_goes_on() {
    let (world, caller) = world(1, |_| {});
    world.block_on(async {
        world.cluster().stop(0);
        let put = caller.clone();
        world.spawn(async move { drop(put.get(0, PUT, FOO_BAR).await) });
        world.sleep(seconds(30)).await;
        assert!(!is_put(&world));
        world.cluster().resume(0);
        world.sleep(seconds(1)).await;
        assert!(is_put(&world));
    });
}

#[test]
fn a_crashed_server_breaks_connections_refuses_new_ones_and_keeps_its_data() {
    let (world, caller) = world(1, |_| {});
    world.block_on(async {
        let mut watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
        watch.line().await;
        caller.get(0, PUT, FOO_BAR).await;
        watch.line().await;
        world.cluster().crash(0);
        watch.next().await.unwrap_err();
        let error = caller.post(0, RANGE, FOO).await.unwrap_err();
        assert_eq!(error.delivery(), Delivery::NotSent);
        world.cluster().restart(0);
        assert_eq!(caller.get(0, RANGE, FOO).await["kvs"][0]["value"], "YmFy");
        assert_eq!(world.cluster().watch_count(), 0);
    });
}

#[test]
fn a_server_that_is_shut_down_says_so_to_every_stream() {
    let (world, caller) = world(1, |_| {});
    world.block_on(async {
        let mut watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
        watch.line().await;
        world.cluster().shut_down(0);
        assert_eq!(
            watch.line().await["error"]["message"],
            "error reading from server: EOF"
        );
        assert_eq!(watch.next().await.unwrap(), None);
        caller.post(0, RANGE, FOO).await.unwrap_err();
        world.cluster().restart(0);
        caller.get(0, RANGE, FOO).await;
    });
}

#[test]
fn while_clients_are_suspended_the_server_goes_on() {
    let (world, caller) = world(1, |_| {});
    world.block_on(async {
        caller.get(0, "/v3/lease/grant", r#"{"TTL":"5","ID":"7"}"#).await;
        caller.get(0, PUT, r#"{"key":"Zm9v","lease":"7"}"#).await;
        let mut watch = caller.open(0, WATCH, WATCH_FOO).await.unwrap();
        watch.line().await;
        let before = world.now();
        world.suspend_clients(seconds(60));
        // What arrived in the meantime is there at once.
        assert_eq!(watch.line().await["result"]["events"][0]["type"], "DELETE");
        assert!(world.now() - before >= seconds(60));
    });
}

#[test]
fn a_leap_makes_everything_late() {
    let (world, caller) = world(1, |_| {});
    world.block_on(async {
        caller.get(0, "/v3/lease/grant", r#"{"TTL":"5","ID":"7"}"#).await;
        let sleep = world.sleep(seconds(10));
        let before = world.now();
        world.leap(seconds(60));
        sleep.await;
        assert!(world.now() - before >= seconds(60));
        let leases = caller.get(0, "/v3/lease/leases", "{}").await;
        assert!(leases["leases"].is_null(), "{leases}");
    });
}

/// Errors of a stream come as its dialect writes them.
#[test]
fn a_world_speaks_the_dialect_it_is_told_to() {
    for dialect in Dialect::ALL {
        let config = Config::new().dialect(dialect);
        let world = World::builder(1).config(config).build();
        let caller = Caller::new(&world);
        let answer = world
            .block_on(caller.post(0, "/v3/kv/compaction", r#"{"revision":"9"}"#))
            .unwrap();
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body["error"].is_string(), dialect != Dialect::G2);
    }
}
