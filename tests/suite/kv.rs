//! Put, get, delete.

use anyetcd::prefix;

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
