//! What a watch tells when everything around it fails: what it tells while nothing does.

use std::thread;
use std::time::Duration;

use anyetcd::error::{ClusterChanged, WatchError};
use anyetcd::message::Event;
use anyetcd::{BufferLimits, BufferPolicy, Client, ErrorKind, EtcdError, Runtime as _, Watch, WatchStatus, prefix};
use etcd_process::Cluster;

use super::auth::{LOGINS, tokens_expire, with_auth};
use super::watch::{events, next, values};
use super::watch_fallback::ENOUGH_TO_FALL_BACK;
use super::{Proxy, Server, World, eventually, written};

/// Notices silence after 1.5 s.
fn impatient(urls: &[&str]) -> Client {
    World::builder()
        .endpoints(urls.iter().copied())
        .watch_idle_timeout(Duration::from_secs(1))
        .attempt_timeout(Duration::from_secs(1))
        .build()
        .unwrap()
}

async fn put(client: &Client, key: &str, value: impl ToString) -> i64 {
    client.put(key, value.to_string()).await.unwrap().header.revision
}

/// Does something that blocks, away from the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = futures_channel::oneshot::channel();
    thread::spawn(move || drop(done.send(work())));
    is_done.await.unwrap()
}

/// `n`, `n + 1`, … without a gap.
fn are_numbered_from(events: &[Event], first: usize) -> bool {
    let numbers = events.iter().map(|event| event.kv.value_str().unwrap().parse::<usize>().unwrap());
    numbers.eq(first..first + events.len())
}

pub(crate) async fn what_was_written_while_the_connection_was_cut_is_told(world: World) {
    let proxy = Proxy::new(world.server().client_addr());
    let client = impatient(&[&proxy.url()]);
    let key = world.key("k");
    let mut watch = client.watch(&key).await.unwrap();
    let mut written = 0;
    for round in 0..10 {
        for _ in 0..20 {
            put(&world.client, &key, written).await;
            written += 1;
        }
        proxy.cut();
        if round % 2 == 0 {
            // Cut again while it comes back.
            proxy.cut_answers(2);
        }
    }
    let told = events(&mut watch, written).await;
    assert!(are_numbered_from(&told, 0));
    // The last of them may have come right before a cut.
    eventually("it is connected", || async {
        matches!(watch.status(), WatchStatus::Connected { .. }).then_some(())
    })
    .await;
}

pub(crate) async fn a_server_may_be_killed_and_restarted_under_a_watch(world: World) {
    let mut server = world.own_server();
    let client = World::client_of(&server);
    let mut watch = client.watch("k").await.unwrap();
    for round in 0..3 {
        put(&client, "k", 2 * round).await;
        server = blocking(move || {
            if round == 1 {
                server.kill();
            }
            server.restart();
            server
        })
        .await;
        put(&client, "k", 2 * round + 1).await;
    }
    assert!(are_numbered_from(&events(&mut watch, 6).await, 0));
}

pub(crate) async fn a_silent_server_is_left_and_found_again(world: World) {
    let mut server = world.own_server();
    let client = impatient(&[server.client_url()]);
    let mut watch = client.watch("k").await.unwrap();
    put(&client, "k", 0).await;
    assert!(are_numbered_from(&events(&mut watch, 1).await, 0));
    server.freeze();
    eventually("the silence is noticed", || async {
        matches!(watch.status(), WatchStatus::Connecting { cause: Some(_), .. }).then_some(())
    })
    .await;
    server.thaw();
    put(&World::client_of(&server), "k", 1).await;
    let told = next(&mut watch).await;
    assert!(are_numbered_from(told.events(), 1));
}

pub(crate) async fn a_quiet_server_is_not_taken_for_a_dead_one(world: World) {
    let proxy = Proxy::new(world.server().client_addr());
    let client = World::builder()
        .endpoint(proxy.url())
        .watch_idle_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let watch = client.watch(world.key("k")).await.unwrap();
    // A client that took silence for death would have no connection older than 1.5 s, ever. That one may now and then not get
    // its answer in time, on a machine that is busy with other behaviours, is no such client.
    let old_enough = Duration::from_secs(5);
    eventually("a connection outlives its silence", || async {
        let WatchStatus::Connected { since } = watch.status() else {
            return None;
        };
        (crate::harness::runtime().now().duration_since(since) >= old_enough).then_some(())
    })
    .await;
}

