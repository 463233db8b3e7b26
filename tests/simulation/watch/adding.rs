//! Ranges that are added while others are, or while their end was not told yet.

use std::pin::pin;
use std::time::Duration;

use anyetcd::error::WatchError;
use anyetcd::{BufferLimits, BufferPolicy, Client, Error, ErrorKind, Watch};
use etcd_embedded::sim::{World, seeds};
use futures_util::future::{Either, join, select};

use crate::writers::client;

const SECOND: Duration = Duration::from_secs(1);

fn is(error: &Error, expected: WatchError) -> bool {
    matches!(error.kind(), ErrorKind::Watch(error) if *error == expected)
}

/// The next key of which something is told.
async fn next_key(watch: &mut Watch) -> Vec<u8> {
    let batch = watch.try_next().await.unwrap().unwrap();
    batch.events()[0].kv.key.to_vec()
}

#[test]
fn whoever_adds_what_another_is_adding_has_it_even_if_the_other_gives_up() {
    seeds(200, |seed| {
        let world = World::new(seed);
        let client = client(&world);
        world.block_on(async {
            let mut watch = client.watch("a").await.unwrap();
            let (one, other) = (watch.handle(), watch.handle());
            let gives_up = async {
                let patience = pin!(world.sleep(Duration::from_micros(world.random(3000))));
                select(pin!(one.add("b")), patience).await;
            };
            let (_, added) = join(gives_up, async {
                world.sleep(Duration::from_micros(world.random(1000))).await;
                other.add("b").await
            })
            .await;
            added.unwrap();
            client.put("b", "1").await.unwrap();
            let (told, late) = (pin!(next_key(&mut watch)), pin!(world.sleep(SECOND)));
            let told = select(told, late).await;
            assert!(matches!(told, Either::Left((key, _)) if key == b"b"));
        });
    });
}

/// A watch over "a" and "b", of which that over "b" has ended, and nobody has been told yet.
async fn with_an_end_untold(world: &World, client: &Client) -> Watch {
    let limits = BufferLimits {
        events: 1,
        ..BufferLimits::default()
    };
    let call = client.watch("a").buffer(BufferPolicy::Lag).buffer_limits(limits);
    let watch = call.await.unwrap();
    watch.handle().add("b").await.unwrap();
    for _ in 0..3 {
        client.put("b", "1").await.unwrap();
        world.sleep(SECOND).await;
    }
    watch
}

#[test]
fn a_range_may_be_added_again_before_its_end_was_told() {
    let world = World::new(1);
    let client = client(&world);
    world.block_on(async {
        let mut watch = with_an_end_untold(&world, &client).await;
        watch.handle().add("b").await.unwrap();
        let newest = client.put("b", "2").await.unwrap().header.revision;
        let (mut revisions, mut ends) = (Vec::new(), 0);
        while revisions.last() != Some(&newest) || ends == 0 {
            match watch.try_next().await {
                Ok(batch) => revisions.push(batch.unwrap().revision()),
                Err(error) => {
                    assert!(matches!(
                        error.kind(),
                        ErrorKind::Watch(WatchError::Lagged { .. })
                    ));
                    ends += 1;
                }
            }
        }
        assert_eq!(ends, 1);
        // The old one is gone, the new one is there.
        assert!(watch.handle().remove("b"));
        assert!(!watch.handle().remove("b"));
    });
}

#[test]
fn the_end_of_a_range_that_is_removed_is_not_told() {
    let world = World::new(1);
    let client = client(&world);
    world.block_on(async {
        let mut watch = with_an_end_untold(&world, &client).await;
        assert!(watch.handle().remove("b"));
        assert!(!watch.handle().remove("b"));
        client.put("a", "1").await.unwrap();
        assert_eq!(next_key(&mut watch).await, b"a");
    });
}

#[test]
fn a_range_that_has_ended_holds_up_no_progress() {
    let world = World::new(1);
    let client = client(&world);
    world.block_on(async {
        let watch = with_an_end_untold(&world, &client).await;
        let newest = client.put("elsewhere", "1").await.unwrap().header.revision;
        assert_eq!(watch.progress().await.unwrap(), newest);
        // Nor is it made where there is nothing left that could.
        watch.handle().remove("a");
        let error = watch.progress().await.unwrap_err();
        assert!(is(&error, WatchError::Canceled), "{error}");
    });
}

#[test]
fn who_waits_for_the_progress_of_a_watch_is_told_of_its_end() {
    let world = World::new(1);
    let client = client(&world);
    world.block_on(async {
        let limits = BufferLimits {
            events: 1,
            ..BufferLimits::default()
        };
        let watch = client.watch("a").buffer_limits(limits).await.unwrap();
        for _ in 0..3 {
            client.put("a", "1").await.unwrap();
        }
        let handle = watch.handle();
        // There is no room for what it would have to receive.
        let (progress, pause) = (pin!(handle.progress()), pin!(world.sleep(SECOND)));
        let progress = match select(progress, pause).await {
            Either::Left((told, _)) => panic!("{told:?}"),
            Either::Right(((), progress)) => progress,
        };
        drop(watch);
        let error = progress.await.unwrap_err();
        assert!(is(&error, WatchError::Canceled), "{error}");
    });
}
