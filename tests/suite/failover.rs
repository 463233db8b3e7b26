//! Endpoints that fail, and what becomes of the calls.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use anyetcd::error::TimeoutPhase;
use anyetcd::message::MemberList;
use anyetcd::{Client, ErrorKind, EtcdError};
use etcd_process::Cluster;
use futures_util::future::{join, join_all};

use super::{Proxy, World, eventually, written};

pub(crate) async fn calls_move_on_from_an_endpoint_that_refuses(world: World) {
    let mut gone = world.own_server();
    gone.kill();
    let new_client = || {
        let endpoints = [gone.client_url(), world.server().client_url()];
        World::builder().endpoints(endpoints).build().unwrap()
    };
    // Each the first call of its client.
    new_client().put(world.key("k"), "v").await.unwrap();
    let client = new_client();
    assert_eq!(client.get(world.key("k")).await.unwrap().first().unwrap().version, 1);
    assert_eq!(client.current_endpoint().to_string(), world.server().client_url());
    World::builder()
        .endpoints([gone.client_url(), world.server().client_url()])
        .connect()
        .await
        .unwrap();

    let alone = World::client_of(&gone);
    let error = alone
        .put("k", "v")
        .timeout(Duration::from_secs(1))
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transport(_)), "{error:?}");
    assert!(!error.is_outcome_unknown());
}

pub(crate) async fn reads_move_on_from_an_endpoint_that_is_silent_and_writes_once_it_is_known(world: World) {
    let mut frozen = world.own_server();
    frozen.freeze();
    let new_client = || {
        World::builder()
            .endpoints([frozen.client_url(), world.server().client_url()])
            .attempt_timeout(Duration::from_millis(300))
            .build()
            .unwrap()
    };
    new_client().get(world.key("k")).await.unwrap();

    let client = new_client();
    let put = client.put(world.key("k"), "lost");
    let error = put.timeout(Duration::from_secs(1)).await.unwrap_err();
    match error.kind() {
        ErrorKind::Timeout(timeout) => assert_eq!(timeout.phase(), TimeoutPhase::Response),
        kind => panic!("{kind:?}"),
    }
    assert!(error.is_outcome_unknown() && !error.is_retry_safe());
    client.put(world.key("k"), "v").await.unwrap();
    let got = client.get(world.key("k")).await.unwrap();
    assert_eq!(got.first().unwrap().value, "v");
    assert_eq!(got.first().unwrap().version, 1);
}

pub(crate) async fn a_put_whose_answer_is_lost_is_not_repeated_and_a_get_is(world: World) {
    let proxy = Proxy::new(world.server().client_addr());
    let client = World::builder().endpoint(proxy.url()).build().unwrap();
    let key = world.key("k");
    let version = async |client: &Client| {
        let got = client.get(&key).await.unwrap();
        got.first().map_or(0, |kv| kv.version)
    };

    for applied in 1..=3 {
        proxy.cut_answers(1);
        let error = client.put(&key, "v").await.unwrap_err();
        assert!(error.is_outcome_unknown() && !error.is_retry_safe(), "{error:?}");
        assert!(proxy.has_cut_all());
        assert_eq!(version(&world.client).await, applied);
    }

    proxy.cut_requests(1);
    let error = client.put(&key, "v").await.unwrap_err();
    assert!(error.is_outcome_unknown() && !error.is_retry_safe(), "{error:?}");
    assert!(proxy.has_cut_all());
    assert_eq!(version(&world.client).await, 3);

    proxy.cut_answers(2);
    assert_eq!(version(&client).await, 3);
    assert!(proxy.has_cut_all());
    proxy.cut_requests(2);
    assert_eq!(version(&client).await, 3);
    assert!(proxy.has_cut_all());
}

pub(crate) async fn every_acknowledged_put_is_there_after_restarts_and_none_was_made_twice(world: World) {
    let mut server = world.own_server();
    let client = World::client_of(&server);
    let acknowledged = AtomicI64::new(0);
    let over = AtomicBool::new(false);
    let writers = join_all((0..4).map(|writer| {
        let (client, acknowledged, over) = (&client, &acknowledged, &over);
        async move {
            let (mut attempts, mut successes, mut last) = (0, 0, 0);
            while !over.load(Ordering::SeqCst) {
                attempts += 1;
                if client.put(format!("w{writer}"), attempts.to_string()).await.is_ok() {
                    (successes, last) = (successes + 1, attempts);
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            }
            let got = client.get(format!("w{writer}")).await.unwrap();
            let kv = got.first().unwrap();
            let value: i64 = kv.value_str().unwrap().parse().unwrap();
            assert!((successes..=attempts).contains(&kv.version), "{kv:?}");
            assert!((last..=attempts).contains(&value), "{kv:?}");
        }
    }));
    let more = |count: i64| {
        let target = acknowledged.load(Ordering::SeqCst) + count;
        let acknowledged = &acknowledged;
        eventually("puts succeed", move || async move {
            (acknowledged.load(Ordering::SeqCst) >= target).then_some(())
        })
    };
    let restarts = async {
        for _ in 0..2 {
            more(40).await;
            let (done, is_done) = futures_channel::oneshot::channel();
            thread::spawn(move || {
                server.restart();
                drop(done.send(server));
            });
            server = is_done.await.unwrap();
        }
        more(40).await;
        over.store(true, Ordering::SeqCst);
        // The writers go on to read from it.
        server
    };
    join(writers, restarts).await;
}

pub(crate) async fn a_cluster_goes_on_without_its_leader_and_says_so_without_a_quorum(world: World) {
    let mut cluster = Cluster::start(world.dialect, 3);
    let leader = cluster.leader();
    let mut urls: Vec<String> = cluster.client_urls().iter().map(ToString::to_string).collect();
    urls.rotate_left(leader);
    let client = World::builder().endpoints(&urls).build().unwrap();
    written("a put", || client.put("k", "v")).await;
    cluster.member_mut(leader).kill();
    eventually("a put succeeds without the old leader", || async {
        client.put("k", "w").await.ok()
    })
    .await;
    client.get("k").await.unwrap();

    cluster.member_mut((leader + 1) % 3).kill();
    let survivor = World::builder().endpoint(&urls[2]).build().unwrap();
    let short = Duration::from_secs(2);
    let error = eventually("the survivor knows that there is no leader", || async {
        let error = survivor.put("k", "x").timeout(short).await.unwrap_err();
        (error.etcd() == Some(EtcdError::NoLeader)).then_some(error)
    })
    .await;
    assert!(error.is_retry_safe() && !error.is_outcome_unknown());
    let got = client.get("k").serializable().await.unwrap();
    assert!(got.first().unwrap().version >= 2);
    let listed = client.call(MemberList::new().serializable()).await.unwrap();
    assert_eq!(listed.members.len(), 3);

    cluster.member_mut((leader + 1) % 3).spawn();
    cluster.member_mut((leader + 1) % 3).wait_until_healthy();
    // The two may elect once more.
    written("a put with a quorum again", || client.put("k", "y")).await;
}