pub(crate) async fn members_may_be_killed_in_turn_under_a_watch(world: World) {
    let mut cluster = Cluster::start(world.dialect, 3);
    let urls: Vec<String> = cluster.client_urls().iter().map(ToString::to_string).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let client = impatient(&urls);
    let mut watch = client.watch("k").await.unwrap();
    let mut written = 0;
    for member in 0..3 {
        for phase in 0..2 {
            if phase == 0 {
                cluster.member_mut(member).kill();
            } else {
                cluster = blocking(move || {
                    cluster.member_mut(member).restart();
                    cluster
                })
                .await;
            }
            // Guarded by its number, so that it may be tried again.
            let before = written.to_string();
            written += 1;
            eventually("a put succeeds", || async {
                let number = written.to_string();
                let put = client.put("k", &number).if_value(&before);
                let first = written == 1;
                let result = if first {
                    client.put("k", &number).if_absent().await.map(drop)
                } else {
                    put.await.map(drop)
                };
                result.ok()
            })
            .await;
        }
    }
    let mut told = Vec::new();
    while told.last() != Some(&written) {
        let batch = next(&mut watch).await;
        told.extend(values(batch.events()).iter().map(|value| value.parse::<i32>().unwrap()));
    }
    assert!(told.iter().copied().eq(1..=written), "{told:?}");
}

pub(crate) async fn a_member_without_a_leader_is_left_for_one_that_has_one(world: World) {
    let mut cluster = Cluster::start(world.dialect, 3);
    let urls: Vec<String> = cluster.client_urls().iter().map(ToString::to_string).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let client = impatient(&urls);
    let mut watch = client.watch("k").await.unwrap();
    // Guarded, so that it may be tried again: one that failed may have been applied.
    written("a put", || client.put("k", "0").if_absent()).await;
    assert!(are_numbered_from(&events(&mut watch, 1).await, 0));
    cluster.member_mut(1).kill();
    cluster.member_mut(2).kill();
    // The survivor says that it has no leader: the watch does not wait there in silence.
    eventually("the loss of the quorum is noticed", || async {
        matches!(watch.status(), WatchStatus::Connecting { .. }).then_some(())
    })
    .await;
    let cluster = blocking(move || {
        cluster.member_mut(1).spawn();
        cluster.member_mut(2).restart();
        cluster
    })
    .await;
    eventually("a put succeeds", || async {
        let put = client.put("k", "1").if_value("0").await;
        put.ok()
    })
    .await;
    assert!(are_numbered_from(&events(&mut watch, 1).await, 1));
    drop(cluster);
}

pub(crate) async fn compaction_ends_a_watch_that_needed_what_is_gone_and_no_other(world: World) {
    let server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let (direct, client) = (World::client_of(&server), impatient(&[&proxy.url()]));
    let first = put(&direct, "k", 0).await;
    let last = put(&direct, "k", 1).await;
    direct.compact(last).await.unwrap();
    let mut watch = client.watch("k").start_revision(first).await.unwrap();
    let mut other = client.watch("k").await.unwrap();
    let error = watch.try_next().await.unwrap_err();
    match error.kind() {
        ErrorKind::Watch(WatchError::Compacted {
            position,
            compact_revision,
        }) => assert_eq!((*position, *compact_revision), (first, last)),
        kind => panic!("{kind:?}"),
    }
    assert!(watch.try_next().await.unwrap().is_none(), "nothing follows");
    put(&direct, "k", 2).await;
    assert!(are_numbered_from(&events(&mut other, 1).await, 2));

    // While it was away.
    proxy.cut_answers(1000);
    proxy.cut();
    for number in 3..6 {
        put(&direct, "k", number).await;
    }
    let compacted = put(&direct, "k", 6).await;
    direct.compact(compacted).await.unwrap();
    proxy.cut_answers(0);
    let error = other.try_next().await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Watch(WatchError::Compacted { compact_revision, .. }) if *compact_revision == compacted),
        "{error:?}"
    );
}

fn app(url: &str) -> Client {
    let builder = World::builder().endpoint(url).credentials("app", "app-1");
    builder.build().unwrap()
}

