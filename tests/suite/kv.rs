//! Put, get, delete.

use anyetcd::{EtcdError, KeyRange, all_keys, from_key, prefix};

use super::World;

pub(crate) async fn a_put_is_read_back_with_its_revisions(world: World) {
    let key = world.key("k");
    let created = world.client.put(&key, "one").await.unwrap().header.revision;
    let changed = world.client.put(&key, "two").await.unwrap().header.revision;
    let got = world.client.get(&key).await.unwrap();
    let kv = got.first().unwrap();
    assert_eq!((kv.key_str(), kv.value_str()), (Some(key.as_str()), Some("two")));
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (created, changed, 2));
    assert_eq!((got.count, got.more), (1, false));
}

pub(crate) async fn keys_and_values_are_any_bytes(world: World) {
    let base = world.key("");
    let all: Vec<u8> = (0..=255).collect();
    for byte in 0..=255u8 {
        let key = [base.as_bytes(), &[byte]].concat();
        world.client.put(&key, &all).await.unwrap();
    }
    let got = world.client.get(prefix(&base)).await.unwrap();
    assert_eq!(got.count, 256);
    for (byte, kv) in (0..=255u8).zip(&got.kvs) {
        assert_eq!(kv.key, [base.as_bytes(), &[byte]].concat());
        assert_eq!(kv.value, all);
    }
}

pub(crate) async fn a_value_may_be_empty(world: World) {
    let key = world.key("k");
    world.client.put(&key, "").await.unwrap();
    let got = world.client.get(&key).await.unwrap();
    assert_eq!((got.count, got.first().unwrap().value.len()), (1, 0));
    let absent = world.client.get(world.key("other")).await.unwrap();
    assert_eq!((absent.count, absent.first()), (0, None));
}

/// Whatever the length is modulo three, which is what base64 pads by.
pub(crate) async fn keys_and_values_are_of_any_length(world: World) {
    for length in [0, 1, 2, 3, 4, 5, 255, 256, 4095, 4096, 4097, 65_536, 65_537] {
        let key = world.key(&"k".repeat(length));
        let value: Vec<u8> = (0..length).map(|at| (at * 31 % 256) as u8).collect();
        world.client.put(&key, &value).await.unwrap();
        let got = world.client.get(&key).await.unwrap();
        assert_eq!(got.first().unwrap().key, key.as_bytes(), "length {length}");
        assert_eq!(got.first().unwrap().value, value, "length {length}");
    }
}

pub(crate) async fn the_header_says_who_answered_and_when(world: World) {
    let put = world.client.put(world.key("k"), "v").await.unwrap().header;
    let get = world.client.get(world.key("k")).await.unwrap().header;
    assert_ne!(put.cluster_id, 0);
    assert_ne!(put.member_id, 0);
    assert_ne!(put.raft_term, 0);
    assert_eq!((put.cluster_id, put.member_id), (get.cluster_id, get.member_id));
    assert!(get.revision >= put.revision);
    assert_eq!(world.client.cluster_id(), Some(put.cluster_id));
}

pub(crate) async fn a_put_returns_the_previous_pair_if_asked(world: World) {
    let key = world.key("k");
    let first = world.client.put(&key, "one").prev_kv().await.unwrap();
    assert_eq!(first.prev_kv, None, "there was none");
    assert_eq!(
        world.client.put(&key, "two").await.unwrap().prev_kv,
        None,
        "nobody asked"
    );
    let previous = world
        .client
        .put(&key, "three")
        .prev_kv()
        .await
        .unwrap()
        .prev_kv
        .unwrap();
    assert_eq!((previous.value_str(), previous.version), (Some("two"), 2));
    assert_eq!(previous.create_revision, first.header.revision);
}

pub(crate) async fn a_put_can_keep_the_value_and_change_the_lease(world: World) {
    let key = world.key("k");
    let lease = world.client.leases().grant(600).await.unwrap().id;
    world.client.put(&key, "kept").await.unwrap();
    world
        .client
        .put(&key, "")
        .ignore_value()
        .lease(lease)
        .await
        .unwrap();
    let got = world.client.get(&key).await.unwrap();
    let kv = got.first().unwrap();
    assert_eq!((kv.value_str(), kv.lease, kv.version), (Some("kept"), lease, 2));
    world.client.leases().revoke(lease).await.unwrap();
}

