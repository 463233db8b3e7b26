//! Leases that keep themselves alive.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyetcd::transport::{RequestBody, ResponseBody, Transport, TransportError};
use anyetcd::{
    BoxFuture, Client, ErrorKind, EtcdError, HttpConfig, Lease, LeaseState, LostReason, PoolConfig, Put,
    RegistrationState,
};
use etcd_http::HttpTransport;
use etcd_process::Cluster;

use super::proxy::Proxy;
use super::{Server, World, eventually, pause, written};

const SECOND: Duration = Duration::from_secs(1);

/// Whether a server knows the lease, asked with another client than its own.
async fn exists(client: &Client, id: i64) -> bool {
    client.leases().time_to_live(id).await.unwrap().is_alive()
}

async fn is_there(client: &Client, key: &str) -> bool {
    client.get(key).await.unwrap().count == 1
}

pub(crate) async fn a_lease_lives_until_it_is_revoked_and_its_keys_with_it(world: World) {
    let key = world.key("k");
    let lease = world.client.lease(6 * SECOND).await.unwrap();
    assert!(lease.id() > 0 && lease.ttl() >= 6 * SECOND);
    world.client.put(&key, "v").lease(lease.id()).await.unwrap();
    let mut states = lease.states();
    assert!(matches!(states.next().await, Some(LeaseState::Alive { .. })));

    pause(13 * SECOND).await;
    assert!(lease.is_held());
    // At once, unless a renewal is late at this very moment.
    World::until(async || matches!(lease.state(), LeaseState::Alive { deadline } if deadline > Instant::now())).await;
    assert!(is_there(&world.client, &key).await);
    assert!(lease.remaining().await.unwrap() <= 6 * SECOND);
    assert_eq!(lease.keys().await.unwrap(), [key.as_str()]);

    let id = lease.id();
    lease.revoke().await.unwrap();
    assert!(!exists(&world.client, id).await && !is_there(&world.client, &key).await);
    let last = states.next().await;
    assert!(last.is_none() || matches!(last, Some(LeaseState::Lost { reason: LostReason::Revoked })));
    assert!(states.next().await.is_none());
}

pub(crate) async fn a_dropped_lease_is_revoked_and_a_detached_one_is_not(world: World) {
    let dropped = world.client.lease(600 * SECOND).await.unwrap();
    let detached = world.client.lease(600 * SECOND).await.unwrap();
    let id = dropped.id();
    drop(dropped);
    let detached = detached.detach();
    World::until(async || !exists(&world.client, id).await).await;
    assert!(exists(&world.client, detached).await);

    // One that was granted elsewhere belongs to somebody else.
    let adopted = world.client.keep_alive(detached).await.unwrap();
    assert_eq!((adopted.id(), adopted.ttl()), (detached, 600 * SECOND));
    drop(adopted);
    let other = world.client.lease(600 * SECOND).await.unwrap();
    let id = other.id();
    drop(other);
    World::until(async || !exists(&world.client, id).await).await;
    assert!(exists(&world.client, detached).await, "the revocations are through");
    let adopted = world.client.keep_alive(detached).await.unwrap();
    adopted.revoke().await.unwrap();
    assert!(!exists(&world.client, detached).await);
    let error = world.client.keep_alive(detached).await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::LeaseNotFound));
}

pub(crate) async fn a_lease_that_somebody_else_revokes_is_lost_and_the_others_live(world: World) {
    let lease = world.client.lease(9 * SECOND).await.unwrap();
    let other = world.client.lease(9 * SECOND).await.unwrap();
    world.client.leases().revoke(lease.id()).await.unwrap();
    let lost = lease.lost().await;
    assert!(matches!(lost.reason(), LostReason::NotFound), "{lost:?}");
    assert_eq!(lost.id(), lease.id());
    assert!(!lease.is_held() && other.is_held());
    let error = lease.refresh().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LeaseLost(_)), "{error:?}");
    assert!(matches!(lease.remaining().await.unwrap_err().kind(), ErrorKind::LeaseLost(_)));
    lease.revoke().await.expect("what is gone is gone");
    pause(10 * SECOND).await;
    assert!(other.is_held() && exists(&world.client, other.id()).await);
}

