//! Which connection a request gets, and when it has to wait.

use std::time::Duration;

use etcd_core::runtime::BoxFuture;
use etcd_core::transport::{Delivery, RequestBody};
use etcd_http::{HttpConfig, PoolConfig};
use futures_channel::oneshot;
use futures_util::future::join_all;
use http::Request;

use crate::server::Server;
use crate::{BODY_LIMIT, World, fetch, poll_once};

fn with(pool: PoolConfig) -> HttpConfig {
    HttpConfig::new().pool(pool)
}

pub async fn one_connection_serves_one_request_after_another(world: World) {
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        for number in 0..100 {
            peer.request();
            peer.respond(&number.to_string());
        }
        listener.assert_no_other();
    });
    let transport = world.transport();
    for number in 0..100 {
        let body = fetch(&*transport, server.post("{}")).await.unwrap().into_body();
        assert_eq!(body, number.to_string());
    }
    server.done().await;
}

pub async fn a_connection_with_bytes_left_over_is_not_reused(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, _) = listener.accept_request();
        peer.write(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake",
        );
        peer.wait_for_close();
        let (mut peer, _) = listener.accept_request();
        peer.respond("two");
    });
    let transport = world.transport();
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "one"
    );
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "two"
    );
    server.done().await;
}

pub async fn a_connection_that_says_close_is_not_reused(world: World) {
    let server = Server::run(|listener| {
        for head in ["HTTP/1.1 200 OK\r\nConnection: close", "HTTP/1.0 200 OK"] {
            let (mut peer, _) = listener.accept_request();
            peer.write(format!("{head}\r\nContent-Length: 2\r\n\r\nok"));
            peer.wait_for_close();
        }
    });
    let transport = world.transport();
    for _ in 0..2 {
        assert_eq!(
            fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
            "ok"
        );
    }
    server.done().await;
}

pub async fn a_connection_with_its_request_half_sent_is_not_kept(world: World) {
    let (go, gate) = std::sync::mpsc::channel();
    let (closed, close_seen) = oneshot::channel();
    let server = Server::run(move |listener| {
        let mut peer = listener.accept();
        peer.head();
        peer.respond("too large");
        // Reading on while the client has not yet read the response could let the request end after all.
        gate.recv().unwrap();
        peer.drain_until_close();
        closed.send(()).unwrap();
        let (mut peer, _) = listener.accept_request();
        peer.respond("ok");
    });
    let transport = world.transport();
    // More than the sockets' buffers can take between them.
    let request = Request::post(server.uri("/"))
        .body(RequestBody::from(vec![0; 64 << 20]))
        .unwrap();
    let response = transport.exchange(request).await.unwrap();
    assert_eq!(
        response.into_body().collect(BODY_LIMIT).await.unwrap(),
        "too large"
    );
    go.send(()).unwrap();
    close_seen.await.unwrap();
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "ok"
    );
    server.done().await;
}

pub async fn an_unread_body_closes_its_connection(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, _) = listener.accept_request();
        peer.respond("nobody reads this");
        peer.wait_for_close();
        let (mut peer, _) = listener.accept_request();
        peer.respond("but this");
    });
    let transport = world.transport();
    drop(transport.exchange(server.post("{}")).await.unwrap());
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "but this"
    );
    server.done().await;
}

pub async fn a_connection_closed_while_idle_is_replaced(world: World) {
    assert_idle_connection_is_replaced(world, drop).await;
}

pub async fn a_connection_reset_while_idle_is_replaced(world: World) {
    assert_idle_connection_is_replaced(world, crate::server::Peer::reset).await;
}

async fn assert_idle_connection_is_replaced(world: World, end: fn(crate::server::Peer)) {
    let (go, gate) = std::sync::mpsc::channel();
    let (ended, end_seen) = oneshot::channel();
    let server = Server::run(move |listener| {
        let (mut peer, _) = listener.accept_request();
        peer.respond("one");
        // Not before the client has put the connection by.
        gate.recv().unwrap();
        end(peer);
        ended.send(()).unwrap();
        let (mut peer, _) = listener.accept_request();
        peer.respond("two");
    });
    let transport = world.transport();
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "one"
    );
    go.send(()).unwrap();
    end_seen.await.unwrap();
    // The runtime's reactor has to learn of it: a timer is no sooner over than it has looked at the sockets.
    world
        .runtime
        .sleep_until(world.runtime.now() + Duration::from_millis(10))
        .await;
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "two"
    );
    server.done().await;
}

