//! Many watches, and one with much to tell.

use std::collections::HashSet;
use std::future::IntoFuture;

use anyetcd::{Put, Txn, Watch, prefix};
use futures_util::future::join_all;

use super::watch_ends::{STREAMS, WATCHERS};
use super::{Server, World};

pub(crate) async fn two_hundred_thousand_events_of_the_past_arrive_whole(world: World) {
    const EVENTS: usize = 200_000;
    // A server sends a thousand revisions at a time: all of this is one line.
    const A_TRANSACTION: usize = 200;
    let server = Server::builder(world.dialect).max_txn_ops(200).start();
    let client = World::builder()
        .endpoint(server.client_url())
        .max_txn_ops(A_TRANSACTION)
        .build()
        .unwrap();
    let value = "x".repeat(128);
    let transactions = (0..EVENTS / A_TRANSACTION).map(|number| {
        let puts = (0..A_TRANSACTION).map(|n| Put::new(format!("k/{number}/{n}"), &value));
        client.txn(Txn::new().then(puts)).into_future()
    });
    let transactions: Vec<_> = transactions.collect();
    for mut some in chunks(transactions, 64) {
        for result in join_all(some.drain(..)).await {
            result.unwrap();
        }
    }

    let mut watch = client.watch(prefix("k/")).start_revision(2).await.unwrap();
    let mut transactions_told = HashSet::new();
    let mut current = String::new();
    let mut count = 0;
    while count < EVENTS {
        let batch = watch.try_next().await.unwrap().unwrap();
        // Transactions were applied in any order, each with its keys in theirs.
        assert_eq!(batch.events().len() % A_TRANSACTION, 0, "a revision is split");
        for (event, place) in batch.events().iter().zip(count..) {
            let (revision, n) = (2 + place / A_TRANSACTION, place % A_TRANSACTION);
            assert_eq!(event.kv.mod_revision, revision as i64);
            let key = event.kv.key_str().unwrap();
            let (transaction, of_it) = key.strip_prefix("k/").unwrap().split_once('/').unwrap();
            assert_eq!(of_it, n.to_string(), "{key}");
            if n == 0 {
                assert!(transactions_told.insert(transaction.to_owned()), "{key} is told twice");
                current = transaction.to_owned();
            }
            assert_eq!(transaction, current);
            assert_eq!(event.kv.value.len(), 128);
        }
        count += batch.events().len();
    }
    assert_eq!(transactions_told.len(), EVENTS / A_TRANSACTION);
    assert_eq!(watch.position(), 2 + (EVENTS / A_TRANSACTION) as i64);
}

fn chunks<T>(items: Vec<T>, size: usize) -> Vec<Vec<T>> {
    let mut chunks = Vec::new();
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        chunks.push(items.by_ref().take(size).collect());
    }
    chunks
}

pub(crate) async fn ten_thousand_watches_live_on_one_connection_and_half_of_them_leave(world: World) {
    const WATCHES: usize = 10_000;
    let server = world.own_server();
    let client = World::client_of(&server);
    let revision = client.put("first", "v").await.unwrap().header.revision;
    let mut watches: Vec<Watch> = Vec::new();
    for begin in (0..WATCHES).step_by(500) {
        let some = (begin..begin + 500).map(|n| {
            let watch = client.watch(format!("k/{n}")).start_revision(revision + 1);
            watch.into_future()
        });
        watches.extend(join_all(some).await.into_iter().map(Result::unwrap));
    }
    let there = |count: usize| server.wait_for_metric(WATCHERS, |watchers| watchers == count as f64);
    there(WATCHES);
    server.wait_for_metric(STREAMS, |streams| streams == 1.0);

    let left = watches.split_off(WATCHES / 2);
    for (n, watch) in left.into_iter().enumerate() {
        match n % 3 {
            0 => drop(watch),
            1 => watch.handle().cancel(),
            _ => watch.cancel().await,
        }
    }
    there(WATCHES / 2);
    server.wait_for_metric(STREAMS, |streams| streams == 1.0);

    // Those that stay are told, each of its own.
    for n in [0, 1, WATCHES / 4, WATCHES / 2 - 1] {
        client.put(format!("k/{n}"), n.to_string()).await.unwrap();
        let batch = watches[n].try_next().await.unwrap().unwrap();
        assert_eq!(batch.events()[0].kv.value_str(), Some(n.to_string().as_str()));
    }
    drop(watches);
    there(0);
    server.wait_for_metric(STREAMS, |streams| streams == 0.0);
}
