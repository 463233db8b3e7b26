//! The server's locks.

use anyetcd::message::LockResponse;
use anyetcd::{Client, ErrorKind, EtcdError, Result, prefix};
use etcd_process::Dialect;
use futures_util::future::join;

use super::World;
use super::line::{ENOUGH_TO_QUEUE, leaves_when_dropped, until_in_line};

async fn lease(client: &Client) -> i64 {
    client.leases().grant(600).await.unwrap().id
}

/// Whether the lock's key exists, which is what holding it means.
async fn is_held(world: &World, lock: &LockResponse) -> bool {
    world.client.get(&lock.key).await.unwrap().count == 1
}

pub(crate) async fn a_free_lock_is_taken_at_once_under_a_key_of_its_lease(world: World) {
    let (name, lease) = (world.key("l"), lease(&world.client).await);
    let held = world.client.locks().lock(&name, lease).await.unwrap();
    assert_eq!(held.key, format!("{name}/{lease:x}"));
    let kv = world.client.get(&held.key).await.unwrap();
    assert_eq!(kv.first().unwrap().lease, lease);
    // The lease that holds it may ask again.
    let again = world.client.locks().lock(&name, lease).await.unwrap();
    assert_eq!(again.key, held.key);
    world.client.locks().unlock(&held.key).await.unwrap();
    assert!(!is_held(&world, &held).await);
    world
        .client
        .locks()
        .unlock(held.key)
        .await
        .expect("unlocking twice is no error");
    world.client.leases().revoke(lease).await.unwrap();
}

pub(crate) async fn locks_of_other_names_do_not_wait_for_each_other(world: World) {
    let lease = lease(&world.client).await;
    for name in [&b"a"[..], b"a/b", b"\0\xff", b"ab"] {
        let name = [world.key("").as_bytes(), name].concat();
        let held = world.client.locks().lock(&name, lease).await.unwrap();
        assert!(held.key.starts_with(&name));
    }
    world.client.leases().revoke(lease).await.unwrap();
    assert_eq!(world.client.get(prefix(world.key(""))).await.unwrap().count, 0);
}

pub(crate) async fn a_lock_goes_to_the_next_in_line_when_it_is_released(world: World) {
    let (name, locks) = (world.key("l"), world.client.locks());
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(lease(&world.client).await);
    }
    let first = locks.lock(&name, leases[0]).await.unwrap();
    let second = async {
        let held = locks.lock(&name, leases[1]).await.unwrap();
        assert!(!is_held(&world, &first).await, "two held the lock");
        // The third came later, and still waits.
        until_in_line(&world, &name, 2).await;
        locks.unlock(&held.key).await.unwrap();
        held
    };
    let third = async {
        until_in_line(&world, &name, 2).await;
        let release = async {
            until_in_line(&world, &name, 3).await;
            locks.unlock(&first.key).await.unwrap();
        };
        join(locks.lock(&name, leases[2]).into_future(), release).await.0.unwrap()
    };
    let (second, third) = join(second, third).await;
    assert!(!is_held(&world, &second).await && is_held(&world, &third).await);
    for lease in leases {
        world.client.leases().revoke(lease).await.unwrap();
    }
}

pub(crate) async fn a_lock_goes_on_when_the_lease_that_holds_it_ends(world: World) {
    let name = world.key("l");
    let (holder, waiter) = (lease(&world.client).await, lease(&world.client).await);
    let first = world.client.locks().lock(&name, holder).await.unwrap();
    let revoke = async {
        until_in_line(&world, &name, 2).await;
        world.client.leases().revoke(holder).await.unwrap();
    };
    let (second, ()) = join(world.client.locks().lock(&name, waiter).into_future(), revoke).await;
    assert!(is_held(&world, &second.unwrap()).await && !is_held(&world, &first).await);
    world.client.leases().revoke(waiter).await.unwrap();
}

pub(crate) async fn a_dropped_waiter_leaves_the_line(world: World) {
    for attempt in 0..3 {
        if a_waiter_leaves(&world, &world.key(&format!("l{attempt}"))).await {
            return;
        }
    }
    panic!("no waiter that was dropped has left the line");
}

/// Whether a waiter that is dropped leaves the line, and the lock where it was.
async fn a_waiter_leaves(world: &World, name: &str) -> bool {
    let (holder, waiter) = (lease(&world.client).await, lease(&world.client).await);
    let held = world.client.locks().lock(name, holder).await.unwrap();
    let second = world.client.locks().lock(name, waiter).into_future();
    let has_left = leaves_when_dropped(world, name, second).await;
    assert!(is_held(world, &held).await);
    for lease in [holder, waiter] {
        world.client.leases().revoke(lease).await.unwrap();
    }
    has_left
}

pub(crate) async fn a_lock_that_is_not_free_in_time_is_given_up(world: World) {
    let name = world.key("l");
    let impatient = World::builder()
        .endpoint(world.server().client_url())
        .wait_timeout(ENOUGH_TO_QUEUE)
        .build()
        .unwrap();
    let (holder, waiter) = (lease(&world.client).await, lease(&world.client).await);
    let held = world.client.locks().lock(&name, holder).await.unwrap();
    let own_timeout = world
        .client
        .locks()
        .lock(&name, waiter)
        .timeout(ENOUGH_TO_QUEUE);
    for call in [impatient.locks().lock(&name, waiter), own_timeout] {
        let error = call.await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
        // Its key was written, and is taken back a moment later.
        assert!(error.is_outcome_unknown());
        until_in_line(&world, &name, 1).await;
    }
    assert!(is_held(&world, &held).await);
    for lease in [holder, waiter] {
        world.client.leases().revoke(lease).await.unwrap();
    }
}

pub(crate) async fn a_lock_cannot_be_held_by_a_lease_that_is_gone(world: World) {
    let error = world
        .client
        .locks()
        .lock(world.key("l"), 0x0bad_1ea5)
        .await
        .unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::LeaseNotFound));
    assert_eq!(world.client.get(prefix(world.key(""))).await.unwrap().count, 0);
}

pub(crate) async fn a_waiter_whose_lease_ends_does_not_get_the_lock(world: World) {
    let name = world.key("l");
    let (holder, waiter) = (lease(&world.client).await, lease(&world.client).await);
    let held = world.client.locks().lock(&name, holder).await.unwrap();
    let lose = async {
        until_in_line(&world, &name, 2).await;
        world.client.leases().revoke(waiter).await.unwrap();
        world.client.locks().unlock(&held.key).await.unwrap();
    };
    let (got, ()): (Result<LockResponse>, ()) =
        join(world.client.locks().lock(&name, waiter).into_future(), lose).await;
    match (world.dialect, got) {
        (_, Err(error)) => assert_eq!(error.etcd(), Some(EtcdError::SessionExpired), "{error}"),
        // etcd 3.4 does not notice. Whoever takes the lock there has to look whether its key exists.
        (Dialect::G1_6, Ok(lock)) => assert!(!is_held(&world, &lock).await),
        (_, Ok(lock)) => panic!("got {lock:?}"),
    }
    world.client.leases().revoke(holder).await.unwrap();
}
