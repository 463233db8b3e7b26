//! What a watch tells while nothing fails.

use std::collections::BTreeMap;

use anyetcd::error::{InvalidArgument, WatchError};
use anyetcd::message::{Event, EventType, WatchFilter};
use anyetcd::{Client, ErrorKind, EtcdError, ResumeToken, Txn, Put, Watch, WatchBatch, prefix};
use etcd_process::Dialect;

use super::{Server, World, eventually};

/// The next batch of a watch that has one.
pub(super) async fn next(watch: &mut Watch) -> WatchBatch {
    watch.try_next().await.unwrap().expect("the watch goes on")
}

/// Batches until `count` events have come.
pub(super) async fn events(watch: &mut Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(next(watch).await.into_events());
    }
    assert_eq!(events.len(), count, "not one more");
    events
}

pub(super) fn values(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event.kv.value_str().unwrap())
        .collect()
}

async fn put(client: &Client, key: &str, value: &str) -> i64 {
    client.put(key, value).await.unwrap().header.revision
}

pub(crate) async fn a_watch_tells_what_is_written_after_it_was_asked_for(world: World) {
    let (client, key) = (&world.client, world.key("k"));
    put(client, &key, "before").await;
    let mut watch = client.watch(&key).await.unwrap();
    // Others write to this server too: revisions need not follow each other.
    let first = put(client, &key, "1").await;
    let deleted = client.delete(&key).await.unwrap().header.revision;
    put(client, &world.key("other"), "x").await;
    let last = put(client, &key, "2").await;

    let events = events(&mut watch, 3).await;
    let kinds: Vec<_> = events.iter().map(|event| event.event_type.clone()).collect();
    assert_eq!(kinds, [EventType::Put, EventType::Delete, EventType::Put]);
    let revisions: Vec<_> = events.iter().map(|event| event.kv.mod_revision).collect();
    assert_eq!(revisions, [first, deleted, last]);
    assert_eq!(values(&events), ["1", "", "2"]);
    assert_eq!(watch.position(), last + 1);
}

pub(crate) async fn all_that_a_transaction_changed_is_in_one_batch(world: World) {
    let client = &world.client;
    let mut watch = client.watch(prefix(world.key("in/"))).await.unwrap();
    let keys: Vec<_> = (0..50).map(|n| world.key(&format!("in/{n:02}"))).collect();
    let puts = keys.iter().map(|key| Put::new(key, "v"));
    let outside = Put::new(world.key("out"), "v");
    let txn = Txn::new().then(puts.chain([outside]));
    let revision = client.txn(txn).await.unwrap().header.revision;

    let batch = next(&mut watch).await;
    assert_eq!(batch.events().len(), 50);
    assert!(batch.events().iter().all(|event| event.kv.mod_revision == revision));
    assert_eq!(batch.revision(), revision);
}

pub(crate) async fn history_is_told_from_the_revision_asked_for(world: World) {
    let (client, key) = (&world.client, world.key("k"));
    let mut revisions = Vec::new();
    // More than a server sends at a time.
    for n in 0..1200 {
        revisions.push(put(client, &key, &n.to_string()).await);
    }
    let mut watch = client.watch(&key).start_revision(revisions[10]).await.unwrap();
    let told = events(&mut watch, 1190).await;
    assert!(told.iter().map(|event| event.kv.mod_revision).eq(revisions[10..].iter().copied()));
    put(client, &key, "new").await;
    assert_eq!(values(&events(&mut watch, 1).await), ["new"]);
}

pub(crate) async fn a_watch_waits_for_a_revision_to_come(world: World) {
    // Nobody else makes revisions there.
    let server = world.own_server();
    let client = World::client_of(&server);
    let now = put(&client, "k", "0").await;
    let mut watch = client.watch("k").start_revision(now + 3).await.unwrap();
    for value in ["1", "2", "3"] {
        put(&client, "k", value).await;
    }
    let told = events(&mut watch, 1).await;
    assert_eq!((values(&told), told[0].kv.mod_revision), (vec!["3"], now + 3));
}

pub(crate) async fn filters_leave_out_what_they_name(world: World) {
    let (client, key) = (&world.client, world.key("k"));
    let mut puts = client.watch(&key).filter(WatchFilter::NoDelete).await.unwrap();
    let mut deletions = client.watch(&key).filter(WatchFilter::NoPut).await.unwrap();
    for value in ["1", "2"] {
        put(client, &key, value).await;
        client.delete(&key).await.unwrap();
    }
    assert_eq!(values(&events(&mut puts, 2).await), ["1", "2"]);
    let told = events(&mut deletions, 2).await;
    assert!(told.iter().all(|event| event.event_type == EventType::Delete));
}

