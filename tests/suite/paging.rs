//! Large ranges, page by page.

use std::time::Duration;

use anyetcd::message::MAX_TXN_OPS;
use anyetcd::{Client, ErrorKind, EtcdError, KeyValue, Pages, Put, Result, SortOrder, SortTarget, Txn, prefix};
use futures_util::{FutureExt, TryStreamExt};

use super::World;

/// A page of this many bytes holds some ten of the pairs that [`small`] makes.
const SMALL_PAGE: usize = 1000;

fn name(number: usize) -> String {
    format!("{number:05}")
}

fn small(number: usize) -> String {
    format!("{number:080}")
}

/// Writes `count` pairs below `base`.
async fn fill(client: &Client, base: &str, count: usize, value: fn(usize) -> String) {
    let numbers: Vec<_> = (0..count).collect();
    for chunk in numbers.chunks(MAX_TXN_OPS) {
        let puts = chunk
            .iter()
            .map(|number| Put::new(format!("{base}{}", name(*number)), value(*number)));
        client.txn(Txn::new().then(puts)).await.unwrap();
    }
}

/// Asserts that these are the pairs `numbers`, in this order.
fn assert_pairs(
    base: &str,
    kvs: &[KeyValue],
    numbers: impl ExactSizeIterator<Item = usize>,
    value: fn(usize) -> String,
) {
    assert_eq!(kvs.len(), numbers.len());
    for (kv, number) in kvs.iter().zip(numbers) {
        assert_eq!(kv.key, format!("{base}{}", name(number)));
        assert!(kv.value == value(number), "the value of {number}");
    }
}

