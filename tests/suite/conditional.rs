//! Writes that happen only if a key is as expected.

use anyetcd::{ConditionalOutcome, EtcdError, KeyValue, prefix};
use futures_util::future::join_all;

use super::World;

/// What a refused write found: its value, or `None` if the key does not exist.
fn found<T>(outcome: ConditionalOutcome<T>) -> Option<KeyValue> {
    match outcome {
        ConditionalOutcome::Refused { current, .. } => current,
        _ => panic!("not refused"),
    }
}

async fn value(world: &World, key: &str) -> Option<String> {
    let got = world.client.get(key).await.unwrap();
    got.first()
        .map(|kv| kv.value_str().unwrap().to_owned())
}

pub(crate) async fn a_put_if_absent_creates_and_never_overwrites(world: World) {
    let key = world.key("k");
    let ConditionalOutcome::Applied(put) = world.client.put(&key, "mine").if_absent().await.unwrap() else {
        panic!("the key did not exist");
    };
    let current = found(
        world
            .client
            .put(&key, "yours")
            .if_absent()
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        (current.value_str(), current.mod_revision),
        (Some("mine"), put.header.revision)
    );
    assert_eq!(value(&world, &key).await.as_deref(), Some("mine"));
    world.client.delete(&key).await.unwrap();
    assert!(
        world
            .client
            .put(&key, "again")
            .if_absent()
            .await
            .unwrap()
            .is_applied()
    );
}

pub(crate) async fn of_many_that_put_if_absent_one_wins(world: World) {
    let key = world.key("k");
    let attempts = (0..16).map(|number| world.client.put(&key, format!("{number}")).if_absent());
    let outcomes = join_all(attempts.map(IntoFuture::into_future)).await;
    let winners: Vec<_> = outcomes
        .iter()
        .enumerate()
        .filter(|(_, outcome)| outcome.as_ref().unwrap().is_applied())
        .map(|(number, _)| number.to_string())
        .collect();
    assert_eq!(winners.len(), 1);
    let stored = value(&world, &key).await;
    assert_eq!(stored.as_deref(), Some(winners[0].as_str()));
    for refused in outcomes.into_iter().map(Result::unwrap) {
        if !refused.is_applied() {
            assert_eq!(found(refused).unwrap().value_str(), stored.as_deref());
        }
    }
}

pub(crate) async fn a_put_at_a_revision_happens_only_if_nobody_wrote_since(world: World) {
    let key = world.key("k");
    let seen = world.client.put(&key, "seen").await.unwrap().header.revision;
    let put = |revision| world.client.put(&key, "changed").if_mod_revision(revision);
    assert!(put(seen).await.unwrap().is_applied());
    let current = found(put(seen).await.unwrap()).unwrap();
    assert_eq!((current.value_str(), current.version), (Some("changed"), 2));
    world.client.delete(&key).await.unwrap();
    assert_eq!(found(put(current.mod_revision).await.unwrap()), None);
    // Revision 0 is that of a key which does not exist.
    assert!(put(0).await.unwrap().is_applied());
}

pub(crate) async fn a_put_on_a_value_is_compare_and_swap(world: World) {
    let key = world.key("k");
    let swap = |from: &'static str, to: &'static str| world.client.put(&key, to).if_value(from);
    assert_eq!(
        found(swap("", "x").await.unwrap()),
        None,
        "no key has no value, not an empty one"
    );
    world.client.put(&key, "").await.unwrap();
    assert!(swap("", "a").await.unwrap().is_applied());
    assert!(swap("a", "b").await.unwrap().is_applied());
    assert_eq!(
        found(swap("a", "c").await.unwrap()).unwrap().value_str(),
        Some("b")
    );
    assert_eq!(value(&world, &key).await.as_deref(), Some("b"));
}

pub(crate) async fn increments_by_compare_and_swap_all_count(world: World) {
    let key = world.key("counter");
    world.client.put(&key, "0").await.unwrap();
    let (clients, increments) = (4, 5);
    join_all((0..clients).map(async |_| {
        for _ in 0..increments {
            loop {
                let got = world.client.get(&key).await.unwrap();
                let kv = got.first().unwrap();
                let next = kv.value_str().unwrap().parse::<u32>().unwrap() + 1;
                let put = world.client.put(&key, next.to_string());
                if put
                    .if_mod_revision(kv.mod_revision)
                    .await
                    .unwrap()
                    .is_applied()
                {
                    break;
                }
            }
        }
    }))
    .await;
    let total = clients * increments;
    assert_eq!(
        value(&world, &key).await.as_deref(),
        Some(total.to_string().as_str())
    );
}

pub(crate) async fn a_conditional_put_keeps_its_options(world: World) {
    let key = world.key("k");
    let lease = world.client.leases().grant(600).await.unwrap().id;
    world.client.put(&key, "one").await.unwrap();
    let put = world.client.put(&key, "two").lease(lease).prev_kv();
    let ConditionalOutcome::Applied(applied) = put.if_value("one").await.unwrap() else {
        panic!("the key has this value");
    };
    assert_eq!(applied.prev_kv.unwrap().value_str(), Some("one"));
    let got = world.client.get(&key).await.unwrap();
    assert_eq!(got.first().unwrap().lease, lease);
    world.client.leases().revoke(lease).await.unwrap();
}

pub(crate) async fn a_conditional_put_fails_as_any_put_does(world: World) {
    let unknown_lease = 0x0bad_1ea5;
    let put = world
        .client
        .put(world.key("k"), "v")
        .lease(unknown_lease)
        .if_absent();
    assert_eq!(put.await.unwrap_err().etcd(), Some(EtcdError::LeaseNotFound));
    assert_eq!(value(&world, &world.key("k")).await, None);
}

pub(crate) async fn a_delete_at_a_revision_happens_only_if_nobody_wrote_since(world: World) {
    let key = world.key("job");
    let seen = world.client.put(&key, "seen").await.unwrap().header.revision;
    let newer = world
        .client
        .put(&key, "newer")
        .await
        .unwrap()
        .header
        .revision;
    let current = found(
        world
            .client
            .delete(&key)
            .if_mod_revision(seen)
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!(current.mod_revision, newer);
    let delete = world.client.delete(&key).prev_kv().if_mod_revision(newer);
    let ConditionalOutcome::Applied(deleted) = delete.await.unwrap() else {
        panic!("nobody wrote since");
    };
    assert_eq!(deleted.prev_kvs[0].value_str(), Some("newer"));
    assert_eq!(value(&world, &key).await, None);
}

pub(crate) async fn a_delete_on_a_value_happens_only_while_it_is_there(world: World) {
    let key = world.key("k");
    world.client.put(&key, "b").await.unwrap();
    let delete = |value: &'static str| world.client.delete(&key).if_value(value);
    assert_eq!(
        found(delete("a").await.unwrap()).unwrap().value_str(),
        Some("b")
    );
    assert!(delete("b").await.unwrap().is_applied());
    assert_eq!(found(delete("b").await.unwrap()), None);
}

pub(crate) async fn a_conditional_delete_of_a_range_asks_it_of_every_key(world: World) {
    for name in ["r/a", "r/b"] {
        world.client.put(world.key(name), "same").await.unwrap();
    }
    world.client.put(world.key("r/c"), "other").await.unwrap();
    let delete = || world.client.delete(prefix(world.key("r/"))).if_value("same");
    assert!(!delete().await.unwrap().is_applied());
    world.client.put(world.key("r/c"), "same").await.unwrap();
    let ConditionalOutcome::Applied(deleted) = delete().await.unwrap() else {
        panic!("all have this value");
    };
    assert_eq!(deleted.deleted, 3);
}