pub(crate) async fn the_pair_before_comes_along_if_asked_for(world: World) {
    let (client, key) = (&world.client, world.key("k"));
    let mut with = client.watch(&key).prev_kv().await.unwrap();
    let mut without = client.watch(&key).await.unwrap();
    put(client, &key, "1").await;
    put(client, &key, "2").await;
    client.delete(&key).await.unwrap();
    let told = events(&mut with, 3).await;
    let before: Vec<_> = told
        .iter()
        .map(|event| event.prev_kv.as_ref().and_then(|kv| kv.value_str()))
        .collect();
    assert_eq!(before, [None, Some("1"), Some("2")]);
    let told = events(&mut without, 3).await;
    assert!(told.iter().all(|event| event.prev_kv.is_none()));
}

pub(crate) async fn messages_that_come_in_pieces_are_whole_batches(world: World) {
    let client = &world.client;
    let value = "x".repeat(100_000);
    let keys: Vec<_> = (0..10).map(|n| world.key(&format!("k{n}"))).collect();
    let mut first = 0;
    for _ in 0..4 {
        let txn = Txn::new().then(keys.iter().map(|key| Put::new(key, &value)));
        let revision = client.txn(txn).await.unwrap().header.revision;
        first = if first == 0 { revision } else { first };
    }
    let watch = client.watch(prefix(world.key("k"))).start_revision(first).fragment();
    let mut watch = watch.await.unwrap();
    let mut count: BTreeMap<i64, usize> = BTreeMap::new();
    while count.len() < 4 {
        let batch = next(&mut watch).await;
        for event in batch.events() {
            *count.entry(event.kv.mod_revision).or_default() += 1;
        }
        let last = batch.events().last().unwrap().kv.mod_revision;
        assert_eq!(count[&last], 10, "a revision was split");
    }
    assert!(count.values().all(|count| *count == 10), "{count:?}");
}

pub(crate) async fn a_watch_gains_and_loses_ranges_while_it_runs(world: World) {
    let client = &world.client;
    let (first, second) = (world.key("first"), world.key("second"));
    let mut watch = client.watch(&first).await.unwrap();
    let handle = watch.handle();
    put(client, &first, "1").await;
    assert_eq!(values(&events(&mut watch, 1).await), ["1"]);

    handle.add(&second).await.unwrap();
    handle.add(&second).await.unwrap();
    assert_eq!(handle.keys(), [(&first).into(), (&second).into()]);
    put(client, &second, "2").await;
    put(client, &first, "3").await;
    let mut told = events(&mut watch, 2).await;
    told.sort_by_key(|event| event.kv.mod_revision);
    assert_eq!(values(&told), ["2", "3"]);

    assert!(handle.remove(&first));
    assert!(!handle.remove(&first));
    put(client, &first, "4").await;
    put(client, &second, "5").await;
    assert_eq!(values(&events(&mut watch, 1).await), ["5"]);

    handle.remove(&second);
    assert!(watch.try_next().await.unwrap().is_none(), "nothing is left to watch");
    let error = handle.add(&first).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Watch(WatchError::Canceled)), "{error}");
}

pub(crate) async fn a_handle_ends_its_watch(world: World) {
    let mut watch = world.client.watch(world.key("k")).await.unwrap();
    let handle = watch.handle();
    let ((), end) = futures_util::future::join(async { handle.cancel() }, watch.try_next()).await;
    assert!(end.unwrap().is_none());
    assert!(watch.try_next().await.unwrap().is_none());
}

pub(crate) async fn a_callback_is_called_with_each_batch(world: World) {
    let (client, key) = (&world.client, world.key("k"));
    let watch = client.watch(&key).await.unwrap();
    for value in ["1", "2", "last"] {
        put(client, &key, value).await;
    }
    let handle = watch.handle();
    let mut told = Vec::new();
    let callback = |batch: WatchBatch| {
        told.extend(values(batch.events()).into_iter().map(str::to_owned));
        if told.last().is_some_and(|value| value == "last") {
            handle.cancel();
        }
        std::future::ready(())
    };
    watch.for_each(callback).await.unwrap();
    assert_eq!(told, ["1", "2", "last"]);
}

