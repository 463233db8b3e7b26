//! Ranges that are read and then followed.

use std::collections::BTreeMap;
use std::future::IntoFuture;

use anyetcd::error::WatchError;
use anyetcd::message::EventType;
use anyetcd::{BufferLimits, Client, ErrorKind, KeyValue, Mirror, ObservationStatus, Observe, Observed, Put, Txn, prefix};

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::proxy::Proxy;
use super::{World, eventually};

/// Keys with their values and the revisions that wrote them.
type State = BTreeMap<Vec<u8>, (Vec<u8>, i64)>;

fn entry(kv: &KeyValue) -> (Vec<u8>, (Vec<u8>, i64)) {
    (kv.key.to_vec(), (kv.value.to_vec(), kv.mod_revision))
}

async fn read(client: &Client, keys: &str) -> State {
    client.get(prefix(keys)).await.unwrap().kvs.iter().map(entry).collect()
}

/// Applies everything it is told.
#[derive(Default)]
struct Follower {
    state: State,
    revision: i64,
    synthetic: usize,
}

impl Follower {
    fn apply(&mut self, observed: Observed) {
        assert!(observed.revision() > self.revision, "{observed:?} after {}", self.revision);
        self.revision = observed.revision();
        match observed {
            Observed::Snapshot { kvs, .. } => self.state = kvs.iter().map(entry).collect(),
            Observed::Changes { events, is_synthetic, .. } => {
                self.synthetic += usize::from(is_synthetic);
                for event in events {
                    let (key, value) = entry(&event.kv);
                    if event.event_type == EventType::Delete {
                        assert!(self.state.remove(&key).is_some(), "deleted twice");
                    } else {
                        self.state.insert(key, value);
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes all there is to be taken now.
    async fn catch_up(&mut self, observe: &mut Observe) {
        observe.caught_up().await.unwrap();
        while let Some(next) = observe.try_next().now_or_never() {
            self.apply(next.unwrap().unwrap());
        }
        assert_eq!(self.revision, observe.revision());
    }
}

pub(crate) async fn a_snapshot_comes_first_and_then_every_change(world: World) {
    let (client, range) = (&world.client, world.key(""));
    for name in ["a", "b", "c"] {
        client.put(world.key(name), "1").await.unwrap();
    }
    let mut observe = client.observe(prefix(&range)).prev_kv().await.unwrap();
    let Some(Observed::Snapshot { revision, kvs }) = observe.try_next().await.unwrap() else {
        panic!("{observe:?}");
    };
    assert_eq!(kvs.len(), 3);

    // One transaction is one batch.
    let txn = Txn::new()
        .then([Put::new(world.key("a"), "2"), Put::new(world.key("d"), "1")])
        .then([anyetcd::Delete::new(world.key("b"))]);
    let written = client.txn(txn).await.unwrap().header.revision;
    let changes = loop {
        match observe.try_next().await.unwrap().unwrap() {
            Observed::Changes { revision, events, is_synthetic } => {
                assert!(revision == written && !is_synthetic);
                break events;
            }
            progress => assert!(progress.revision() > revision),
        }
    };
    let told: Vec<_> = changes
        .iter()
        .map(|event| {
            let before = event.prev_kv.as_ref().map(|kv| kv.value_str().unwrap().to_owned());
            (event.kv.key_str().unwrap().to_owned(), event.event_type.clone(), before)
        })
        .collect();
    assert_eq!(told, [
        (world.key("a"), EventType::Put, Some("1".into())),
        (world.key("d"), EventType::Put, None),
        (world.key("b"), EventType::Delete, Some("1".into())),
    ]);
    assert_eq!(observe.key_count(), 3);
    assert!(matches!(observe.status(), ObservationStatus::Following));
}

pub(crate) async fn an_observer_that_caught_up_has_what_there_is(world: World) {
    let (client, range) = (&world.client, world.key(""));
    let mut observe = client.observe(prefix(&range)).await.unwrap();
    let mut follower = Follower::default();
    for round in 0..20 {
        for number in 0..5 {
            client.put(world.key(&format!("{number}")), format!("{round}")).await.unwrap();
        }
        client.delete(world.key(&format!("{}", round % 5))).await.unwrap();
        follower.catch_up(&mut observe).await;
        assert_eq!(follower.state, read(client, &range).await, "round {round}");
    }
    assert_eq!(follower.synthetic, 0);
}

pub(crate) async fn what_is_received_and_not_taken_is_bounded_and_not_lost(world: World) {
    let (client, key) = (&world.client, world.key("k"));
    let limits = BufferLimits { events: 1000, bytes: usize::MAX };
    let mut observe = client.observe(key.as_str()).backlog_limits(limits).await.unwrap();
    assert!(matches!(observe.try_next().await.unwrap(), Some(Observed::Snapshot { .. })));
    // A server tells a watch that lies behind of a thousand revisions at a time.
    for _ in 0..22 {
        let puts = (0..50).map(|_| client.put(key.as_str(), "v").into_future());
        join_all(puts).await.into_iter().for_each(|put| drop(put.unwrap()));
    }
    let mut versions = Vec::new();
    let mut take = |observe: &mut Observe| {
        while let Some(next) = observe.try_next().now_or_never() {
            if let Observed::Changes { events, is_synthetic: false, .. } = next.unwrap().unwrap() {
                versions.extend(events.iter().map(|event| event.kv.version));
            }
        }
    };
    let error = observe.caught_up().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Watch(WatchError::BacklogFull)), "{error}");
    take(&mut observe);
    observe.caught_up().await.unwrap();
    take(&mut observe);
    assert!(versions.iter().copied().eq(1..=1100), "{versions:?}");
}

pub(crate) async fn a_compaction_while_nothing_is_heard_is_bridged_by_synthetic_events(world: World) {
    let server = world.own_server();
    let direct = World::client_of(&server);
    let proxy = Proxy::new(server.client_addr());
    let client = World::builder().endpoint(proxy.url()).build().unwrap();
    for number in 0..300 {
        direct.put(format!("k/{number:03}"), "1").await.unwrap();
    }
    let mut observe = client.observe(prefix("k/")).prev_kv().await.unwrap();
    let mut follower = Follower::default();
    follower.catch_up(&mut observe).await;
    assert_eq!(follower.state.len(), 300);

    for round in 0..3 {
        // Nobody listens where the proxy leads to now.
        proxy.lead_to("127.0.0.1:1".parse().unwrap());
        direct.delete(format!("k/{:03}", round * 10)).await.unwrap();
        direct.put(format!("k/{:03}", round * 10 + 1), "2").await.unwrap();
        // It comes and goes, and nobody will ever know.
        direct.put("k/ephemeral", "1").await.unwrap();
        let last = direct.delete("k/ephemeral").await.unwrap().header.revision;
        direct.compact(last).await.unwrap();
        proxy.lead_to(server.client_addr());
        let written = direct.put("k/999", format!("{round}")).await.unwrap().header.revision;
        while follower.revision < written {
            follower.apply(observe.try_next().await.unwrap().unwrap());
        }
        assert_eq!(follower.state, read(&direct, "k/").await);
        assert_eq!(follower.synthetic, round + 1, "one difference a compaction");
    }
}

pub(crate) async fn an_observer_outlives_restarts(world: World) {
    let mut server = world.own_server();
    let client = World::client_of(&server);
    client.put("k/0", "v").await.unwrap();
    let mut observe = client.observe(prefix("k/")).await.unwrap();
    let mut follower = Follower::default();
    follower.catch_up(&mut observe).await;
    for round in 1..=3 {
        server.kill();
        server.restart();
        let put = eventually("a put succeeds", || async { client.put(format!("k/{round}"), "v").await.ok() });
        let written = put.await.header.revision;
        while follower.revision < written {
            follower.apply(observe.try_next().await.unwrap().unwrap());
        }
        assert_eq!(follower.state, read(&client, "k/").await);
    }
    assert_eq!(follower.synthetic, 0);
}

fn pairs(mirror: &Mirror) -> State {
    mirror.view().iter().map(|(_, kv)| entry(kv)).collect()
}

pub(crate) async fn a_mirror_shows_what_was_written_before_it_was_synced(world: World) {
    let (client, range) = (&world.client, world.key(""));
    client.put(world.key("a"), "1").await.unwrap();
    let mirror = client.mirror(prefix(&range)).await.unwrap();
    assert_eq!((mirror.len(), mirror.get(world.key("a")).unwrap().value.as_ref()), (1, &b"1"[..]));
    let before = mirror.view();
    for round in 0..20 {
        client.put(world.key(&format!("{}", round % 3)), format!("{round}")).await.unwrap();
        if round % 4 == 0 {
            client.delete(world.key("1")).await.unwrap();
        }
        mirror.sync().await.unwrap();
        assert_eq!(pairs(&mirror), read(client, &range).await, "round {round}");
    }
    let written = client.put(world.key("z"), "last").await.unwrap().header.revision;
    mirror.wait_for(written).await.unwrap();
    assert_eq!(mirror.get(world.key("z")).unwrap().mod_revision, written);
    assert_eq!(before.len(), 1, "a view stays as it is");
    let below: Vec<_> = mirror.view().range(prefix(world.key("z"))).map(|(key, _)| key.clone()).collect();
    assert_eq!(below, [world.key("z")]);
    // What is written elsewhere does not keep it from being in sync.
    client.put("elsewhere", "v").await.unwrap();
    mirror.sync().await.unwrap();
}

pub(crate) async fn a_large_mirror_is_synced_as_well(world: World) {
    let (client, range) = (&world.client, world.key(""));
    for chunk in 0..12 {
        let puts = (0..100).map(|number| Put::new(world.key(&format!("{chunk:02}{number:02}")), "v"));
        client.txn(Txn::new().then(puts)).await.unwrap();
    }
    let mirror = client.mirror(prefix(&range)).await.unwrap();
    assert_eq!(mirror.len(), 1200);
    mirror.sync().await.unwrap();
    let deleted = client.delete(prefix(world.key("00"))).await.unwrap();
    assert_eq!(deleted.deleted, 100);
    mirror.sync().await.unwrap();
    assert_eq!(mirror.len(), 1100);
}

pub(crate) async fn a_mirror_holds_values_of_any_type(world: World) {
    let client = &world.client;
    client.put(world.key("a"), "17").await.unwrap();
    let numbers = client
        .mirror(prefix(world.key("")))
        .decode(|kv| kv.value_str().and_then(|text| text.parse::<u32>().ok()))
        .await
        .unwrap();
    assert_eq!(numbers.get(world.key("a")), Some(Some(17)));
    let mut updates = numbers.updates();
    assert_eq!(updates.next().await.unwrap().len(), 1);
    client.put(world.key("b"), "many").await.unwrap();
    let view = updates.next().await.unwrap();
    assert_eq!((view.get(world.key("b")), view.get(world.key("a"))), (Some(&None), Some(&Some(17))));
}

pub(crate) async fn a_mirror_says_that_it_is_out_of_date_and_comes_back(world: World) {
    let mut server = world.own_server();
    let client = World::client_of(&server);
    client.put("k/0", "v").await.unwrap();
    let mirror = client.mirror(prefix("k/")).await.unwrap();
    mirror.sync().await.unwrap();
    eventually("it follows", || async {
        matches!(mirror.status(), ObservationStatus::Following).then_some(())
    })
    .await;
    server.kill();
    eventually("the interruption shows", || async {
        matches!(mirror.status(), ObservationStatus::Interrupted { .. }).then_some(())
    })
    .await;
    assert_eq!(mirror.len(), 1, "it still shows what it has");
    server.restart();
    let put = eventually("a put succeeds", || async { client.put("k/1", "v").await.ok() });
    mirror.wait_for(put.await.header.revision).await.unwrap();
    assert_eq!(mirror.len(), 2);
}

pub(crate) async fn a_dropped_mirror_leaves_no_watcher(world: World) {
    let server = world.own_server();
    let watchers = "etcd_debugging_mvcc_watcher_total";
    let client = World::client_of(&server);
    let mirror = client.mirror(prefix("k/")).await.unwrap();
    let mut observe = client.observe(prefix("k/")).await.unwrap();
    observe.caught_up().await.unwrap();
    client.put("k/1", "v").await.unwrap();
    observe.caught_up().await.unwrap();
    mirror.sync().await.unwrap();
    server.wait_for_metric(watchers, |count| count == 2.0);
    drop((mirror, observe));
    server.wait_for_metric(watchers, |count| count == 0.0);
}
