//! However a watch ends, nothing of it stays on the server.

use std::future::IntoFuture;
use std::time::Duration;

use anyetcd::{Client, Watch};
use futures_util::FutureExt;
use futures_util::future::{Either, join_all, select};

use super::{Proxy, Server, World};

pub(super) const WATCHERS: &str = "etcd_debugging_mvcc_watcher_total";
pub(super) const STREAMS: &str = "etcd_debugging_mvcc_watch_stream_total";

async fn watches(client: &Client, count: usize) -> Vec<Watch> {
    let watches = (0..count).map(|n| client.watch(format!("k{n}")).into_future());
    join_all(watches).await.into_iter().map(Result::unwrap).collect()
}

fn are_there(server: &Server, count: usize) {
    let count = count as f64;
    server.wait_for_metric(WATCHERS, |watchers| watchers == count);
}

pub(crate) async fn each_way_of_ending_a_watch_ends_it_on_the_server(world: World) {
    let mut server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let client = World::builder().endpoint(proxy.url()).build().unwrap();
    let kept = client.watch("kept").await.unwrap();
    are_there(&server, 1);

    let dropped = watches(&client, 10).await;
    are_there(&server, 11);
    drop(dropped);
    are_there(&server, 1);

    for watch in watches(&client, 10).await {
        watch.cancel().await;
    }
    // Confirmed: no need to wait.
    assert_eq!(server.metric(WATCHERS), Some(1.0));

    let by_handle = watches(&client, 10).await;
    for watch in &by_handle {
        watch.handle().cancel();
    }
    are_there(&server, 1);

    let ranges = client.watch("r0").await.unwrap();
    for n in 1..10 {
        ranges.handle().add(format!("r{n}")).await.unwrap();
    }
    are_there(&server, 11);
    for n in 1..10 {
        ranges.handle().remove(format!("r{n}"));
    }
    are_there(&server, 2);
    drop(ranges);
    are_there(&server, 1);

    // Given up in the middle.
    let ranges = client.watch("r0").await.unwrap();
    for n in 1..10 {
        ranges.handle().add(format!("r{n}")).await.unwrap();
    }
    are_there(&server, 11);
    server.freeze(); // or it might have confirmed it by then
    assert!(ranges.cancel().now_or_never().is_none());
    server.thaw();
    are_there(&server, 1);

    // In the middle of waiting for a batch, or of doing something with one.
    for watch in watches(&client, 10).await {
        let pause = std::pin::pin!(World::pause(Duration::from_millis(1)));
        let each = std::pin::pin!(watch.for_each(|_| std::future::pending()));
        assert!(matches!(select(each, pause).await, Either::Right(_)));
    }
    are_there(&server, 1);
    for mut watch in watches(&client, 10).await {
        let pause = std::pin::pin!(World::pause(Duration::from_millis(1)));
        let next = std::pin::pin!(watch.try_next());
        assert!(matches!(select(next, pause).await, Either::Right(_)));
    }
    are_there(&server, 1);

    drop(kept);
    are_there(&server, 0);
    server.wait_for_metric(STREAMS, |streams| streams == 0.0);
}

pub(crate) async fn a_watch_may_be_given_up_at_any_point_of_its_creation(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let kept = client.watch("kept").await.unwrap();
    for polls in 0..60 {
        let mut creating = client.watch("k").into_future();
        for _ in 0..polls {
            if futures_util::future::poll_fn(|cx| {
                std::task::Poll::Ready(creating.as_mut().poll(cx).is_ready())
            })
            .await
            {
                break;
            }
            World::pause(Duration::from_micros(50)).await;
        }
    }
    // Of adding a range, too.
    let handle = kept.handle();
    for polls in 0..60 {
        let mut adding = Box::pin(handle.add("more"));
        for _ in 0..polls {
            if futures_util::future::poll_fn(|cx| {
                std::task::Poll::Ready(adding.as_mut().poll(cx).is_ready())
            })
            .await
            {
                handle.remove("more");
                break;
            }
            World::pause(Duration::from_micros(50)).await;
        }
    }
    are_there(&server, 1);
    assert_eq!(handle.keys(), ["kept".into()]);
    drop(kept);
    are_there(&server, 0);
}

pub(crate) async fn the_connection_ends_with_its_last_watch_and_comes_back_with_the_next(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    for _ in 0..3 {
        let mut few = watches(&client, 3).await;
        server.wait_for_metric(STREAMS, |streams| streams == 1.0);
        client.put("k0", "v").await.unwrap();
        few[0].try_next().await.unwrap().unwrap();
        drop(few);
        server.wait_for_metric(STREAMS, |streams| streams == 0.0);
    }
}

pub(crate) async fn a_watch_goes_on_without_its_client_and_ends_with_itself(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let mut watch = client.watch("k").await.unwrap();
    drop(client);
    World::client_of(&server).put("k", "v").await.unwrap();
    assert_eq!(watch.try_next().await.unwrap().unwrap().events().len(), 1);
    drop(watch);
    are_there(&server, 0);
}