pub(crate) async fn a_denied_watch_is_told_so_and_others_go_on(world: World) {
    let server = world.own_server();
    with_auth(&server).await;
    let client = app(server.client_url());
    let mut watch = client.watch(prefix("app/")).await.unwrap();
    for _ in 0..2 {
        // Its first key is permitted, the rest is not; and nothing of it.
        for range in [("app/", "b"), ("other", "p")] {
            let error = client.watch(range.0..range.1).await.unwrap_err();
            assert_eq!(error.etcd(), Some(EtcdError::PermissionDenied), "{error:?}");
            let error = watch.handle().add(range.0..range.1).await.unwrap_err();
            assert_eq!(error.etcd(), Some(EtcdError::PermissionDenied), "{error:?}");
            assert_eq!(error.keys(), Some(&(range.0..range.1).into()));
        }
    }
    put(&client, "app/k", 0).await;
    assert!(are_numbered_from(&events(&mut watch, 1).await, 0));
    assert_eq!(watch.handle().keys(), [prefix("app/")]);
}

pub(crate) async fn a_new_watch_finds_that_the_token_of_the_connection_has_expired(world: World) {
    let ttl = Duration::from_secs(1);
    let server = Server::builder(world.dialect).auth_token_ttl(ttl).start();
    with_auth(&server).await;
    let client = app(server.client_url());
    let mut first = client.watch("app/1").await.unwrap();
    tokens_expire(&server, ttl).await;
    // The read that finds its start logs in, and the stream's token stays the old one.
    let mut second = client.watch("app/2").start_revision(1).await.unwrap();
    for key in ["app/1", "app/2"] {
        put(&client, key, 0).await;
    }
    assert!(are_numbered_from(&events(&mut first, 1).await, 0));
    assert!(are_numbered_from(&events(&mut second, 1).await, 0));
}

pub(crate) async fn a_watch_that_is_cut_off_after_its_token_expired_goes_on_with_another(world: World) {
    let ttl = Duration::from_secs(1);
    let server = Server::builder(world.dialect).auth_token_ttl(ttl).start();
    with_auth(&server).await;
    let proxy = Proxy::new(server.client_addr());
    let client = app(&proxy.url());
    let mut watch = client.watch("app/k").await.unwrap();
    put(&app(server.client_url()), "app/k", 0).await;
    assert!(are_numbered_from(&events(&mut watch, 1).await, 0));
    tokens_expire(&server, ttl).await;
    // Nothing but the watch itself can find that out: its client does nothing else.
    let direct = app(server.client_url());
    put(&direct, "app/k", 1).await;
    assert!(are_numbered_from(&events(&mut watch, 1).await, 1));
    let logins = server.metric(LOGINS).unwrap();
    proxy.cut();
    put(&direct, "app/k", 2).await;
    assert!(are_numbered_from(&events(&mut watch, 1).await, 2));
    assert!(server.metric(LOGINS).unwrap() > logins, "it goes on with its old token");
}

pub(crate) async fn where_streams_get_no_answer_each_watch_has_a_request_of_its_own(world: World) {
    let server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    proxy.hold_requests();
    let client = World::builder().endpoint(proxy.url()).build().unwrap();
    let direct = World::client_of(&server);
    let mut first = client.watch("1").timeout(ENOUGH_TO_FALL_BACK).await.unwrap();
    let mut second = client.watch("2").timeout(ENOUGH_TO_FALL_BACK).await.unwrap();
    for number in 0..3 {
        for key in ["1", "2"] {
            put(&direct, key, number).await;
        }
        assert!(are_numbered_from(&events(&mut first, 1).await, number));
        assert!(are_numbered_from(&events(&mut second, 1).await, number));
        proxy.cut();
    }
    let error = first.progress().await;
    assert!(error.is_ok() || matches!(error.unwrap_err().kind(), ErrorKind::Watch(WatchError::ProgressUnknown)));
    drop((first, second));
    server.wait_for_metric("etcd_debugging_mvcc_watcher_total", |count| count == 0.0);
}

