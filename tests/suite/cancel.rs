//! Calls that are dropped before they are over.

use std::cell::Cell;
use std::future::{IntoFuture, poll_fn};
use std::task::Poll;
use std::time::Duration;

use anyetcd::{BoxFuture, Client, Get, HttpConfig, PoolConfig, Put, Txn, TxnOp, TxnOpResponse, prefix};
use futures_util::future::{join, join_all};

use super::{Server, World};

/// How many connections the clients here may have.
const CONNECTIONS: usize = 8;

/// What a server opens and closes for itself.
const OTHER_FILES: f64 = 12.0;

/// The number of files and sockets a server has open.
const OPEN_FILES: &str = "process_open_fds";

fn client_of(server: &Server) -> Client {
    World::builder()
        .endpoint(server.client_url())
        .http(HttpConfig::new().pool(PoolConfig::new().max_connections(CONNECTIONS)))
        .build()
        .unwrap()
}

/// Drives `call` for some polls, with time between them, and drops it.
async fn drop_after<F: IntoFuture>(polls: u32, call: F) {
    let mut call = std::pin::pin!(call.into_future());
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await {
            return;
        }
        World::pause(Duration::from_micros(200)).await;
    }
}

/// Every kind of call, begun and dropped after some polls.
async fn drop_every_kind_of_call(client: &Client, key: &str, lease: i64, polls: u32) {
    let (leases, elections, maintenance) = (client.leases(), client.elections(), client.maintenance());
    let endpoint = client.current_endpoint();
    let mut pages = client.get(prefix(key)).pages().unwrap();
    let calls: Vec<BoxFuture<'_, ()>> = vec![
        Box::pin(drop_after(polls, client.put(key, vec![7; 50_000]))),
        Box::pin(drop_after(polls, client.get(key))),
        Box::pin(drop_after(polls, pages.try_next())),
        Box::pin(drop_after(polls, client.delete(key))),
        // Not one that only reads: etcd 3.5.1 panics when the caller of such a one goes away (etcd issue 14110).
        Box::pin(drop_after(polls, client.txn(Txn::new().then([Put::new(key, "v")])))),
        Box::pin(drop_after(polls, client.put(key, "v").if_absent())),
        Box::pin(drop_after(polls, leases.time_to_live(lease))),
        Box::pin(drop_after(polls, leases.keep_alive_once(lease))),
        Box::pin(drop_after(polls, leases.list())),
        Box::pin(drop_after(polls, client.locks().lock(format!("{key}/lock"), lease))),
        Box::pin(drop_after(polls, elections.campaign(format!("{key}/election"), lease, "v"))),
        Box::pin(drop_after(polls, elections.leader(format!("{key}/election")))),
        Box::pin(drop_after(polls, client.cluster().member_list())),
        Box::pin(drop_after(polls, maintenance.status(&endpoint))),
        Box::pin(drop_after(polls, maintenance.alarms())),
        Box::pin(drop_after(polls, maintenance.snapshot(&endpoint))),
    ];
    join_all(calls).await;
}

pub(crate) async fn every_kind_of_call_may_be_dropped_while_others_go_on(world: World) {
    let server = world.own_server();
    let client = client_of(&server);
    let leases = client.leases();
    let holder = leases.grant(600).await.unwrap().id;
    let waiter = leases.grant(600).await.unwrap().id;
    // Held, so that whoever wants them waits.
    client.locks().lock("k/lock", holder).await.unwrap();
    client.elections().campaign("k/election", holder, "holder").await.unwrap();

    let over = Cell::new(false);
    let steady = async {
        let mut rounds = 0;
        while !over.get() || rounds == 0 {
            let value = rounds.to_string();
            client.put("steady", &value).await.unwrap();
            let got = client.get("steady").await.unwrap();
            assert_eq!(got.first().unwrap().value_str(), Some(value.as_str()));
            rounds += 1;
        }
    };
    let dropping = async {
        for polls in 0..12 {
            drop_every_kind_of_call(&client, "k", waiter, polls).await;
        }
        over.set(true);
    };
    join(steady, dropping).await;

    // A server that is told while it writes a waiter's key leaves the key to its lease; see `Locks::lock`.
    leases.revoke(waiter).await.unwrap();
    for place in ["k/lock/", "k/election/"] {
        assert_eq!(client.get(prefix(place)).count_only().await.unwrap().count, 1);
    }
    assert_eq!(leases.list().await.unwrap().leases.len(), 1);
    // Not "k": a write that was dropped may be applied even now.
    client.put("after", "usable").await.unwrap();
    assert_eq!(client.get("after").await.unwrap().first().unwrap().value_str(), Some("usable"));
}

pub(crate) async fn connections_of_dropped_calls_are_closed(world: World) {
    let server = world.own_server();
    let client = client_of(&server);
    client.put("k", vec![7; 100_000]).await.unwrap();
    let before = server.metric(OPEN_FILES).unwrap();
    let holder = client.leases().grant(600).await.unwrap().id;
    let waiter = client.leases().grant(600).await.unwrap().id;
    client.locks().lock("lock", holder).await.unwrap();
    for polls in 0..20 {
        let gets = join_all((0..30).map(|_| drop_after(polls % 5, client.get("k"))));
        let locks = join_all((0..3).map(|_| drop_after(polls, client.locks().lock("lock", waiter))));
        join(gets, locks).await;
    }
    let bound = before + CONNECTIONS as f64 + OTHER_FILES;
    server.wait_for_metric(OPEN_FILES, |open| open <= bound);
    client.leases().revoke(waiter).await.unwrap();
    assert_eq!(client.get(prefix("lock/")).count_only().await.unwrap().count, 1);
}

pub(crate) async fn a_dropped_transaction_is_applied_whole_or_not_at_all(world: World) {
    let (a, b) = (world.key("a"), world.key("b"));
    for polls in 0..12 {
        let value = polls.to_string();
        let puts = [Put::new(&a, &value), Put::new(&b, &value)];
        drop_after(polls, world.client.txn(Txn::new().then(puts))).await;
        let both: [TxnOp; 2] = [Get::new(&a).into(), Get::new(&b).into()];
        let got = world.client.txn(Txn::new().then(both)).await.unwrap();
        let [TxnOpResponse::Get(a), TxnOpResponse::Get(b)] = &got.responses[..] else {
            panic!("{got:?}")
        };
        let of = |kvs: &[anyetcd::KeyValue]| kvs.first().map(|kv| (kv.value.clone(), kv.mod_revision));
        assert_eq!(of(&a.kvs), of(&b.kvs));
    }
}

pub(crate) async fn a_dropped_client_closes_its_connections(world: World) {
    let server = world.own_server();
    let before = server.metric(OPEN_FILES).unwrap();
    for _ in 0..5 {
        let client = World::client_of(&server);
        let calls = join_all((0..30).map(|_| client.get("k").into_future()));
        assert!(calls.await.iter().all(Result::is_ok));
    }
    server.wait_for_metric(OPEN_FILES, |open| open <= before + OTHER_FILES);
}
