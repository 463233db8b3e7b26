//! Servers that keep silent, and deadlines.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use anyetcd::error::TimeoutPhase;
use anyetcd::{BoxFuture, ErrorKind, Get, HttpConfig, PoolConfig, Put, Result, Txn};
use etcd_process::Dialect;
use futures_util::future::join_all;

use super::World;

const SHORT: Duration = Duration::from_millis(700);

/// What a call that is over says about the request.
#[derive(Clone, Copy)]
enum Request {
    Read,
    Idempotent,
    Write,
}

/// Makes all calls at once, and asserts that their time ran out.
async fn assert_timed_out(calls: impl IntoIterator<Item = (Request, BoxFuture<'_, Result<()>>)>) {
    let (requests, calls): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
    for (request, result) in requests.into_iter().zip(join_all(calls).await) {
        let error = result.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
        let expected = match request {
            Request::Read => (false, true),
            Request::Idempotent => (true, true),
            Request::Write => (true, false),
        };
        assert_eq!((error.is_outcome_unknown(), error.is_retry_safe()), expected, "{error:?}");
    }
}

/// A call whose answer does not matter.
fn call<'c, T: 'c>(
    request: Request,
    call: impl IntoFuture<Output = Result<T>, IntoFuture: Send + 'c>,
) -> (Request, BoxFuture<'c, Result<()>>) {
    let call = call.into_future();
    (request, Box::pin(async move { call.await.map(drop) }))
}

pub(crate) async fn calls_to_a_silent_server_end_at_their_deadline(world: World) {
    let mut server = world.own_server();
    let client = World::client_of(&server);
    let lease = client.leases().grant(600).await.unwrap().id;
    let endpoint = client.current_endpoint();
    let (leases, locks, elections) = (client.leases(), client.locks(), client.elections());
    let puts = Txn::new().then([Put::new("k", "v")]);
    let gets = Txn::new().then([Get::new("k")]);
    server.freeze();
    let began = Instant::now();
    let mut calls = vec![
        call(Request::Read, client.get("k").timeout(SHORT)),
        call(Request::Read, leases.time_to_live(lease).timeout(SHORT)),
        call(Request::Read, client.cluster().member_list().timeout(SHORT)),
        call(Request::Read, client.maintenance().status(&endpoint).timeout(SHORT)),
        call(Request::Read, client.maintenance().snapshot(&endpoint).timeout(SHORT)),
        call(Request::Idempotent, leases.keep_alive_once(lease).timeout(SHORT)),
        call(Request::Idempotent, leases.revoke(lease).timeout(SHORT)),
        call(Request::Write, client.put("k", "v").timeout(SHORT)),
        call(Request::Write, client.delete("k").timeout(SHORT)),
        call(Request::Write, client.txn(puts).timeout(SHORT)),
        call(Request::Write, client.put("k", "v").timeout(SHORT).if_absent()),
        call(Request::Write, leases.grant(60).timeout(SHORT)),
        call(Request::Write, locks.lock("l", lease).timeout(SHORT)),
        call(Request::Write, elections.campaign("e", lease, "v").timeout(SHORT)),
    ];
    // etcd 3.5.1 would panic, once thawed, over a caller that has gone away (etcd issue 14110).
    if world.dialect != Dialect::G1_16 {
        calls.push(call(Request::Read, client.txn(gets).timeout(SHORT)));
    }
    assert_timed_out(calls).await;
    assert!(began.elapsed() >= SHORT);

    server.thaw();
    // Another key: what became of the put above is unknown, and it may be applied only now.
    client.put("other", "after").await.unwrap();
    let got = client.get("other").await.unwrap();
    assert_eq!(got.first().unwrap().value_str(), Some("after"));
}

pub(crate) async fn many_calls_that_hang_at_once_all_end(world: World) {
    let mut server = world.own_server();
    let client = World::builder()
        .endpoint(server.client_url())
        .timeout(SHORT)
        .build()
        .unwrap();
    server.freeze();
    // More than there may be connections.
    assert_timed_out((0..300).map(|_| call(Request::Read, client.get("k")))).await;
    server.thaw();
    client.get("k").timeout(Duration::from_secs(60)).await.unwrap();
}

pub(crate) async fn a_client_does_not_wait_longer_for_a_silent_server_to_begin_with(world: World) {
    let mut server = world.own_server();
    server.freeze();
    let connect = World::builder()
        .endpoint(server.client_url())
        .timeout(SHORT)
        .connect();
    assert_timed_out([call(Request::Read, connect)]).await;
    server.thaw();
    let client = World::builder().endpoint(server.client_url()).connect().await.unwrap();
    assert_eq!(client.get("k").await.unwrap().count, 0);
}

pub(crate) async fn a_lock_has_a_deadline_of_its_own(world: World) {
    let mut server = world.own_server();
    let client = World::builder()
        .endpoint(server.client_url())
        .timeout(Duration::from_secs(3600))
        .wait_timeout(SHORT)
        .build()
        .unwrap();
    let lease = client.leases().grant(600).await.unwrap().id;
    server.freeze();
    assert_timed_out([
        call(Request::Write, client.locks().lock("l", lease)),
        call(Request::Write, client.elections().campaign("e", lease, "v")),
    ])
    .await;
    server.thaw();
    let again = client.locks().lock("l", lease).timeout(Duration::from_secs(60));
    assert!(again.await.unwrap().key.starts_with(b"l/"));
}

pub(crate) async fn a_call_without_time_is_not_sent(world: World) {
    let key = world.key("k");
    let put = world.client.put(&key, "v").timeout(Duration::ZERO);
    let error = put.await.unwrap_err();
    let ErrorKind::Timeout(timeout) = error.kind() else {
        panic!("{error:?}")
    };
    assert_eq!(timeout.phase(), TimeoutPhase::Queue);
    assert!(!error.is_outcome_unknown() && error.is_retry_safe());
    assert_eq!(world.client.get(&key).await.unwrap().count, 0);
}

pub(crate) async fn a_deadline_may_be_as_far_away_as_one_likes(world: World) {
    let endless = World::builder()
        .endpoint(world.server().client_url())
        .timeout(Duration::MAX)
        .wait_timeout(Duration::MAX)
        .attempt_timeout(Duration::MAX)
        .build()
        .unwrap();
    endless.put(world.key("k"), "v").await.unwrap();
    let lease = endless.leases().grant(600).await.unwrap().id;
    endless.locks().lock(world.key("l"), lease).await.unwrap();
    endless.leases().revoke(lease).await.unwrap();
}

pub(crate) async fn a_put_that_never_got_a_connection_is_known_not_to_be_applied(world: World) {
    let mut server = world.own_server();
    let one_connection = HttpConfig::new().pool(PoolConfig::new().max_connections(1));
    let client = World::builder()
        .endpoint(server.client_url())
        .http(one_connection)
        .build()
        .unwrap();
    client.put("k", "before").await.unwrap();
    server.freeze();
    // The first takes the only connection, so that the second waits for it until its time is up.
    let (sent, queued) = futures_util::future::join(
        client.put("k", "sent").timeout(SHORT * 2).into_future(),
        client.put("k", "queued").timeout(SHORT).into_future(),
    )
    .await;
    let phase = |error: &anyetcd::Error| match error.kind() {
        ErrorKind::Timeout(timeout) => timeout.phase(),
        kind => panic!("{kind}"),
    };
    let (sent, queued) = (sent.unwrap_err(), queued.unwrap_err());
    assert_eq!(phase(&sent), TimeoutPhase::Response);
    assert!(sent.is_outcome_unknown() && !sent.is_retry_safe());
    assert_eq!(phase(&queued), TimeoutPhase::Queue);
    assert!(!queued.is_outcome_unknown() && queued.is_retry_safe());
}

pub(crate) async fn every_time_may_be_as_long_as_a_duration_can_be(world: World) {
    let pool = PoolConfig::new().idle_time(Duration::MAX);
    let client = World::builder()
        .endpoint(world.server().client_url())
        .http(HttpConfig::new().connect_timeout(Duration::MAX).pool(pool))
        .timeout(Duration::MAX)
        .wait_timeout(Duration::MAX)
        .attempt_timeout(Duration::MAX)
        .watch_idle_timeout(Duration::MAX)
        .build()
        .unwrap();
    client.put(world.key("k"), "v").await.unwrap();
    client.get(world.key("k")).await.unwrap();
    let endpoint = client.current_endpoint();
    let mut snapshot = client.maintenance().snapshot(&endpoint).timeout(Duration::MAX).await.unwrap();
    while snapshot.try_next().await.unwrap().is_some() {}

    let mut watch = client.watch(world.key("k")).timeout(Duration::MAX).await.unwrap();
    let mut observe = client.observe(world.key("k")).await.unwrap();
    let mirror = client.mirror(world.key("k")).await.unwrap();
    let lease = client.lease(Duration::from_secs(60)).timeout(Duration::MAX).await.unwrap();
    let written = client.put(world.key("k"), "w").lease(lease.id()).await.unwrap().header.revision;
    assert_eq!(watch.try_next().await.unwrap().unwrap().revision(), written);
    assert!(observe.caught_up().await.unwrap() >= written);
    assert!(mirror.sync().await.unwrap() >= written);
    lease.revoke().await.unwrap();
}
