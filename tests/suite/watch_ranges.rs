//! A watch over several ranges, of which one ends: it says which, and the others go on.

use std::collections::BTreeMap;

use anyetcd::error::WatchError;
use anyetcd::{BufferLimits, BufferPolicy, Client, Error, ErrorKind, KeyRange, ResumeToken, Watch, WatchBatch, prefix};

use etcd_process::Dialect;

use super::watch::{next, values};
use super::watch_ends::WATCHERS;
use super::{Proxy, World};

async fn put(client: &Client, key: &str, value: impl ToString) -> i64 {
    client.put(key, value.to_string()).await.unwrap().header.revision
}

/// What ended a range, and which.
async fn ending(watch: &mut Watch) -> (Error, KeyRange) {
    let error = watch.try_next().await.unwrap_err();
    let keys = error.keys().expect("it names its range").clone();
    (error, keys)
}

fn is_compacted(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Watch(WatchError::Compacted { .. }))
}

fn is_progress_unknown(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Watch(WatchError::ProgressUnknown))
}

fn through(proxy: &Proxy) -> Client {
    World::builder().endpoint(proxy.url()).build().unwrap()
}

/// The values that each range has told, by its first key. Ranges come in an order of their own.
type Told = BTreeMap<String, Vec<String>>;

fn note(told: &mut Told, batch: &WatchBatch) {
    let range = String::from_utf8(batch.keys().key().to_vec()).unwrap();
    let values = values(batch.events()).into_iter().map(str::to_owned);
    told.entry(range).or_default().extend(values);
}

/// The next `count` events.
async fn told(watch: &mut Watch, count: usize) -> Told {
    let mut told = Told::new();
    while told.values().map(Vec::len).sum::<usize>() < count {
        note(&mut told, &next(watch).await);
    }
    told
}

fn lists<const N: usize>(lists: [(&str, &[&str]); N]) -> Told {
    let owned = |list: &[&str]| list.iter().map(|value| (*value).to_owned()).collect();
    lists.into_iter().map(|(key, list)| (key.to_owned(), owned(list))).collect()
}

pub(crate) async fn a_watch_may_begin_with_several_ranges(world: World) {
    let client = &world.client;
    let [a, b, c] = ["a/", "b/", "c/"].map(|prefix| world.key(prefix));
    let call = client.watch(prefix(a.as_str())).and(prefix(b.as_str())).and(prefix(a.as_str()));
    let mut watch = call.await.unwrap();
    assert_eq!(watch.handle().keys(), [prefix(a.as_str()), prefix(b.as_str())]);
    put(client, &format!("{c}1"), 1).await;
    let first = put(client, &format!("{b}1"), 2).await;
    let second = put(client, &format!("{a}1"), 3).await;
    let mut revisions = Vec::new();
    while revisions.len() < 2 {
        revisions.push(watch.try_next().await.unwrap().unwrap().revision());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, [first, second]);

    // All or nothing, and it says for which it is nothing.
    let error = client.watch(a.as_str()).and("").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument(_)), "{error}");
    let error = client.watch(a.as_str()).and("b".."a").await.unwrap_err();
    assert_eq!(error.keys(), Some(&KeyRange::from("b".."a")));
}

pub(crate) async fn the_end_of_a_range_names_it_and_the_others_go_on(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let first = put(&client, "b/1", "old").await;
    let last = put(&client, "b/1", "new").await;
    client.compact(last).await.unwrap();

    let mut watch = client.watch("a").await.unwrap();
    let handle = watch.handle();
    handle.add_from(prefix("b/"), first).await.unwrap();
    handle.add("c").await.unwrap();
    let (error, keys) = ending(&mut watch).await;
    assert!(is_compacted(&error) && keys == prefix("b/"), "{error:?} of {keys:?}");
    assert!(!format!("{error} {error:?}").contains("b/"), "keys are not printed");
    assert_eq!(handle.keys(), ["a".into(), "c".into()]);
    // It is gone from the server too, which would not answer a request for progress otherwise.
    server.wait_for_metric(WATCHERS, |watchers| watchers == 2.0);
    let elsewhere = put(&client, "elsewhere", 1).await;
    match watch.progress().await {
        Ok(revision) => assert_eq!(revision, elsewhere),
        Err(error) => assert!(is_progress_unknown(&error) && world.dialect != Dialect::G2, "{error}"),
    }

    put(&client, "a", 1).await;
    put(&client, "b/1", 1).await;
    put(&client, "c", 1).await;
    assert_eq!(told(&mut watch, 2).await, lists([("a", &["1"]), ("c", &["1"])]));
    handle.add(keys).await.unwrap();
    put(&client, "b/1", 2).await;
    put(&client, "a", 2).await;
    assert_eq!(told(&mut watch, 2).await, lists([("a", &["2"]), ("b/", &["2"])]));
}

