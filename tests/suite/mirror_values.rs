//! Mirrors of values that are made of bytes, and of bytes that are no such values.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyetcd::{DecodeError, Mirror, MirrorView, prefix};

use super::World;

type Limits = BTreeMap<String, u32>;
type Json = Result<Arc<Limits>, DecodeError>;

fn limits(cpu: u32) -> Limits {
    Limits::from([("cpu".to_owned(), cpu)])
}

fn value(view: &MirrorView<Json>, key: &str) -> Option<Limits> {
    view.get(key).unwrap().as_ref().ok().map(|limits| (**limits).clone())
}

pub(crate) async fn values_in_json_are_held_as_what_they_describe_or_as_an_error_that_names_them(world: World) {
    let (client, good, bad) = (&world.client, &*world.key("good"), &*world.key("bad"));
    client.put(good, r#"{"cpu": 4}"#).await.unwrap();
    let written = client.put(bad, r#"{"cpu": "many"}"#).await.unwrap().header.revision;
    let mirror: Mirror<Json> = client.mirror(prefix(world.key(""))).json().await.unwrap();
    let mut updates = mirror.updates();
    let view = updates.next().await.unwrap();
    assert_eq!(value(&view, good), Some(limits(4)));
    let error = view.get(bad).unwrap().clone().unwrap_err();
    assert_eq!((error.key(), error.revision()), (&bytes::Bytes::from(bad.to_owned()), written));
    assert!(error.to_string().contains(bad) && error.to_string().contains(&written.to_string()), "{error}");
    assert!(error.source().unwrap().to_string().contains("invalid type"), "{error:?}");

    // It goes on, and neither keeps an older value for one that is none nor an error for one that is.
    let written = client.put(good, b"\xff\x00".as_slice()).await.unwrap().header.revision;
    let view = updates.next().await.unwrap();
    assert_eq!(view.get(good).unwrap().clone().unwrap_err().revision(), written);
    client.put(bad, r#"{"cpu": 2}"#).await.unwrap();
    let view = updates.next().await.unwrap();
    assert_eq!(value(&view, bad), Some(limits(2)));
    client.delete(good).await.unwrap();
    client.put(good, "").await.unwrap();
    mirror.sync().await.unwrap();
    let error = mirror.get(good).unwrap().unwrap_err();
    assert_eq!(error.key(), good);
    assert_eq!(mirror.len(), 2);
}

pub(crate) async fn a_decoder_that_fails_is_called_once_a_change_and_named_in_place_of_the_value(world: World) {
    let (client, key) = (&world.client, &*world.key("port"));
    client.put(key, "8080").await.unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let ports = client
        .mirror(prefix(world.key("")))
        .try_decode(move |kv| {
            counted.fetch_add(1, Ordering::SeqCst);
            kv.value_str().unwrap_or_default().parse::<u16>()
        })
        .await
        .unwrap();
    assert_eq!(ports.get(key).unwrap().unwrap(), 8080);
    let written = client.put(key, "80800").await.unwrap().header.revision;
    ports.wait_for(written).await.unwrap();
    let error = ports.get(key).unwrap().unwrap_err();
    assert_eq!((&error.key()[..], error.revision()), (key.as_bytes(), written));
    assert!(error.source().unwrap().is::<std::num::ParseIntError>());
    let written = client.put(key, "80").await.unwrap().header.revision;
    ports.wait_for(written).await.unwrap();
    assert_eq!(ports.get(key).unwrap().unwrap(), 80);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}
