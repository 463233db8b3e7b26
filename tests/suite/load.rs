//! Much at once: large values, large answers, many calls.

use std::future::IntoFuture;
use std::time::Duration;

use anyetcd::{Client, ErrorKind, EtcdError, prefix};
use futures_channel::oneshot;
use futures_util::future::{join, join_all};

use super::World;

/// Bytes of no regularity that base64 or compression could live on.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn with_response_limit(world: &World, bytes: usize) -> Client {
    World::builder()
        .endpoint(world.server().client_url())
        .max_response_bytes(bytes)
        .build()
        .unwrap()
}

pub(crate) async fn a_value_of_the_size_a_server_takes_is_read_back(world: World) {
    let (key, value) = (world.key("k"), noise(1_400_000, 1));
    world.client.put(&key, &value).await.unwrap();
    let got = world.client.get(&key).await.unwrap();
    assert!(got.first().unwrap().value == value);
    let previous = world.client.put(&key, "small").prev_kv().await.unwrap();
    assert!(previous.prev_kv.unwrap().value == value);
}

pub(crate) async fn a_value_larger_than_a_server_takes_is_refused_and_not_written(world: World) {
    let key = world.key("k");
    for (size, refusal) in [
        // Above what raft takes, --max-request-bytes, but not above what gRPC does.
        (1_600_000, EtcdError::RequestTooLarge),
        (3_000_000, EtcdError::MessageTooLarge),
    ] {
        let error = world.client.put(&key, noise(size, 2)).await.unwrap_err();
        assert_eq!(error.etcd(), Some(refusal), "{error}");
        assert!(!error.is_outcome_unknown(), "{error}");
        assert_eq!(world.client.get(&key).await.unwrap().count, 0);
    }
}

pub(crate) async fn an_answer_of_twenty_megabytes_arrives_whole(world: World) {
    const SIZE: usize = 1_000_000;
    let noise = noise(SIZE + 20, 5);
    let value = |number| &noise[number..number + SIZE];
    for number in 0..20 {
        let key = world.key(&format!("{number:02}"));
        world.client.put(key, value(number)).await.unwrap();
    }
    let got = world.client.get(prefix(world.key(""))).await.unwrap();
    assert_eq!((got.kvs.len(), got.more), (20, false));
    for (kv, number) in got.kvs.iter().zip(0..) {
        assert!(kv.value == value(number), "value {number}");
    }
    world.client.delete(prefix(world.key(""))).await.unwrap();
}

pub(crate) async fn an_answer_larger_than_the_client_takes_is_an_error_and_the_next_call_works(world: World) {
    let key = world.key("k");
    world.client.put(&key, noise(300_000, 3)).await.unwrap();
    let modest = with_response_limit(&world, 100_000);
    for _ in 0..3 {
        let error = modest.get(&key).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::ResponseTooLarge { limit: 100_000 }),
            "{error:?}"
        );
        assert!(!error.is_outcome_unknown());
        let got = modest.get(&key).keys_only().await.unwrap();
        assert_eq!(got.count, 1);
    }
}

pub(crate) async fn a_write_whose_answer_is_too_large_leaves_its_outcome_open(world: World) {
    let key = world.key("k");
    world.client.put(&key, noise(300_000, 4)).await.unwrap();
    let modest = with_response_limit(&world, 100_000);
    let error = modest.put(&key, "new").prev_kv().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ResponseTooLarge { .. }), "{error:?}");
    assert!(error.is_outcome_unknown() && !error.is_retry_safe());
    // Who looks finds out.
    let got = modest.get(&key).await.unwrap();
    assert_eq!(got.first().unwrap().value_str(), Some("new"));
}

pub(crate) async fn a_thousand_calls_at_once_are_each_answered(world: World) {
    // Their time begins when all are made, and they share the connections.
    const FOR_ALL: Duration = Duration::from_secs(60);
    let puts = join_all((0..500).map(|number| {
        let key = world.key(&format!("{number:03}"));
        let put = world.client.put(key, number.to_string());
        put.timeout(FOR_ALL).into_future()
    }));
    let gets = join_all((0..500).map(|_| {
        let get = world.client.get(prefix(world.key(""))).count_only();
        get.timeout(FOR_ALL).into_future()
    }));
    let (puts, gets) = join(puts, gets).await;
    for answer in puts {
        answer.unwrap();
    }
    for answer in gets {
        assert!(answer.unwrap().count <= 500);
    }
    let answers = join_all((0..1000).map(|number| {
        let key = world.key(&format!("{:03}", number % 500));
        world.client.get(key).timeout(FOR_ALL).into_future()
    }));
    for (answer, number) in answers.await.into_iter().zip(0..) {
        let answer = answer.unwrap();
        let expected = (number % 500).to_string();
        assert_eq!(answer.first().unwrap().value_str(), Some(expected.as_str()));
    }
}

pub(crate) async fn tasks_share_a_client(world: World) {
    use anyetcd::Runtime as _;
    let runtime = crate::harness::runtime();
    let mut done = Vec::new();
    for task in 0..8 {
        let (tell, told) = oneshot::channel();
        let (client, key) = (world.client.clone(), world.key(&task.to_string()));
        runtime.spawn(Box::pin(async move {
            for number in 0..10 {
                client.put(&key, number.to_string()).await.unwrap();
            }
            let got = client.get(&key).await.unwrap();
            tell.send(got.first().map(|kv| kv.version)).unwrap();
        }));
        done.push(told);
    }
    for versions in join_all(done).await {
        assert_eq!(versions, Ok(Some(10)));
    }
}
