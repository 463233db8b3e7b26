//! A future or a body dropped at any point closes its connection at once, and costs the next request nothing.

use std::future::poll_fn;
use std::task::Poll;

use etcd_core::runtime::BoxFuture;
use etcd_core::transport::{BodyFrame, RequestBody, Transport};
use etcd_http::{HttpConfig, PoolConfig};
use futures_channel::oneshot;
use futures_util::future::{Either, select};
use http::Request;

use crate::server::Server;
use crate::{World, fetch, poll_once};

/// One place, and no connection outlives its exchange.
fn frugal() -> HttpConfig {
    HttpConfig::new().pool(PoolConfig::new().max_connections(1).max_idle(0))
}

pub async fn before_the_connection_is_there(world: World) {
    let server = Server::run(|listener| {
        // How far the dropped attempt got is the scheduler's choice.
        loop {
            let mut peer = listener.accept();
            match peer.request_or_close() {
                Some(request) if request.body == b"dropped" => peer.wait_for_close(),
                Some(_) => break peer.respond("ok"),
                None => {}
            }
        }
    });
    let transport = world.transport_with(frugal());
    let mut exchange = transport.exchange(server.post("dropped"));
    assert!(poll_once(&mut exchange).is_pending());
    drop(exchange);
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "ok"
    );
    server.done().await;
}

pub async fn waiting_for_the_head(world: World) {
    for written in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"] {
        let (received, request_seen) = oneshot::channel();
        let server = Server::run(move |listener| {
            let (mut peer, _) = listener.accept_request();
            peer.write(written);
            received.send(()).unwrap();
            peer.wait_for_close();
            let (mut peer, _) = listener.accept_request();
            peer.respond("ok");
        });
        let transport = world.transport_with(frugal());
        drop_when(transport.exchange(server.post("{}")), request_seen).await;
        assert_eq!(
            fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
            "ok"
        );
        server.done().await;
    }
}

pub async fn between_head_and_body(world: World) {
    for head in [
        "Content-Length: 2",
        "Transfer-Encoding: chunked",
        "Connection: close",
    ] {
        let server = Server::run(move |listener| {
            let (mut peer, _) = listener.accept_request();
            peer.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
            peer.wait_for_close();
            let (mut peer, _) = listener.accept_request();
            peer.respond("ok");
        });
        let transport = world.transport_with(frugal());
        drop(transport.exchange(server.post("{}")).await.unwrap());
        assert_eq!(
            fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
            "ok"
        );
        server.done().await;
    }
}

pub async fn within_the_body(world: World) {
    for start in [
        "Content-Length: 200\r\n\r\nab",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        "Connection: close\r\n\r\nab",
    ] {
        let server = Server::run(move |listener| {
            let (mut peer, _) = listener.accept_request();
            peer.write(format!("HTTP/1.1 200 OK\r\n{start}"));
            peer.wait_for_close();
            let (mut peer, _) = listener.accept_request();
            peer.respond("ok");
        });
        let transport = world.transport_with(frugal());
        let mut body = transport.exchange(server.post("{}")).await.unwrap().into_body();
        let Some(Ok(BodyFrame::Data(first))) = body.next_frame().await else {
            panic!("the first piece of the body is there");
        };
        assert!(b"ab".starts_with(&first[..]));
        if first.len() == 2 {
            let mut next: BoxFuture<'_, _> = Box::pin(body.next_frame());
            assert!(poll_once(&mut next).is_pending());
        }
        drop(body);
        assert_eq!(
            fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
            "ok"
        );
        server.done().await;
    }
}

pub async fn with_the_request_half_sent(world: World) {
    let (received, head_seen) = oneshot::channel();
    let server = Server::run(move |listener| {
        let mut peer = listener.accept();
        peer.head();
        received.send(()).unwrap();
        peer.drain_until_close();
        let (mut peer, _) = listener.accept_request();
        peer.respond("ok");
    });
    let transport = world.transport_with(frugal());
    // More than the sockets' buffers can take between them.
    let request = Request::post(server.uri("/"))
        .body(RequestBody::from(vec![0; 64 << 20]))
        .unwrap();
    drop_when(transport.exchange(request), head_seen).await;
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "ok"
    );
    server.done().await;
}

pub async fn after_any_number_of_polls(world: World) {
    let server = Server::run(|listener| {
        let mut peers = Vec::new();
        loop {
            let mut peer = listener.accept();
            let Some(request) = peer.request_or_close() else {
                continue;
            };
            if request.body == b"stop" {
                peer.respond("stopped");
                break;
            }
            peers.push(std::thread::spawn(move || {
                for piece in [
                    "HTTP/1.1 200 OK\r\nTransfer-",
                    "Encoding: chunked\r\n\r\n2\r\na",
                    "b\r\n0\r\n\r\n",
                ] {
                    peer.try_write(piece);
                    std::thread::yield_now();
                }
                peer.wait_for_close();
            }));
        }
        for peer in peers {
            peer.join().unwrap();
        }
    });
    let transport = world.transport_with(frugal());
    let mut polls = 0;
    while polls_until_ready(&*transport, server.post("{}"), polls)
        .await
        .is_none()
    {
        polls += 1;
    }
    assert!(polls > 1, "an exchange over a socket has to wait");
    assert_eq!(
        fetch(&*transport, server.post("stop")).await.unwrap().into_body(),
        "stopped"
    );
    server.done().await;
}

/// Drops the exchange after so many polls without a result.
async fn polls_until_ready(
    transport: &dyn Transport,
    request: Request<RequestBody>,
    mut polls: usize,
) -> Option<()> {
    let mut exchange: BoxFuture<'_, _> = Box::pin(fetch(transport, request));
    poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        exchange.as_mut().poll(cx).map(|outcome| {
            assert_eq!(outcome.unwrap().into_body(), "ab");
            Some(())
        })
    })
    .await
}

/// Drops `exchange`, which must not be over, when `event` happens.
async fn drop_when<T>(exchange: BoxFuture<'_, T>, event: oneshot::Receiver<()>) {
    match select(exchange, event).await {
        Either::Left(_) => panic!("the exchange was over too early"),
        Either::Right((seen, exchange)) => {
            seen.unwrap();
            drop(exchange);
        }
    }
}