pub(crate) async fn a_refresh_gives_the_full_time_and_finds_out_what_is_gone(world: World) {
    let lease = world.client.lease(600 * SECOND).await.unwrap();
    let before = lease.state().deadline().unwrap();
    World::until(async || lease.remaining().await.unwrap() <= 598 * SECOND).await;
    let refreshed_at = Instant::now();
    lease.refresh().await.unwrap();
    assert!(lease.state().deadline().unwrap() >= before + SECOND);
    let remaining = lease.remaining().await.unwrap();
    assert!(remaining + refreshed_at.elapsed() >= 599 * SECOND, "{remaining:?}");
    // Its next renewal is minutes away.
    world.client.leases().revoke(lease.id()).await.unwrap();
    assert!(lease.is_held());
    let error = lease.refresh().await.unwrap_err();
    let ErrorKind::LeaseLost(lost) = error.kind() else {
        panic!("{error:?}");
    };
    assert!(matches!(lost.reason(), LostReason::NotFound) && !lease.is_held());
}

pub(crate) async fn many_leases_share_one_connection(world: World) {
    let server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let one = HttpConfig::new().pool(PoolConfig::new().max_connections(1));
    let client = World::builder().endpoint(proxy.url()).http(one).build().unwrap();
    let mut leases = Vec::new();
    for _ in 0..300 {
        leases.push(client.lease(10 * SECOND).await.unwrap());
    }
    pause(12 * SECOND).await;
    assert!(leases.iter().all(Lease::is_held));
    let count = World::client_of(&server).leases().list().await.unwrap().leases.len();
    assert_eq!(count, 300);
    // One for calls, which is idle, and one for all renewals.
    assert!(proxy.open_connections() <= 2, "{} connections", proxy.open_connections());
    drop(leases);
    let bystander = World::client_of(&server);
    World::until(async || bystander.leases().list().await.unwrap().leases.is_empty()).await;
    World::until(async || proxy.open_connections() <= 1).await;
}

pub(crate) async fn a_lease_outlives_cut_connections(world: World) {
    let server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let client = World::builder().endpoint(proxy.url()).build().unwrap();
    let lease = client.lease(10 * SECOND).await.unwrap();
    client.put("k", "v").lease(lease.id()).await.unwrap();
    let mut states = lease.states();
    for _ in 0..48 {
        pause(SECOND / 4).await;
        proxy.lead_to(server.client_addr());
    }
    assert!(lease.is_held());
    assert!(is_there(&World::client_of(&server), "k").await);
    // Where a connection was cut with nothing under way on it, nobody need know.
    while let Some(state) = futures_util::FutureExt::now_or_never(states.next()) {
        assert!(state.is_some_and(|state| state.is_held()));
    }
}

pub(crate) async fn a_lease_of_five_seconds_outlives_a_restart_that_takes_two(world: World) {
    let mut server = world.own_server();
    let client = World::client_of(&server);
    // Nothing is promised of a restart for which a busy machine takes too long.
    for _ in 0..20 {
        if restart_under_a_lease(&mut server, &client).await {
            return;
        }
    }
    panic!("it lives on after no restart, or none leaves {ENOUGH_TO_RENEW:?} of five seconds here");
}

/// What the lease has to have left after the restart: the client tries each second at least.
const ENOUGH_TO_RENEW: Duration = Duration::from_secs(2);

/// Returns whether the restart was over in time: then the lease outlived it.
async fn restart_under_a_lease(server: &mut Server, client: &Client) -> bool {
    let lease = client.lease(5 * SECOND).await.unwrap();
    client.put("k", "v").lease(lease.id()).await.unwrap();
    // Right after a renewal, so that all of its time is left for the outage and the start.
    let granted_until = lease.state().deadline();
    World::until(async || lease.state().deadline() > granted_until).await;
    let mut states = lease.states();
    let renewed_until = states.next().await.and_then(|state| state.deadline()).unwrap();
    server.kill();
    let killed_at = Instant::now();
    // The next renewal meets a server that is down, unless one came before after all.
    let degraded = loop {
        match states.next().await {
            Some(LeaseState::Alive { .. }) => {}
            state => break state,
        }
    };
    let is_over = Instant::now() >= renewed_until;
    assert!(is_over || matches!(degraded, Some(LeaseState::Degraded { .. })), "{degraded:?}");
    // The start takes the rest of the two seconds.
    pause((SECOND * 3 / 2).saturating_sub(killed_at.elapsed())).await;
    server.restart();
    let (left, away) = (renewed_until.saturating_duration_since(Instant::now()), killed_at.elapsed());
    let is_in_time = left >= ENOUGH_TO_RENEW;
    if is_in_time {
        let alive = states.next().await;
        assert!(matches!(alive, Some(LeaseState::Alive { .. })), "{alive:?}, away for {away:?}, {left:?} left");
        pause(6 * SECOND).await;
        assert!(lease.is_held() && is_there(client, "k").await);
        lease.revoke().await.unwrap();
        assert!(!is_there(client, "k").await);
    }
    is_in_time
}