pub(crate) async fn a_token_is_where_another_watch_goes_on(world: World) {
    let (client, key) = (&world.client, world.key("k"));
    let mut watch = client.watch(&key).await.unwrap();
    put(client, &key, "1").await;
    put(client, &key, "2").await;
    let batch = next(&mut watch).await;
    let of_the_batch = batch.resume_token();
    assert_eq!(of_the_batch.revision(), batch.revision() + 1);
    assert_eq!(watch.resume_token(), of_the_batch);
    drop(watch);
    put(client, &key, "3").await;

    let stored = of_the_batch.to_string();
    let token: ResumeToken = stored.parse().unwrap();
    let anew = World::client_of(world.server());
    let mut watch = anew.watch(&key).resume(token).await.unwrap();
    let seen = batch.events().len();
    let rest = events(&mut watch, 3 - seen).await;
    assert_eq!(values(&rest), ["1", "2", "3"][seen..]);
}

pub(crate) async fn a_token_of_another_cluster_or_from_the_future_is_refused(world: World) {
    let client = &world.client;
    let revision = put(client, &world.key("k"), "v").await;
    let here = client.cluster_id().unwrap();
    for token in [
        ResumeToken::new(here ^ 1, revision),
        ResumeToken::new(here, revision + 1_000_000),
    ] {
        let error = client.watch(world.key("k")).resume(token).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ClusterChanged(_)), "{error}");
    }
}

pub(crate) async fn progress_is_the_revision_up_to_which_all_was_received(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let mut watch = client.watch("k").await.unwrap();
    // Nothing was written at all since: a server would not even answer.
    assert!(watch.progress().await.unwrap() >= 1);
    let last = put(&client, "k", "1").await;
    let told = eventually("the event shows it", || async {
        match watch.progress().await {
            Ok(revision) => Some(revision),
            // It took longer than the server is given where it cannot be asked.
            Err(error) => {
                let unknown = matches!(error.kind(), ErrorKind::Watch(WatchError::ProgressUnknown));
                assert!(unknown && world.dialect != Dialect::G2, "{error}");
                None
            }
        }
    });
    assert_eq!(told.await, last);
    assert_eq!(values(next(&mut watch).await.events()), ["1"]);

    // Something else was written: only the server knows that it was nothing of ours. A watch beside that starts after
    // it does not keep it from saying so.
    let elsewhere = put(&client, "elsewhere", "x").await;
    let _beside = client.watch("other").await.unwrap();
    match watch.progress().await {
        Ok(revision) => {
            assert_eq!(revision, elsewhere);
            assert_eq!(world.dialect, Dialect::G2, "this server's answer is worth nothing");
        }
        Err(error) => {
            let unknown = matches!(error.kind(), ErrorKind::Watch(WatchError::ProgressUnknown));
            assert!(unknown && world.dialect != Dialect::G2, "{error}");
        }
    }
}

pub(crate) async fn a_server_tells_of_progress_by_itself_where_it_was_asked_to(world: World) {
    let interval = "--experimental-watch-progress-notify-interval=200ms";
    let server = Server::builder(world.dialect).args([interval]).start();
    let client = World::client_of(&server);
    let mut watch = client.watch("k").progress_notify().await.unwrap();
    let mut quiet = client.watch("k").await.unwrap();
    let elsewhere = put(&client, "elsewhere", "x").await;
    let batch = next(&mut watch).await;
    assert!(batch.is_progress() && batch.revision() >= elsewhere);
    assert_eq!(watch.position(), batch.revision() + 1);
    put(&client, "k", "v").await;
    assert_eq!(values(next(&mut quiet).await.events()), ["v"], "who did not ask hears of none");
}

pub(crate) async fn what_cannot_be_watched_is_said_at_once(world: World) {
    let client = &world.client;
    let refused = |result: anyetcd::Result<Watch>| result.unwrap_err();
    let error = refused(client.watch("").await);
    let empty = ErrorKind::InvalidArgument(InvalidArgument::EmptyKey);
    assert_eq!(error.kind().to_string(), empty.to_string());
    let error = refused(client.watch("k").start_revision(0).await);
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)), "{error}");
    let error = refused(client.watch("b".."a").await);
    assert_eq!(error.etcd(), Some(EtcdError::WatchEmptyRange), "{error}");
}

pub(crate) async fn watches_of_a_client_do_not_disturb_each_other(world: World) {
    let client = &world.client;
    let mut watches = Vec::new();
    for n in 0..100 {
        watches.push(client.watch(world.key(&format!("k{n}"))).await.unwrap());
    }
    // Every other one goes.
    let mut kept: Vec<_> = watches.into_iter().enumerate().filter(|(n, _)| n % 2 == 0).collect();
    for n in 0..100 {
        put(client, &world.key(&format!("k{n}")), &n.to_string()).await;
    }
    for (n, watch) in &mut kept {
        assert_eq!(values(&events(watch, 1).await), [n.to_string()]);
    }
}