/// All pairs and the sizes of the pages they came in.
async fn read(mut pages: Pages) -> Result<(Vec<KeyValue>, Vec<usize>)> {
    let (mut kvs, mut sizes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.try_next().await? {
        sizes.push(page.kvs.len());
        kvs.extend(page.kvs);
    }
    assert!(pages.try_next().await?.is_none(), "after its end there is nothing more");
    Ok((kvs, sizes))
}

/// Mostly below 600 bytes; one in a hundred has 20,000.
fn mixed(number: usize) -> String {
    let length = if number % 100 == 50 { 20_000 } else { number * 37 % 600 };
    char::from(b'a' + (number % 26) as u8)
        .to_string()
        .repeat(length)
}

pub(crate) async fn ten_thousand_keys_come_once_each_and_in_order(world: World) {
    let base = world.key("");
    fill(&world.client, &base, 10_000, mixed).await;
    let range = || world.client.get(prefix(&base));

    let (kvs, sizes) = read(range().pages().unwrap()).await.unwrap();
    assert_pairs(&base, &kvs, 0..10_000, mixed);
    assert!(sizes.len() > 3, "{sizes:?}");

    let kvs: Vec<_> = range().pages().unwrap().key_values().try_collect().await.unwrap();
    assert_pairs(&base, &kvs, 0..10_000, mixed);

    let descending = range().sort(SortTarget::Key, SortOrder::Descend).keys_only();
    let (kvs, _) = read(descending.pages().unwrap()).await.unwrap();
    assert_pairs(&base, &kvs, (0..10_000).rev(), |_| String::new());
}

pub(crate) async fn pages_show_one_revision_whatever_is_written_meanwhile(world: World) {
    let base = world.key("");
    fill(&world.client, &base, 1000, small).await;
    for order in [SortOrder::Ascend, SortOrder::Descend] {
        let call = world.client.get(prefix(&base)).sort(SortTarget::Key, order.clone());
        let mut pages = call.pages().unwrap().page_bytes(SMALL_PAGE);
        assert_eq!(pages.revision(), 0);
        let (mut kvs, mut round) = (Vec::new(), 0);
        while let Some(page) = pages.try_next().await.unwrap() {
            kvs.extend(page.kvs);
            let number = round * 37 % 1000;
            let key = format!("{base}{}", name(number));
            world.client.put(&key, "changed").await.unwrap();
            world.client.put(format!("{key}-new"), "new").await.unwrap();
            world.client.delete(format!("{base}{}", name(999 - number))).await.unwrap();
            round += 1;
        }
        assert!(round > 20, "{round} pages");
        let revision = pages.revision();
        assert!(kvs.iter().all(|kv| kv.mod_revision <= revision));
        let numbers: Box<dyn ExactSizeIterator<Item = usize>> = match order {
            SortOrder::Descend => Box::new((0..1000).rev()),
            _ => Box::new(0..1000),
        };
        assert_pairs(&base, &kvs, numbers, small);
        // As it was, for the other direction.
        world.client.delete(prefix(&base)).await.unwrap();
        fill(&world.client, &base, 1000, small).await;
    }
}

pub(crate) async fn pages_can_show_the_past(world: World) {
    let base = world.key("");
    fill(&world.client, &base, 300, small).await;
    let deleted = world.client.delete(prefix(&base)).await.unwrap().header.revision;
    let pages = world.client.get(prefix(&base)).revision(deleted - 1).pages().unwrap();
    assert_eq!(pages.revision(), deleted - 1);
    let (kvs, _) = read(pages.page_bytes(SMALL_PAGE)).await.unwrap();
    assert_pairs(&base, &kvs, 0..300, small);
}

pub(crate) async fn a_limit_counts_over_all_pages(world: World) {
    let base = world.key("");
    fill(&world.client, &base, 300, small).await;
    for limit in [1, 127, 128, 129, 299, 300, 301] {
        for order in [SortOrder::None, SortOrder::Descend] {
            let call = world.client.get(prefix(&base)).limit(limit).sort(SortTarget::Key, order.clone());
            let (kvs, sizes) = read(call.pages().unwrap().page_bytes(SMALL_PAGE)).await.unwrap();
            let count = 300.min(limit as usize);
            match order {
                SortOrder::Descend => assert_pairs(&base, &kvs, (300 - count..300).rev(), small),
                _ => assert_pairs(&base, &kvs, 0..count, small),
            }
            assert!(!sizes.contains(&0), "limit {limit}: {sizes:?}");
        }
    }
}

pub(crate) async fn a_single_page_tells_its_revision_too(world: World) {
    let written = world.client.put(world.key("k"), "v").await.unwrap().header.revision;
    let mut pages = world.client.get(prefix(world.key(""))).pages().unwrap();
    let page = pages.try_next().await.unwrap().unwrap();
    assert_eq!((page.kvs.len(), page.count), (1, 1));
    assert!(pages.revision() >= written, "{}", pages.revision());
    assert_eq!(pages.revision(), page.header.revision);
    assert!(pages.try_next().await.unwrap().is_none());
}

pub(crate) async fn a_range_without_keys_ends_at_once(world: World) {
    let mut kvs = world.client.get(prefix(world.key("none"))).pages().unwrap().key_values();
    assert_eq!(kvs.try_next().await.unwrap(), None);
    assert_eq!(kvs.try_next().await.unwrap(), None);
}

pub(crate) async fn a_page_that_was_not_waited_for_is_not_lost(world: World) {
    let base = world.key("");
    fill(&world.client, &base, 400, small).await;
    // Over a socket, where an answer takes a while.
    let client = World::client_of(world.server());
    let mut kvs = client.get(prefix(&base)).pages().unwrap().page_bytes(SMALL_PAGE).key_values();
    let (mut seen, mut dropped) = (Vec::new(), 0);
    loop {
        // Polls once, and drops the future if that is not enough.
        match kvs.try_next().now_or_never() {
            Some(Ok(Some(kv))) => seen.push(kv),
            Some(Ok(None)) => break,
            Some(Err(error)) => panic!("{error}"),
            None => {
                dropped += 1;
                World::pause(Duration::from_millis(1)).await;
            }
        }
    }
    assert!(dropped > 0);
    assert_pairs(&base, &seen, 0..400, small);
}

pub(crate) async fn pages_that_the_client_finds_too_large_are_asked_for_again_in_halves(world: World) {
    let base = world.key("");
    fill(&world.client, &base, 300, small).await;
    let modest = World::builder()
        .endpoint(world.server().client_url())
        .max_response_bytes(10_000)
        .build()
        .unwrap();
    let (kvs, sizes) = read(modest.get(prefix(&base)).pages().unwrap()).await.unwrap();
    assert_pairs(&base, &kvs, 0..300, small);
    assert!(sizes.iter().all(|keys| *keys < 128), "{sizes:?}");

    // What cannot be halved any more is an error, as often as it is asked for.
    world.client.put(format!("{base}00150"), "x".repeat(20_000)).await.unwrap();
    let mut pairs = modest.get(prefix(&base)).pages().unwrap().key_values();
    for number in 0..150 {
        let kv = pairs.try_next().await.unwrap().unwrap();
        assert_eq!(kv.key, format!("{base}{}", name(number)));
    }
    for _ in 0..2 {
        let error = pairs.try_next().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ResponseTooLarge { limit: 10_000 }), "{error:?}");
    }
}

pub(crate) async fn a_compaction_under_the_pages_is_told(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    fill(&client, "", 300, small).await;
    let mut pages = client.get(..).pages().unwrap().page_bytes(SMALL_PAGE);
    pages.try_next().await.unwrap().unwrap();
    let newest = client.put("later", "v").await.unwrap().header.revision;
    client.compact(newest).await.unwrap();
    for _ in 0..2 {
        let error = pages.try_next().await.unwrap_err();
        assert_eq!(error.etcd(), Some(EtcdError::Compacted));
    }
    let (kvs, _) = read(client.get(..).pages().unwrap()).await.unwrap();
    assert_eq!(kvs.len(), 301);
}

pub(crate) async fn reading_goes_on_after_an_error_where_it_was(world: World) {
    let mut server = world.own_server();
    let client = World::client_of(&server);
    fill(&client, "", 400, small).await;
    let call = client.get(..).timeout(Duration::from_millis(500));
    let mut pairs = call.pages().unwrap().page_bytes(SMALL_PAGE).key_values();
    let (mut seen, mut errors) = (Vec::new(), 0);
    loop {
        if seen.len() == 200 && errors == 0 {
            server.freeze();
        }
        match pairs.try_next().await {
            Ok(Some(kv)) => seen.push(kv),
            Ok(None) => break,
            // A busy machine may bring more of them; they change nothing.
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
                errors += 1;
                server.thaw();
            }
        }
    }
    assert!(errors > 0);
    assert_pairs("", &seen, 0..400, small);
}