pub(crate) async fn another_cluster_and_a_lost_history_are_reported_and_not_waited_out(world: World) {
    let mut server = world.own_server();
    let other = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let client = impatient(&[&proxy.url()]);
    let mut watch = client.watch("k").await.unwrap();
    for number in 0..5 {
        put(&client, "k", number).await;
    }
    events(&mut watch, 5).await;
    proxy.lead_to(other.client_addr());
    let error = watch.try_next().await.unwrap_err();
    let kind = error.kind();
    assert!(
        matches!(kind, ErrorKind::ClusterChanged(ClusterChanged::ClusterId { .. })),
        "{kind:?}"
    );

    let client = impatient(&[server.client_url()]);
    let mut watch = client.watch("k").await.unwrap();
    put(&client, "k", 5).await;
    events(&mut watch, 1).await;
    let server = blocking(move || {
        server.restart_without_data();
        server
    })
    .await;
    let error = watch.try_next().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ClusterChanged(_)), "{error:?}");
    drop(server);
}

/// Waits until a watch is told of each write by itself. One that begins behind, as others write to the server too, is told
/// of all that it missed in one batch, and for one batch there is always room.
async fn catch_up(world: &World, watch: &mut Watch) {
    put(&world.client, &world.key("k"), "before").await;
    assert_eq!(values(&events(watch, 1).await), ["before"]);
}

/// Writes `count` events, none of which is taken.
async fn fill(world: &World, count: usize) -> usize {
    for number in 0..count {
        put(&world.client, &world.key("k"), number).await;
    }
    count
}

pub(crate) async fn a_watch_without_room_waits_and_holds_nobody_up(world: World) {
    let client = World::client_of(world.server());
    let limits = BufferLimits {
        events: 10,
        bytes: usize::MAX,
    };
    let mut slow = client.watch(world.key("k")).buffer_limits(limits).await.unwrap();
    let mut fast = client.watch(world.key("k")).await.unwrap();
    let written = fill(&world, 200).await;
    assert!(are_numbered_from(&events(&mut fast, written).await, 0));
    assert!(are_numbered_from(&events(&mut slow, written).await, 0));
    put(&world.client, &world.key("k"), written).await;
    assert!(are_numbered_from(&events(&mut slow, 1).await, written));
}

pub(crate) async fn a_watch_without_room_ends_with_the_position_to_go_on_from(world: World) {
    let client = World::client_of(world.server());
    let limits = BufferLimits {
        events: 10,
        bytes: usize::MAX,
    };
    let call = client.watch(world.key("k")).buffer(BufferPolicy::Lag);
    let mut watch = call.buffer_limits(limits).await.unwrap();
    catch_up(&world, &mut watch).await;
    let mut other = client.watch(world.key("k")).await.unwrap();
    let written = fill(&world, 50).await;
    // They share a connection: what has come to one has come to both. Taken while it still comes, it might all find room.
    events(&mut other, written).await;
    let mut told = Vec::new();
    let position = loop {
        match watch.try_next().await {
            Ok(batch) => told.extend(batch.unwrap().into_events()),
            Err(error) => match error.kind() {
                ErrorKind::Watch(WatchError::Lagged { position }) => break *position,
                kind => panic!("{kind:?}"),
            },
        }
    };
    let mut watch = client.watch(world.key("k")).start_revision(position).await.unwrap();
    let rest = written - told.len();
    told.extend(events(&mut watch, rest).await);
    assert!(are_numbered_from(&told, 0));
}

pub(crate) async fn a_watch_without_room_may_tell_only_the_last_of_each_key(world: World) {
    let client = World::client_of(world.server());
    let limits = BufferLimits {
        events: 10,
        bytes: usize::MAX,
    };
    let call = client.watch(world.key("k")).buffer(BufferPolicy::Coalesce);
    let mut watch = call.buffer_limits(limits).await.unwrap();
    catch_up(&world, &mut watch).await;
    let written = fill(&world, 200).await;
    // Everything has arrived by then.
    let mut other = client.watch(world.key("k")).await.unwrap();
    put(&world.client, &world.key("k"), written).await;
    next(&mut other).await;
    let mut told: Vec<i64> = Vec::new();
    let mut was_coalesced = false;
    while told.last() != Some(&(written as i64)) {
        let batch = next(&mut watch).await;
        was_coalesced |= batch.is_coalesced();
        told.extend(values(batch.events()).iter().map(|value| value.parse::<i64>().unwrap()));
    }
    assert!(was_coalesced && told.len() <= written && told.is_sorted(), "{told:?}");
}
