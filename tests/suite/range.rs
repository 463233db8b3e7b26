//! Every option of a read.

use std::cmp::Ordering;

use anyetcd::message::GetResponse;
use anyetcd::{KeyRange, KeyValue, SortOrder, SortTarget, all_keys, from_key, prefix};

use super::World;

/// The part of each key after the behaviour's own prefix.
fn names<'r>(world: &World, response: &'r GetResponse) -> Vec<&'r str> {
    let base = world.key("").len();
    response
        .kvs
        .iter()
        .map(|kv| &kv.key_str().unwrap()[base..])
        .collect()
}

/// Writes keys one by one, so that each has a revision of its own.
async fn write(world: &World, names: &[&str]) -> Vec<i64> {
    let mut revisions = Vec::new();
    for name in names {
        let put = world.client.put(world.key(name), *name).await.unwrap();
        revisions.push(put.header.revision);
    }
    revisions
}

pub(crate) async fn a_limit_cuts_the_answer_and_says_so(world: World) {
    write(&world, &["a", "b", "c", "d", "e"]).await;
    let all = prefix(world.key(""));
    for limit in [1, 2, 4] {
        let got = world.client.get(all.clone()).limit(limit).await.unwrap();
        assert_eq!(
            (got.kvs.len() as i64, got.count, got.more),
            (limit, 5, true),
            "limit {limit}"
        );
    }
    for limit in [0, 5, 6] {
        let got = world.client.get(all.clone()).limit(limit).await.unwrap();
        assert_eq!(
            (got.kvs.len(), got.count, got.more),
            (5, 5, false),
            "limit {limit}"
        );
    }
}

pub(crate) async fn a_limit_is_applied_after_sorting(world: World) {
    write(&world, &["c", "a", "d", "b"]).await;
    let newest = world
        .client
        .get(prefix(world.key("")))
        .sort(SortTarget::Create, SortOrder::Descend)
        .limit(2);
    let got = newest.await.unwrap();
    assert_eq!(names(&world, &got), ["b", "d"]);
    assert!(got.more);
}

pub(crate) async fn the_past_is_read_at_its_revision(world: World) {
    let key = world.key("k");
    let one = world.client.put(&key, "one").await.unwrap().header.revision;
    let two = world.client.put(&key, "two").await.unwrap().header.revision;
    let gone = world.client.delete(&key).await.unwrap().header.revision;
    for (revision, value) in [(one - 1, None), (one, Some("one")), (two, Some("two")), (gone, None)] {
        let got = world.client.get(&key).revision(revision).await.unwrap();
        assert_eq!(
            got.first().and_then(KeyValue::value_str),
            value,
            "revision {revision}"
        );
        assert!(got.header.revision >= gone, "the header tells the present");
    }
    // Zero and less are the present.
    for present in [0, -1] {
        assert_eq!(
            world.client.get(&key).revision(present).await.unwrap().count,
            0
        );
    }
}

pub(crate) async fn every_target_sorts_in_either_direction(world: World) {
    // Each order differs from the others.
    for (name, value) in [
        ("b", "3"),
        ("c", "1"),
        ("a", "4"),
        ("d", "2"),
        ("a", "5"),
        ("a", "5"),
        ("c", "0"),
    ] {
        world.client.put(world.key(name), value).await.unwrap();
    }
    let range = prefix(world.key(""));
    let natural = world.client.get(range.clone()).await.unwrap();
    assert_eq!(names(&world, &natural), ["a", "b", "c", "d"]);

    type Order = fn(&KeyValue, &KeyValue) -> Ordering;
    let targets: [(SortTarget, Order); 5] = [
        (SortTarget::Key, |a, b| a.key.cmp(&b.key)),
        (SortTarget::Version, |a, b| a.version.cmp(&b.version)),
        (SortTarget::Create, |a, b| {
            a.create_revision.cmp(&b.create_revision)
        }),
        (SortTarget::Mod, |a, b| a.mod_revision.cmp(&b.mod_revision)),
        (SortTarget::Value, |a, b| a.value.cmp(&b.value)),
    ];
    for (target, order) in targets {
        let sorted = |direction| world.client.get(range.clone()).sort(target.clone(), direction);
        let ascending = sorted(SortOrder::Ascend).await.unwrap().kvs;
        let descending = sorted(SortOrder::Descend).await.unwrap().kvs;
        let unnamed = sorted(SortOrder::None).await.unwrap().kvs;
        assert_eq!((ascending.len(), descending.len()), (4, 4));
        assert!(
            ascending.is_sorted_by(|a, b| order(a, b).is_le()),
            "{target:?}: {ascending:?}"
        );
        assert!(
            descending.is_sorted_by(|a, b| order(a, b).is_ge()),
            "{target:?}: {descending:?}"
        );
        assert!(
            unnamed.is_sorted_by(|a, b| order(a, b).is_le()),
            "{target:?}: {unnamed:?}"
        );
    }
}

pub(crate) async fn a_serializable_read_shows_what_the_member_has(world: World) {
    write(&world, &["a"]).await;
    let range = prefix(world.key(""));
    // Of its own store a member may not have applied the latest yet.
    World::until(async || {
        let got = world
            .client
            .get(range.clone())
            .serializable()
            .await
            .unwrap();
        got.count == 1
    })
    .await;
}