pub(crate) async fn a_lease_whose_server_is_stopped_is_lost_before_its_time_ends_and_says_why(world: World) {
    let mut server = world.own_server();
    let client = World::client_of(&server);
    let lease = client.lease(5 * SECOND).await.unwrap();
    pause(2 * SECOND).await;
    server.freeze();
    let frozen_at = Instant::now();
    // Its last renewal was sent before the server was stopped, and the server counts from when it came. How soon somebody
    // hears of the loss is up to a machine that may be busy; since when the lease is lost is not.
    let deadline = lease.state().deadline().unwrap();
    assert!(deadline <= frozen_at + 5 * SECOND, "{:?}", deadline - frozen_at);
    let lost = lease.lost().await;
    assert!(Instant::now() >= deadline, "{lost:?}");
    let LostReason::Expired { cause: Some(cause) } = lost.reason() else {
        panic!("{lost:?}");
    };
    assert!(matches!(cause.kind(), ErrorKind::Timeout(_)), "{cause:?}");
    assert!(std::error::Error::source(&lost).is_some());
    server.thaw();
    pause(2 * SECOND).await;
    assert!(!lease.is_held(), "what is lost stays lost");
}

pub(crate) async fn a_lease_moves_on_from_members_that_die_or_fall_silent(world: World) {
    let mut cluster = Cluster::start(world.dialect, 3);
    // A leader that wakes after longer than the lease's time revokes it on older servers, renewed or not: it takes
    // itself for the leader still (etcd's issue 15247). Such a lease is truly lost, so a follower falls silent here.
    let leader = cluster.leader();
    let [first, second] = [(leader + 1) % 3, (leader + 2) % 3];
    let urls = [first, second, leader].map(|member| cluster.members()[member].client_url().to_owned());
    let client = World::builder().endpoints(urls.iter().map(String::as_str)).build().unwrap();
    let lease = written("a lease", || client.lease(10 * SECOND)).await;
    written("a key", || client.put("k", "v").lease(lease.id())).await;
    // The member its stream leads to falls silent, then the next one dies.
    pause(4 * SECOND).await;
    cluster.member_mut(first).freeze();
    pause(11 * SECOND).await;
    assert!(lease.is_held(), "{lease:?}");
    cluster.member_mut(first).thaw();
    cluster.member_mut(second).kill();
    pause(11 * SECOND).await;
    assert!(lease.is_held(), "{lease:?}");
    // Without a quorum nobody can renew it, for less than its time, and for longer than it goes without a renewal. Two starts
    // and an election take theirs. No renewal is due while the leader has not noticed yet.
    let lease = eventually("a lease and its key within four seconds", || async {
        let lease = written("a lease", || client.lease(20 * SECOND)).await;
        written("a key", || client.put("k", "v").lease(lease.id())).await;
        let is_fresh = lease.state().deadline() > Some(Instant::now() + 16 * SECOND);
        is_fresh.then_some(lease)
    })
    .await;
    let granted_until = lease.state().deadline();
    cluster.member_mut(first).kill();
    pause(8 * SECOND).await;
    assert_eq!(lease.state().deadline(), granted_until);
    for member in [first, second] {
        cluster.member_mut(member).spawn();
    }
    World::until(async || !lease.is_held() || lease.state().deadline() > granted_until).await;
    assert!(lease.is_held(), "{lease:?}");
    assert!(is_there(&client, "k").await);
}

