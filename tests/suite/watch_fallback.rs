//! A watch over several ranges where streams get no answer: each of its ranges has a request, and a connection, of its own.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyetcd::error::WatchError;
use anyetcd::{Client, ErrorKind, Put, Runtime as _, Txn, Watch, WatchStatus, prefix};

use super::watch::{next, values};
use super::watch_ends::{STREAMS, WATCHERS};
use super::{Proxy, Server, World, eventually};

const KEYS: [&str; 3] = ["a/k", "b/k", "c/k"];

/// That streams get no answer takes five seconds to find out, and longer on a busy machine.
pub(super) const ENOUGH_TO_FALL_BACK: Duration = Duration::from_secs(60);

/// Where nothing listens.
const NOWHERE: &str = "127.0.0.1:1";

/// A watch over the three ranges, through what holds requests back.
async fn watch_through(proxy: &Proxy) -> Watch {
    proxy.hold_requests();
    let client = World::builder().endpoint(proxy.url()).build().unwrap();
    let call = client.watch(prefix("a/")).and(prefix("b/")).and(prefix("c/"));
    call.timeout(ENOUGH_TO_FALL_BACK).await.unwrap()
}

/// Writes to all keys at one revision.
async fn put_all(client: &Client, keys: &[&str], value: &str) -> i64 {
    let puts = keys.iter().map(|key| Put::new(*key, value));
    client.txn(Txn::new().then(puts)).await.unwrap().header.revision
}

/// Asserts that each of the keys is told with this value, and nothing else is.
async fn tells(watch: &mut Watch, keys: &[&str], value: &str) {
    let mut told = BTreeMap::new();
    while told.len() < keys.len() {
        let batch = next(watch).await;
        assert_eq!(values(batch.events()), [value], "of {:?}", batch.keys());
        let before = told.insert(batch.events()[0].kv.key.clone(), ());
        assert!(before.is_none(), "told twice");
    }
    assert!(told.into_keys().eq(keys.iter().copied()), "not those that were written");
}

fn now() -> Instant {
    crate::harness::runtime().now()
}

/// Waits until all of the watch is connected; since when.
async fn connected(watch: &Watch) -> Instant {
    eventually("all ranges are connected", || async {
        match watch.status() {
            WatchStatus::Connected { since } => Some(since),
            _ => None,
        }
    })
    .await
}

/// Each range is a watch of a stream of its own.
fn are_there(server: &Server, ranges: usize) {
    for gauge in [WATCHERS, STREAMS] {
        server.wait_for_metric(gauge, |count| count == ranges as f64);
    }
}

pub(crate) async fn ranges_on_requests_of_their_own_are_one_watch(world: World) {
    let server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let direct = World::client_of(&server);
    let mut watch = watch_through(&proxy).await;
    are_there(&server, 3);
    connected(&watch).await;
    put_all(&direct, &KEYS, "1").await;
    tells(&mut watch, &KEYS, "1").await;

    // One more, and one less.
    let handle = watch.handle();
    let added_after = now();
    handle.add("d").await.unwrap();
    are_there(&server, 4);
    let since = connected(&watch).await;
    assert!(since >= added_after, "not all of it was connected before");
    assert!(handle.remove(prefix("b/")));
    are_there(&server, 3);
    put_all(&direct, &["b/k"], "untold").await;
    put_all(&direct, &["a/k", "c/k", "d"], "2").await;
    tells(&mut watch, &["a/k", "c/k", "d"], "2").await;

    // And back again, from where it was left.
    let revision = put_all(&direct, &["b/k"], "3").await;
    handle.add_from(prefix("b/"), revision).await.unwrap();
    tells(&mut watch, &["b/k"], "3").await;
    are_there(&server, 4);
    handle.cancel();
    assert!(watch.try_next().await.unwrap().is_none());
    assert!(matches!(watch.status(), WatchStatus::Resting), "{:?}", watch.status());
    are_there(&server, 0);
}

pub(crate) async fn ranges_on_requests_of_their_own_are_as_far_as_the_last_of_them(world: World) {
    let server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let direct = World::client_of(&server);
    let mut watch = watch_through(&proxy).await;

    // Nobody can be asked there. Events show it, once all ranges have some.
    let written = put_all(&direct, &KEYS, "1").await;
    tells(&mut watch, &KEYS, "1").await;
    assert_eq!(watch.progress().await.unwrap(), written);
    assert_eq!(watch.position(), written + 1);

    // And what one of them was not told cannot be known of all.
    let elsewhere = put_all(&direct, &["a/k", "b/k"], "2").await;
    let error = watch.progress().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Watch(WatchError::ProgressUnknown)), "{error:?}");
    tells(&mut watch, &["a/k", "b/k"], "2").await;
    assert!(watch.position() <= elsewhere, "it may still come");

    // The ranges that go do not count any more.
    assert!(watch.handle().remove(prefix("c/")));
    assert_eq!(watch.progress().await.unwrap(), elsewhere);
    assert_eq!(watch.position(), elsewhere + 1);
    drop(watch);
    are_there(&server, 0);
}

pub(crate) async fn ranges_on_requests_of_their_own_come_back_from_a_cut(world: World) {
    let server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let direct = World::client_of(&server);
    let mut watch = watch_through(&proxy).await;
    put_all(&direct, &KEYS, "1").await;
    tells(&mut watch, &KEYS, "1").await;

    let cut_at = now();
    proxy.lead_to(NOWHERE.parse().unwrap());
    let since = eventually("the cut is noticed, and why", || async {
        match watch.status() {
            WatchStatus::Connecting { since, cause: Some(_) } => Some(since),
            _ => None,
        }
    })
    .await;
    assert!(since >= cut_at, "{:?} before the cut", cut_at - since);
    // A second one does not make it any younger.
    World::pause(Duration::from_millis(300)).await;
    let WatchStatus::Connecting { since: still, .. } = watch.status() else {
        panic!("{watch:?}");
    };
    assert!(cut_at <= still && still <= since);
    let written = put_all(&direct, &KEYS, "2").await;
    let back_at = now();
    proxy.lead_to(server.client_addr());
    assert!(connected(&watch).await >= back_at);
    tells(&mut watch, &KEYS, "2").await;
    let progress = watch.progress().await.unwrap();
    assert!(progress >= written, "{progress} of {written}");

    // One that leaves while nothing is connected does not come back.
    proxy.lead_to(NOWHERE.parse().unwrap());
    assert!(watch.handle().remove(prefix("a/")));
    put_all(&direct, &KEYS, "3").await;
    proxy.lead_to(server.client_addr());
    tells(&mut watch, &["b/k", "c/k"], "3").await;
    connected(&watch).await;
    are_there(&server, 2);
    drop(watch);
    are_there(&server, 0);
}