pub(crate) async fn a_put_can_keep_the_lease_and_change_the_value(world: World) {
    let key = world.key("k");
    let lease = world.client.leases().grant(600).await.unwrap().id;
    world.client.put(&key, "one").lease(lease).await.unwrap();
    world.client.put(&key, "two").ignore_lease().await.unwrap();
    let kept = world.client.get(&key).await.unwrap();
    assert_eq!(kept.first().unwrap().lease, lease);
    assert_eq!(kept.first().unwrap().value_str(), Some("two"));
    world.client.put(&key, "three").await.unwrap();
    let let_go = world.client.get(&key).await.unwrap();
    assert_eq!(let_go.first().unwrap().lease, 0);
    world.client.leases().revoke(lease).await.unwrap();
}

pub(crate) async fn what_a_missing_key_has_cannot_be_kept(world: World) {
    let key = world.key("missing");
    for put in [
        world.client.put(&key, "").ignore_value(),
        world.client.put(&key, "v").ignore_lease(),
    ] {
        let error = put.await.unwrap_err();
        assert_eq!(error.etcd(), Some(EtcdError::KeyNotFound));
        assert!(!error.is_outcome_unknown());
    }
    assert_eq!(world.client.get(&key).await.unwrap().count, 0);
}

pub(crate) async fn a_delete_says_how_many_keys_went_and_which(world: World) {
    for name in ["d/a", "d/b", "d/c", "e"] {
        world.client.put(world.key(name), name).await.unwrap();
    }
    let deleted = world
        .client
        .delete(prefix(world.key("d/")))
        .prev_kv()
        .await
        .unwrap();
    assert_eq!(deleted.deleted, 3);
    let values: Vec<_> = deleted.prev_kvs.iter().map(|kv| kv.value_str()).collect();
    assert_eq!(values, [Some("d/a"), Some("d/b"), Some("d/c")]);
    let one = world.client.delete(world.key("e")).await.unwrap();
    assert_eq!(
        (one.deleted, one.prev_kvs.len()),
        (1, 0),
        "nobody asked for the pair"
    );
    assert_eq!(
        world
            .client
            .get(prefix(world.key("")))
            .count_only()
            .await
            .unwrap()
            .count,
        0
    );
}

pub(crate) async fn a_delete_of_nothing_makes_no_revision(world: World) {
    // On a server of its own: elsewhere others make revisions.
    let server = world.own_server();
    let client = World::client_of(&server);
    let put = client.put("k", "v").await.unwrap().header.revision;
    let nothing = client.delete("missing").prev_kv().await.unwrap();
    assert_eq!((nothing.deleted, nothing.header.revision), (0, put));
    let gone = client.delete("k").await.unwrap();
    assert_eq!((gone.deleted, gone.header.revision), (1, put + 1));
}

pub(crate) async fn a_key_that_was_deleted_begins_anew(world: World) {
    let key = world.key("k");
    for value in ["one", "two", "three"] {
        world.client.put(&key, value).await.unwrap();
    }
    world.client.delete(&key).await.unwrap();
    let created = world.client.put(&key, "four").await.unwrap().header.revision;
    let got = world.client.get(&key).await.unwrap();
    let kv = got.first().unwrap();
    assert_eq!(
        (kv.version, kv.create_revision, kv.mod_revision),
        (1, created, created)
    );
}

/// After the table of etcd's own `TestKVDeleteRange`.
pub(crate) async fn a_delete_takes_the_keys_of_its_range_and_no_others(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let all = ["a", "b", "c", "c/abc", "d"];
    let cases: [(KeyRange, &[&str]); 7] = [
        (("a".."c").into(), &["c", "c/abc", "d"]),
        (("a".."c\0").into(), &["c/abc", "d"]),
        (prefix("c"), &["a", "b", "d"]),
        (from_key("c"), &["a", "b"]),
        ("c".into(), &["a", "b", "c/abc", "d"]),
        (("c".."a").into(), &all),
        (all_keys(), &[]),
    ];
    for (range, left) in cases {
        for key in all {
            client.put(key, "").await.unwrap();
        }
        let deleted = client.delete(range.clone()).await.unwrap().deleted;
        assert_eq!(deleted as usize, all.len() - left.len(), "{range:?}");
        let got = client.get(..).await.unwrap();
        let keys: Vec<_> = got.kvs.iter().filter_map(|kv| kv.key_str()).collect();
        assert_eq!(keys, left, "{range:?}");
    }
}
