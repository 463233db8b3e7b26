//! Leases.

use std::time::Instant;

use anyetcd::error::InvalidArgument;
use anyetcd::message::MAX_LEASE_TTL;
use anyetcd::{ErrorKind, EtcdError, prefix};

use super::World;

/// A lease that no server here has granted.
const UNKNOWN: i64 = 0x0bad_1ea5;

/// A lease id that no other behaviour uses.
fn own_id(world: &World) -> i64 {
    let digits: String = world.key("").chars().filter(char::is_ascii_digit).collect();
    0x00c0_ffee_0000 + digits.parse::<i64>().unwrap()
}

pub(crate) async fn a_granted_lease_is_listed_and_lives(world: World) {
    let leases = world.client.leases();
    let granted = leases.grant(600).await.unwrap();
    assert_eq!((granted.ttl, granted.error.as_str()), (600, ""));
    assert_ne!(granted.id, 0);
    assert!(
        leases
            .list()
            .await
            .unwrap()
            .leases
            .iter()
            .any(|lease| lease.id == granted.id)
    );
    let status = leases.time_to_live(granted.id).await.unwrap();
    assert_eq!((status.id, status.granted_ttl), (granted.id, 600));
    assert!(status.is_alive() && status.ttl <= 600);
    leases.revoke(granted.id).await.unwrap();
    assert!(
        !leases
            .list()
            .await
            .unwrap()
            .leases
            .iter()
            .any(|lease| lease.id == granted.id)
    );
}

pub(crate) async fn a_lease_takes_the_id_it_is_given_once(world: World) {
    let (leases, id) = (world.client.leases(), own_id(&world));
    assert_eq!(leases.grant(600).id(id).await.unwrap().id, id);
    let error = leases.grant(600).id(id).await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::LeaseExists));
    assert!(!error.is_outcome_unknown());
    leases.revoke(id).await.unwrap();
    assert_eq!(leases.grant(600).id(id).await.unwrap().id, id, "it is free again");
    leases.revoke(id).await.unwrap();
}

pub(crate) async fn a_lease_id_may_be_negative(world: World) {
    let (leases, id, key) = (world.client.leases(), -own_id(&world), world.key("k"));
    assert_eq!(leases.grant(600).id(id).await.unwrap().id, id);
    world.client.put(&key, "v").lease(id).await.unwrap();
    assert_eq!(
        world.client.get(&key).await.unwrap().first().unwrap().lease,
        id
    );
    assert_eq!(leases.keep_alive_once(id).await.unwrap().id, id);
    assert!(leases.time_to_live(id).await.unwrap().is_alive());
    leases.revoke(id).await.unwrap();
    assert_eq!(world.client.get(&key).await.unwrap().count, 0);
}

pub(crate) async fn the_extreme_ids_are_carried_exactly(world: World) {
    let leases = world.client.leases();
    for id in [i64::MAX - own_id(&world), i64::MIN + own_id(&world)] {
        assert_eq!(leases.grant(600).id(id).await.unwrap().id, id);
        assert!(
            leases
                .list()
                .await
                .unwrap()
                .leases
                .iter()
                .any(|lease| lease.id == id)
        );
        leases.revoke(id).await.unwrap();
    }
}

pub(crate) async fn the_longest_lease_is_granted_and_a_longer_one_not_asked_for(world: World) {
    let leases = world.client.leases();
    let longest = leases.grant(MAX_LEASE_TTL).await.unwrap();
    assert_eq!(longest.ttl, MAX_LEASE_TTL);
    leases.revoke(longest.id).await.unwrap();
    let error = leases.grant(MAX_LEASE_TTL + 1).await.unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::InvalidArgument(InvalidArgument::TtlTooLarge { .. })
    ));
}

pub(crate) async fn a_lease_shorter_than_the_server_likes_is_made_longer(world: World) {
    let granted = world.client.leases().grant(1).await.unwrap();
    assert!(granted.ttl > 1, "{granted:?}");
    // It may be over by then.
    if let Err(error) = world.client.leases().revoke(granted.id).await {
        assert_eq!(error.etcd(), Some(EtcdError::LeaseNotFound));
    }
}