pub(crate) async fn a_dropped_grant_leaves_no_lease(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    for polls in [1, 2, 3, 5, 8, 13, 21] {
        let mut call = std::pin::pin!(client.lease(600 * SECOND).into_future());
        for _ in 0..polls {
            let over = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
            if over {
                break;
            }
            pause(Duration::from_micros(100)).await;
        }
    }
    let bystander = World::client_of(&server);
    // A request that was on its way may still be applied a moment later, and its revocation is under way as well.
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < SECOND / 2 {
        if !bystander.leases().list().await.unwrap().leases.is_empty() {
            quiet_since = Instant::now();
        }
        pause(SECOND / 100).await;
    }
}

pub(crate) async fn a_grant_whose_answer_is_lost_grants_one_lease(world: World) {
    let server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let client = World::builder().endpoint(proxy.url()).build().unwrap();
    client.get("k").await.unwrap();
    proxy.cut_answers(1);
    let lease = client.lease(600 * SECOND).await.unwrap();
    assert!(proxy.has_cut_all());
    let listed = client.leases().list().await.unwrap().leases;
    assert_eq!(listed.iter().map(|lease| lease.id).collect::<Vec<_>>(), [lease.id()]);
    // With an id of the caller's nobody knows whose lease it is.
    proxy.cut_answers(1);
    let error = client.lease(600 * SECOND).id(4711).await.unwrap_err();
    assert!(error.is_outcome_unknown());
}

/// Something on the way that holds a request back until it is complete.
#[derive(Debug)]
struct Buffering<T>(T);

impl<T: Transport> Transport for Buffering<T> {
    fn exchange(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<ResponseBody>, TransportError>> {
        match request.body() {
            RequestBody::Stream(_) => Box::pin(std::future::pending()),
            RequestBody::Full(_) => self.0.exchange(request),
        }
    }
}

pub(crate) async fn where_requests_are_held_back_leases_are_renewed_one_by_one(world: World) {
    let runtime = crate::harness::runtime();
    let transport = HttpTransport::new(runtime.clone(), Arc::new(runtime.clone()), HttpConfig::new());
    let client = Client::builder()
        .endpoint(world.server().client_url())
        .transport(Arc::new(runtime), Arc::new(Buffering(transport)))
        .build()
        .unwrap();
    let mut leases = Vec::new();
    for _ in 0..20 {
        leases.push(client.lease(10 * SECOND).await.unwrap());
    }
    pause(12 * SECOND).await;
    for lease in &leases {
        assert!(lease.is_held() && exists(&world.client, lease.id()).await, "{lease:?}");
    }
}

pub(crate) async fn a_registration_comes_back_and_leaves_alone_what_others_took(world: World) {
    let (mine, contested) = (world.key("mine"), world.key("contested"));
    let registration = world
        .client
        .lease(9 * SECOND)
        .register([Put::new(&mine, "v"), Put::new(&contested, "v")])
        .await
        .unwrap();
    let mut states = registration.states();
    let Some(RegistrationState::Registered { lease: first, taken }) = states.next().await else {
        panic!("{registration:?}");
    };
    assert_eq!(taken.len(), 0);
    assert_eq!(world.client.get(&mine).await.unwrap().first().unwrap().lease, first);

    // Somebody else takes one of the keys, and the lease goes.
    world.client.put(&contested, "another's").await.unwrap();
    world.client.leases().revoke(first).await.unwrap();
    let second = loop {
        match states.next().await.unwrap() {
            RegistrationState::Lost { lost, .. } => assert_eq!(lost.id(), first),
            RegistrationState::Registered { lease, taken } => {
                assert_eq!(taken, [contested.as_str()]);
                break lease;
            }
            other => panic!("{other:?}"),
        }
    };
    assert_ne!(first, second);
    assert_eq!(world.client.get(&mine).await.unwrap().first().unwrap().lease, second);
    assert_eq!(world.client.get(&contested).await.unwrap().first().unwrap().value, "another's");

    registration.withdraw().await.unwrap();
    assert!(!is_there(&world.client, &mine).await && is_there(&world.client, &contested).await);
    assert!(states.next().await.is_none());

    let registration = world.client.lease(600 * SECOND).register([Put::new(&mine, "v")]).await.unwrap();
    assert!(is_there(&world.client, &mine).await);
    drop(registration);
    World::until(async || !is_there(&world.client, &mine).await).await;
}
