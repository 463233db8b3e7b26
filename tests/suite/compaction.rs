//! Compaction, on servers of its own: it takes history from everybody.

use anyetcd::{Client, EtcdError, Get, Put, Result, Txn, prefix};

use super::World;

/// Writes one key `count` times; the revisions, and the last one.
async fn write(client: &Client, key: &str, count: usize) -> Vec<i64> {
    let mut revisions = Vec::new();
    for number in 0..count {
        let put = client.put(key, number.to_string()).await.unwrap();
        revisions.push(put.header.revision);
    }
    revisions
}

/// Which of etcd's errors it is; a refusal leaves no doubt about its outcome.
fn refusal<T: std::fmt::Debug>(result: Result<T>) -> Option<EtcdError> {
    let error = result.unwrap_err();
    assert!(!error.is_outcome_unknown(), "{error}");
    error.etcd()
}

pub(crate) async fn a_compaction_drops_what_is_older_than_its_revision(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let revisions = write(&client, "k", 5).await;
    client.compact(revisions[2]).await.unwrap();
    for (number, revision) in revisions.iter().enumerate() {
        let got = client.get("k").revision(*revision).await;
        if number < 2 {
            assert_eq!(refusal(got), Some(EtcdError::Compacted), "revision {revision}");
        } else {
            let number = number.to_string();
            assert_eq!(got.unwrap().first().unwrap().value_str(), Some(number.as_str()));
        }
    }
    // In a transaction too, which then does nothing at all.
    let txn = Txn::new()
        .then([Put::new("other", "v")])
        .then([Get::new("k").revision(revisions[1])]);
    assert_eq!(refusal(client.txn(txn).await), Some(EtcdError::Compacted));
    assert_eq!(client.get("other").await.unwrap().count, 0);
}

pub(crate) async fn a_revision_is_compacted_once_and_not_ahead_of_time(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let last = *write(&client, "k", 5).await.last().unwrap();
    client.compact(last - 1).await.unwrap();
    for revision in [1, last - 2, last - 1] {
        assert_eq!(refusal(client.compact(revision).await), Some(EtcdError::Compacted));
    }
    assert_eq!(refusal(client.compact(last + 1).await), Some(EtcdError::FutureRevision));
    // The newest revision can be compacted: what is stored now stays.
    client.compact(last).await.unwrap();
    assert_eq!(client.get("k").await.unwrap().first().unwrap().value_str(), Some("4"));
}

pub(crate) async fn a_physical_compaction_waits_and_keeps_the_present(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let first = write(&client, "a", 20).await[0];
    client.put("b", "stays").await.unwrap();
    client.delete("a").await.unwrap();
    let newest = client.put("c", "newest").await.unwrap().header.revision;
    client.compact(newest).physical().await.unwrap();
    let got = client.get(..).await.unwrap();
    let keys: Vec<_> = got.kvs.iter().filter_map(|kv| kv.key_str()).collect();
    assert_eq!(keys, ["b", "c"]);
    assert_eq!(refusal(client.get("a").revision(first).await), Some(EtcdError::Compacted));
}

pub(crate) async fn a_revision_that_is_not_there_yet_cannot_be_read(world: World) {
    let now = world.client.put(world.key("k"), "v").await.unwrap().header.revision;
    let future = now + 1_000_000;
    let got = world.client.get(prefix(world.key(""))).revision(future).await;
    assert_eq!(refusal(got), Some(EtcdError::FutureRevision));
    let txn = Txn::new().then([Get::new(world.key("k")).revision(future)]);
    assert_eq!(refusal(world.client.txn(txn).await), Some(EtcdError::FutureRevision));
}