pub(crate) async fn what_needs_a_lease_says_when_there_is_none(world: World) {
    let leases = world.client.leases();
    let put = world.client.put(world.key("k"), "v").lease(UNKNOWN);
    for error in [
        leases.revoke(UNKNOWN).await.map(drop).unwrap_err(),
        leases.keep_alive_once(UNKNOWN).await.map(drop).unwrap_err(),
        put.await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.etcd(), Some(EtcdError::LeaseNotFound), "{error}");
        assert!(!error.is_outcome_unknown(), "{error}");
    }
    let status = leases.time_to_live(UNKNOWN).keys().await.unwrap();
    assert_eq!((status.ttl, status.is_alive(), status.keys.len()), (-1, false, 0));
}

pub(crate) async fn a_lease_tells_its_keys_only_if_asked(world: World) {
    let leases = world.client.leases();
    let id = leases.grant(600).await.unwrap().id;
    let mut expected = [world.key("a"), world.key("b\u{e9}"), world.key("c")];
    for key in &expected {
        world.client.put(key, "v").lease(id).await.unwrap();
    }
    assert_eq!(leases.time_to_live(id).await.unwrap().keys.len(), 0);
    let mut keys = leases.time_to_live(id).keys().await.unwrap().keys;
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    leases.revoke(id).await.unwrap();
}

pub(crate) async fn revoking_a_lease_deletes_its_keys_and_no_others(world: World) {
    let leases = world.client.leases();
    let (going, staying) = (leases.grant(600).await.unwrap().id, leases.grant(600).await.unwrap().id);
    world
        .client
        .put(world.key("a"), "v")
        .lease(going)
        .await
        .unwrap();
    world
        .client
        .put(world.key("b"), "v")
        .lease(staying)
        .await
        .unwrap();
    world.client.put(world.key("c"), "v").await.unwrap();
    // A key belongs to the lease it was last put with.
    world
        .client
        .put(world.key("d"), "v")
        .lease(going)
        .await
        .unwrap();
    world
        .client
        .put(world.key("d"), "v")
        .lease(staying)
        .await
        .unwrap();
    let revoked = leases.revoke(going).await.unwrap();
    let left = world.client.get(prefix(world.key(""))).await.unwrap();
    let left: Vec<_> = left.kvs.iter().filter_map(|kv| kv.key_str()).collect();
    assert_eq!(left, [world.key("b"), world.key("c"), world.key("d")]);
    assert!(revoked.header.revision > 0);
    let error = leases.revoke(going).await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::LeaseNotFound));
    leases.revoke(staying).await.unwrap();
}

pub(crate) async fn a_lease_nobody_renews_takes_its_keys_along(world: World) {
    let (leases, key) = (world.client.leases(), world.key("k"));
    let id = leases.grant(5).await.unwrap().id;
    world.client.put(&key, "v").lease(id).await.unwrap();
    World::until(async || world.client.get(&key).await.unwrap().count == 0).await;
    assert!(!leases.time_to_live(id).await.unwrap().is_alive());
    let error = leases.keep_alive_once(id).await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::LeaseNotFound));
    assert!(!error.is_outcome_unknown());
}

pub(crate) async fn a_renewal_gives_the_full_time_again(world: World) {
    let leases = world.client.leases();
    let id = leases.grant(600).await.unwrap().id;
    World::until(async || leases.time_to_live(id).await.unwrap().ttl <= 598).await;
    let asked = Instant::now();
    let renewed = leases.keep_alive_once(id).await.unwrap();
    assert_eq!((renewed.id, renewed.ttl), (id, 600));
    let left = leases.time_to_live(id).await.unwrap().ttl;
    // Whole seconds rounded down: without the renewal there were one less.
    let passed = asked.elapsed().as_secs() as i64;
    assert!(left >= 599 - passed, "{left} s left {passed} s after the renewal");
    leases.revoke(id).await.unwrap();
}