pub(crate) async fn values_can_be_left_out(world: World) {
    let revisions = write(&world, &["a", "b"]).await;
    let got = world
        .client
        .get(prefix(world.key("")))
        .keys_only()
        .await
        .unwrap();
    assert_eq!(names(&world, &got), ["a", "b"]);
    for (kv, revision) in got.kvs.iter().zip(revisions) {
        assert_eq!(
            (kv.value.len(), kv.mod_revision, kv.version),
            (0, revision, 1)
        );
    }
}

pub(crate) async fn pairs_can_be_only_counted(world: World) {
    write(&world, &["a", "b", "c"]).await;
    let count = |range: KeyRange| world.client.get(range).count_only();
    let all = count(prefix(world.key(""))).await.unwrap();
    assert_eq!((all.count, all.kvs.len(), all.more), (3, 0, false));
    assert_eq!(count(world.key("a").into()).await.unwrap().count, 1);
    assert_eq!(count(world.key("z").into()).await.unwrap().count, 0);
}

pub(crate) async fn bounds_on_revisions_leave_pairs_out_and_the_count_alone(world: World) {
    let created = write(&world, &["a", "b", "c", "d"]).await;
    let changed = write(&world, &["a", "b"]).await;
    let get = || world.client.get(prefix(world.key("")));
    let cases = [
        (get().min_create_revision(created[2]), &["c", "d"][..]),
        (get().max_create_revision(created[1]), &["a", "b"]),
        (
            get()
                .min_create_revision(created[1])
                .max_create_revision(created[2]),
            &["b", "c"],
        ),
        (get().min_mod_revision(changed[0]), &["a", "b"]),
        (get().min_mod_revision(changed[1]), &["b"]),
        (get().max_mod_revision(changed[0]), &["a", "c", "d"]),
        (
            get()
                .min_mod_revision(created[3])
                .max_mod_revision(changed[0]),
            &["a", "d"],
        ),
        (
            get()
                .min_create_revision(created[1])
                .min_mod_revision(changed[0]),
            &["b"],
        ),
        (get().min_create_revision(changed[1]), &[]),
    ];
    for (call, expected) in cases {
        let request = call.request().clone();
        let got = call.await.unwrap();
        assert_eq!(names(&world, &got), expected, "{request:?}");
        assert_eq!(got.count, 4, "{request:?}");
    }
    let cut = get()
        .min_create_revision(created[1])
        .limit(2)
        .await
        .unwrap();
    assert_eq!((names(&world, &cut), cut.more), (vec!["b", "c"], true));
}

pub(crate) async fn an_empty_range_holds_nothing(world: World) {
    write(&world, &["a", "b", "c"]).await;
    for (start, end) in [("c", "a"), ("b", "b")] {
        let got = world
            .client
            .get(world.key(start)..world.key(end))
            .await
            .unwrap();
        assert_eq!((got.count, got.kvs.len(), got.more), (0, 0, false));
    }
    // Where the end is empty, the wire means one key, and where it is a zero byte, all that follow.
    for end in ["", "\0"] {
        let range = KeyRange::half_open(world.key("a"), end);
        assert_eq!(world.client.get(range).await.unwrap().count, 0);
    }
}

/// On a server that holds nothing else, for ranges that have no end.
pub(crate) async fn a_range_holds_what_its_description_says(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let stored: [&[u8]; 14] = [
        b"\0", b"\0\0", b"\x01", b"a", b"a\0", b"a\xfe", b"a\xff", b"a\xffz",
        b"a\xff\xff", b"b", b"c/d", b"\xfe\xff",
        b"\xff", b"\xff\xff",
    ];
    for key in stored {
        client.put(key, key).await.unwrap();
    }
    let ranges = [
        KeyRange::single("a"),
        KeyRange::single("\0"),
        KeyRange::single("zz"),
        prefix("a"),
        prefix("a\0"),
        prefix(b"a\xff"),
        prefix(b"a\xff\xff"),
        prefix(b"\xfe\xff"),
        prefix(b"\xff"),
        prefix(b"\xff\xff"),
        prefix(b"\xff\xff\xff"),
        prefix("\0"),
        prefix(""),
        prefix("c/"),
        from_key(""),
        from_key("\0"),
        from_key("a"),
        from_key(b"a\xff\xff"),
        from_key(b"\xff\xff"),
        from_key(b"\xff\xff\x01"),
        KeyRange::half_open("", "b"),
        KeyRange::half_open("\0", "\x01"),
        KeyRange::half_open("\0", "\0"),
        KeyRange::half_open("a", "b"),
        KeyRange::half_open("a", "a\0"),
        KeyRange::half_open(&b"a\xff"[..], &b"\xff"[..]),
        all_keys(),
        (..).into(),
        ("b"..).into(),
        ("a".."b").into(),
    ];
    for range in ranges {
        let expected: Vec<_> = stored.iter().filter(|key| range.contains(key)).collect();
        let got = client.get(range.clone()).await.unwrap();
        let keys: Vec<_> = got.kvs.iter().map(|kv| &kv.key[..]).collect();
        assert_eq!(keys.iter().collect::<Vec<_>>(), expected, "{range:?}");
        assert_eq!(got.count as usize, expected.len(), "{range:?}");
        assert!(got.kvs.iter().all(|kv| kv.key == kv.value), "{range:?}");
    }
}