pub async fn requests_beyond_the_limit_wait_in_line(world: World) {
    const LIMIT: usize = 2;
    const REQUESTS: usize = 7;
    let (go, gate) = std::sync::mpsc::channel();
    let server = Server::run(move |listener| {
        let mut peers: Vec<_> = (0..LIMIT).map(|_| listener.accept_request()).collect();
        gate.recv().unwrap();
        listener.assert_no_other();
        for turn in 0..REQUESTS {
            let (peer, request) = &mut peers[turn % LIMIT];
            assert_eq!(
                request.body,
                turn.to_string().as_bytes(),
                "first come, first served"
            );
            peer.respond("ok");
            if turn + LIMIT < REQUESTS {
                *request = peer.request();
            }
        }
    });
    let transport = world.transport_with(with(PoolConfig::new().max_connections(LIMIT)));
    let requests = ["0", "1", "2", "3", "4", "5", "6"].map(|body| server.post(body));
    let mut exchanges = requests.map(|request| -> BoxFuture<'_, _> { Box::pin(fetch(&*transport, request)) });
    for exchange in &mut exchanges {
        assert!(poll_once(exchange).is_pending(), "in line, one after the other");
    }
    go.send(()).unwrap();
    for outcome in join_all(exchanges).await {
        assert_eq!(outcome.unwrap().into_body(), "ok");
    }
    server.done().await;
}

pub async fn a_dropped_waiter_costs_nobody_his_turn(world: World) {
    let (go, gate) = std::sync::mpsc::channel();
    let server = Server::run(move |listener| {
        let (mut peer, request) = listener.accept_request();
        assert_eq!(request.body, b"first");
        gate.recv().unwrap();
        peer.respond("ok");
        assert_eq!(peer.request().body, b"third");
        peer.respond("ok");
        listener.assert_no_other();
    });
    let transport = world.transport_with(with(PoolConfig::new().max_connections(1)));
    let mut first: BoxFuture<'_, _> = Box::pin(fetch(&*transport, server.post("first")));
    let mut second: BoxFuture<'_, _> = Box::pin(fetch(&*transport, server.post("second")));
    let mut third: BoxFuture<'_, _> = Box::pin(fetch(&*transport, server.post("third")));
    assert!(poll_once(&mut first).is_pending());
    assert!(poll_once(&mut second).is_pending());
    assert!(poll_once(&mut third).is_pending());
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap().into_body(), "ok");
    // The place is the second one's by now; it leaves without having taken it.
    drop(second);
    assert_eq!(third.await.unwrap().into_body(), "ok");
    server.done().await;
}

pub async fn a_failed_exchange_gives_its_place_back(world: World) {
    let server = Server::run(|listener| {
        for _ in 0..3 {
            drop(listener.accept_request());
        }
        let (mut peer, _) = listener.accept_request();
        peer.respond("ok");
    });
    let transport = world.transport_with(with(PoolConfig::new().max_connections(1)));
    for _ in 0..3 {
        let error = fetch(&*transport, server.post("{}")).await.unwrap_err();
        assert_eq!(error.delivery(), Delivery::MaybeSent);
    }
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "ok"
    );
    server.done().await;
}

pub async fn long_lived_requests_pass_the_limit(world: World) {
    const WAITING: usize = 3;
    let server = Server::run(|listener| {
        let waiting: Vec<_> = (0..WAITING).map(|_| listener.accept_request()).collect();
        let (mut peer, request) = listener.accept_request();
        assert_eq!(request.body, b"unlock");
        peer.respond("ok");
        for (mut peer, request) in waiting {
            assert_eq!(request.body, b"lock");
            peer.respond("locked");
            peer.wait_for_close();
        }
    });
    let transport = world.transport_with(with(PoolConfig::new().max_connections(1)));
    let locks = join_all((0..WAITING).map(|_| fetch(&*transport, server.long_lived_post("lock"))));
    let unlock = fetch(&*transport, server.post("unlock"));
    let (locked, unlocked) = futures_util::future::join(locks, unlock).await;
    assert_eq!(unlocked.unwrap().into_body(), "ok");
    for lock in locked {
        assert_eq!(lock.unwrap().into_body(), "locked");
    }
    server.done().await;
}

pub async fn unused_connections_beyond_the_limit_are_closed(world: World) {
    let server = Server::run(|listener| {
        for _ in 0..2 {
            let (mut peer, _) = listener.accept_request();
            peer.respond("ok");
            peer.wait_for_close();
        }
    });
    let transport = world.transport_with(with(PoolConfig::new().max_idle(0)));
    for _ in 0..2 {
        assert_eq!(
            fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
            "ok"
        );
    }
    server.done().await;
}

pub async fn unused_connections_grow_old(world: World) {
    let server = Server::run(|listener| {
        for _ in 0..2 {
            let (mut peer, _) = listener.accept_request();
            peer.respond("ok");
            peer.wait_for_close();
        }
    });
    let transport = world.transport_with(with(PoolConfig::new().idle_time(Duration::from_millis(5))));
    for _ in 0..2 {
        assert_eq!(
            fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
            "ok"
        );
        world
            .runtime
            .sleep_until(world.runtime.now() + Duration::from_millis(5))
            .await;
    }
    server.done().await;
}

pub async fn a_thousand_requests_share_the_connections(world: World) {
    const LIMIT: usize = 8;
    let server = Server::run(|listener| {
        let peers = (0..LIMIT).map(|_| {
            let mut peer = listener.accept();
            std::thread::spawn(move || {
                let mut served = 0;
                while peer.request_or_close().is_some() {
                    peer.respond("ok");
                    served += 1;
                }
                served
            })
        });
        let peers: Vec<_> = peers.collect();
        let served: usize = peers.into_iter().map(|peer| peer.join().unwrap()).sum();
        assert_eq!(served, 1000);
        listener.assert_no_other();
    });
    let transport = world.transport_with(with(PoolConfig::new().max_connections(LIMIT)));
    for response in join_all((0..1000).map(|_| fetch(&*transport, server.post("{}")))).await {
        assert_eq!(response.unwrap().into_body(), "ok");
    }
    drop(transport);
    server.done().await;
}