pub(crate) async fn ranges_that_lost_their_history_while_away_are_named_one_by_one(world: World) {
    let server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let (direct, client) = (World::client_of(&server), through(&proxy));
    let mut watch = client.watch("a").await.unwrap();
    let handle = watch.handle();
    handle.add("b").await.unwrap();

    // Nobody listens where the proxy leads to now.
    proxy.lead_to("127.0.0.1:1".parse().unwrap());
    put(&direct, "a", "lost").await;
    put(&direct, "b", "lost").await;
    let newest = put(&direct, "elsewhere", "v").await;
    direct.compact(newest).await.unwrap();
    proxy.lead_to(server.client_addr());

    let mut ended = Vec::new();
    for _ in 0..2 {
        let (error, keys) = ending(&mut watch).await;
        assert!(is_compacted(&error), "{error:?}");
        ended.push(keys);
    }
    ended.sort_by_key(|keys| keys.key().clone());
    assert_eq!(ended, ["a".into(), "b".into()]);
    // As long as the stream has not ended, a range may come back, also the last.
    assert!(handle.keys().is_empty());
    handle.add("b").await.unwrap();
    put(&direct, "b", "told").await;
    assert_eq!(told(&mut watch, 1).await, lists([("b", &["told"])]));
    assert!(handle.remove("b"));
    assert!(watch.try_next().await.unwrap().is_none(), "nothing is left to watch");
    let error = handle.add("a").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Watch(WatchError::Canceled)), "{error:?}");
}

pub(crate) async fn a_range_that_lags_is_named_and_resumed_and_the_others_go_on(world: World) {
    let client = World::client_of(world.server());
    let limits = BufferLimits {
        events: 10,
        bytes: usize::MAX,
    };
    let (calm, busy) = (world.key("calm"), world.key("busy"));
    let call = client.watch(&calm).buffer(BufferPolicy::Lag).buffer_limits(limits);
    let mut watch = call.await.unwrap();
    let handle = watch.handle();
    handle.add(&busy).await.unwrap();
    // It is told of each write by itself from now on: for a batch of many there would be room.
    put(&world.client, &busy, "first").await;
    assert_eq!(told(&mut watch, 1).await, lists([(&busy, &["first"])]));
    let mut other = client.watch(&busy).await.unwrap();
    for number in 0..50 {
        put(&world.client, &busy, number).await;
    }
    // They share a connection: what has come to one has come to both.
    super::watch::events(&mut other, 50).await;
    put(&world.client, &calm, "1").await;

    let mut told = Told::new();
    let position = loop {
        match watch.try_next().await {
            Ok(batch) => note(&mut told, &batch.unwrap()),
            Err(error) => {
                assert_eq!(error.keys(), Some(&busy.as_str().into()));
                match error.kind() {
                    ErrorKind::Watch(WatchError::Lagged { position }) => break *position,
                    kind => panic!("{kind:?}"),
                }
            }
        }
    };
    let token = ResumeToken::new(client.cluster_id().unwrap(), position);
    handle.add_resumed(&busy, token).await.unwrap();
    put(&world.client, &calm, "2").await;
    while told.values().map(Vec::len).sum::<usize>() < 52 {
        note(&mut told, &next(&mut watch).await);
    }
    let numbers: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!((&told[&busy], &told[&calm]), (&numbers, &vec!["1".to_owned(), "2".to_owned()]));
}
