//! Both bodies alive at once: what the whole of watching rests on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use etcd_core::transport::{BodyFrame, Delivery, RequestBody, ResponseBody, TransportErrorKind};
use etcd_http::{HttpConfig, PoolConfig};
use futures_channel::{mpsc, oneshot};
use futures_util::Stream;
use futures_util::future::{Either, select};
use http::Request;

use crate::server::{Peer, Server};
use crate::{BODY_LIMIT, World, fetch};

const HEAD: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A request body fed by a channel, which tells when it is dropped.
struct Fed {
    items: mpsc::UnboundedReceiver<Bytes>,
    _dropped: oneshot::Sender<()>,
}

impl Stream for Fed {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Pin::new(&mut self.items).poll_next(cx)
    }
}

/// The test's side of a streamed request.
struct Feed {
    items: mpsc::UnboundedSender<Bytes>,
    dropped: oneshot::Receiver<()>,
}

impl Feed {
    fn send(&self, item: &'static str) {
        self.items.unbounded_send(item.into()).unwrap();
    }

    /// Waits until the transport has let go of the request body.
    async fn dropped(self) {
        assert!(self.dropped.await.is_err());
    }
}

fn streamed_post(server: &Server) -> (Feed, Request<RequestBody>) {
    let (send, items) = mpsc::unbounded();
    let (alive, dropped) = oneshot::channel();
    let body = RequestBody::stream(Fed {
        items,
        _dropped: alive,
    });
    let request = Request::post(server.uri("/v3/watch")).body(body).unwrap();
    (Feed { items: send, dropped }, request)
}

/// Waits for `expected` to arrive, in whatever pieces.
async fn expect(body: &mut ResponseBody, expected: &str) {
    let mut received = Vec::new();
    while received.len() < expected.len() {
        match body.next_frame().await.unwrap().unwrap() {
            BodyFrame::Data(data) => received.extend_from_slice(&data),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(String::from_utf8(received).unwrap(), expected);
}

fn write_chunk(peer: &mut Peer, chunk: &str) {
    peer.write(format!("{:x}\r\n{chunk}\r\n", chunk.len()));
}

pub async fn the_head_arrives_while_the_request_body_is_open(world: World) {
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        let head = peer.head();
        peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        write_chunk(&mut peer, &head);
        assert_eq!(peer.chunk().unwrap(), b"late");
        peer.write("0\r\n\r\n");
        peer.wait_for_close();
    });
    let (feed, request) = streamed_post(&server);
    // Nothing has been sent but the head.
    let response = world.transport().exchange(request).await.unwrap();
    let host = server.host();
    let expected = format!(
        "POST /v3/watch HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\nhost: {host}\r\n\r\n"
    );
    let mut body = response.into_body();
    expect(&mut body, &expected).await;
    feed.send("late");
    assert!(body.next_frame().await.is_none());
    server.done().await;
}

pub async fn each_item_is_one_chunk(world: World) {
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        peer.head();
        for item in [&b"{\"a\":1}\n"[..], b"{", b"}\n", &[b'x'; 100_000]] {
            assert_eq!(peer.chunk().unwrap(), item);
        }
        assert_eq!(peer.chunk(), None);
        peer.respond("all");
    });
    let (feed, request) = streamed_post(&server);
    // Even those that wait together stay apart.
    feed.send("{\"a\":1}\n");
    feed.send("{");
    feed.send("}\n");
    feed.items.unbounded_send(vec![b'x'; 100_000].into()).unwrap();
    drop(feed);
    assert_eq!(
        fetch(&*world.transport(), request).await.unwrap().into_body(),
        "all"
    );
    server.done().await;
}

/// The dialogue of a real watch, as recorded from etcd.
pub async fn a_watch_gains_a_key_and_loses_another_on_one_socket(world: World) {
    const STEPS: [(&str, &str); 3] = [
        (
            "{\"create_request\":{\"key\":\"YQ==\",\"watch_id\":\"1\"}}\n",
            "{\"result\":{\"header\":{\"revision\":\"2\"},\"watch_id\":\"1\",\"created\":true}}\n\
             {\"result\":{\"header\":{\"revision\":\"3\"},\"watch_id\":\"1\",\"events\":[{\"kv\":{\"key\":\"YQ==\"}}]}}\n",
        ),
        (
            "{\"create_request\":{\"key\":\"Yg==\",\"watch_id\":\"2\"}}\n",
            "{\"result\":{\"header\":{\"revision\":\"3\"},\"watch_id\":\"2\",\"created\":true}}\n\
             {\"result\":{\"header\":{\"revision\":\"4\"},\"watch_id\":\"2\",\"events\":[{\"kv\":{\"key\":\"Yg==\"}}]}}\n",
        ),
        (
            "{\"cancel_request\":{\"watch_id\":\"1\"}}\n",
            "{\"result\":{\"header\":{\"revision\":\"4\"},\"watch_id\":\"1\",\"canceled\":true}}\n\
             {\"result\":{\"header\":{\"revision\":\"6\"},\"watch_id\":\"2\",\"events\":[{\"kv\":{\"key\":\"Yg==\"}}]}}\n",
        ),
    ];
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        peer.head();
        // As etcd does, the head waits for the first message.
        let mut head = HEAD;
        for (said, answers) in STEPS {
            assert_eq!(peer.chunk().unwrap(), said.as_bytes());
            peer.write(head);
            head = "";
            for answer in answers.split_inclusive('\n') {
                write_chunk(&mut peer, answer);
            }
        }
        peer.wait_for_close();
        listener.assert_no_other();
    });
    let (feed, request) = streamed_post(&server);
    feed.send(STEPS[0].0);
    let mut body = world.transport().exchange(request).await.unwrap().into_body();
    expect(&mut body, STEPS[0].1).await;
    for (say, hear) in &STEPS[1..] {
        feed.send(say);
        expect(&mut body, hear).await;
    }
    drop(body);
    feed.dropped().await;
    server.done().await;
}

pub async fn the_request_flows_while_nobody_reads(world: World) {
    let (arrived, arrival) = oneshot::channel();
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        peer.head();
        peer.write(HEAD);
        // More than anybody is going to read.
        for _ in 0..4 {
            write_chunk(&mut peer, "unread");
        }
        assert_eq!(peer.chunk().unwrap(), b"one");
        assert_eq!(peer.chunk().unwrap(), b"two");
        arrived.send(()).unwrap();
        peer.wait_for_close();
    });
    let (feed, request) = streamed_post(&server);
    let response = world.transport().exchange(request).await.unwrap();
    feed.send("one");
    feed.send("two");
    arrival.await.unwrap();
    drop(response);
    feed.dropped().await;
    server.done().await;
}

pub async fn the_response_goes_on_after_the_request_has_ended(world: World) {
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        peer.head();
        assert_eq!(peer.chunk().unwrap(), b"only");
        peer.write(HEAD);
        assert_eq!(peer.chunk(), None);
        for event in ["one", "two", "three"] {
            write_chunk(&mut peer, event);
        }
        peer.write("0\r\n\r\n");
    });
    let (feed, request) = streamed_post(&server);
    feed.send("only");
    let response = world.transport().exchange(request).await.unwrap();
    drop(feed);
    assert_eq!(
        response.into_body().collect(BODY_LIMIT).await.unwrap(),
        "onetwothree"
    );
    server.done().await;
}

pub async fn the_end_of_the_response_ends_the_request_body(world: World) {
    for end in [
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let server = Server::run(move |listener| {
            let mut peer = listener.accept();
            peer.head();
            peer.write(end);
            peer.wait_for_close();
        });
        let (feed, request) = streamed_post(&server);
        fetch(&*world.transport(), request).await.unwrap();
        feed.dropped().await;
        server.done().await;
    }
}

pub async fn dropping_the_response_ends_the_request_body(world: World) {
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        peer.head();
        peer.write(HEAD);
        peer.wait_for_close();
    });
    let (feed, request) = streamed_post(&server);
    drop(world.transport().exchange(request).await.unwrap());
    feed.dropped().await;
    server.done().await;
}

pub async fn dropping_the_future_ends_the_request_body(world: World) {
    let (received, head_seen) = oneshot::channel();
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        peer.head();
        received.send(()).unwrap();
        peer.wait_for_close();
    });
    let (feed, request) = streamed_post(&server);
    let transport = world.transport();
    match select(transport.exchange(request), head_seen).await {
        Either::Left(_) => panic!("no head was sent"),
        Either::Right((seen, exchange)) => {
            seen.unwrap();
            drop(exchange);
        }
    }
    feed.dropped().await;
    server.done().await;
}

pub async fn a_cut_response_is_an_error_and_ends_the_request_body(world: World) {
    type Cut = fn(Peer);
    for (cut, kind) in [
        (drop as Cut, TransportErrorKind::Closed),
        (Peer::reset as Cut, TransportErrorKind::Io),
    ] {
        for written in ["", HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"] {
            let server = Server::run(move |listener| {
                let mut peer = listener.accept();
                peer.head();
                peer.write(written);
                cut(peer);
            });
            let (feed, request) = streamed_post(&server);
            let error = fetch(&*world.transport(), request).await.unwrap_err();
            assert_eq!(error.kind(), kind, "after {written:?}: {error:?}");
            assert_eq!(error.delivery(), Delivery::MaybeSent);
            feed.dropped().await;
            server.done().await;
        }
    }
}

/// What is written finds out first then: what was received is not taken, so nothing more is read.
pub async fn a_connection_that_breaks_while_nobody_reads_is_reported_as_broken(world: World) {
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        peer.head();
        peer.write(HEAD);
        for _ in 0..4 {
            write_chunk(&mut peer, "unread");
        }
        // The first of them has come through, and is not taken.
        assert_eq!(peer.chunk().unwrap(), b"one");
        peer.reset();
    });
    let (feed, request) = streamed_post(&server);
    let mut body = world.transport().exchange(request).await.unwrap().into_body();
    feed.send("one");
    server.done().await;
    feed.send("two");
    feed.dropped().await;
    let error = loop {
        match body.next_frame().await.expect("the body is not complete") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), TransportErrorKind::Io, "{error:?}");
}

pub async fn duplex_exchanges_pass_the_limit(world: World) {
    const OPEN: usize = 3;
    let server = Server::run(|listener| {
        let mut streams = Vec::new();
        for _ in 0..OPEN {
            let mut peer = listener.accept();
            peer.head();
            peer.write(HEAD);
            streams.push(peer);
        }
        let (mut peer, _) = listener.accept_request();
        peer.respond("ok");
        for mut peer in streams {
            peer.wait_for_close();
        }
    });
    let config = HttpConfig::new().pool(PoolConfig::new().max_connections(1));
    let transport = world.transport_with(config);
    let (mut feeds, mut responses) = (Vec::new(), Vec::new());
    for _ in 0..OPEN {
        let (feed, request) = streamed_post(&server);
        responses.push(transport.exchange(request).await.unwrap());
        feeds.push(feed);
    }
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "ok"
    );
    drop(responses);
    server.done().await;
    // Dropped earlier, they could end their requests in good order before the sockets close.
    drop(feeds);
}

pub async fn an_empty_item_does_not_end_the_body(world: World) {
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        peer.head();
        assert_eq!(peer.chunk().unwrap(), b"before");
        assert_eq!(peer.chunk().unwrap(), b"after");
        assert_eq!(peer.chunk(), None);
        peer.respond("ok");
    });
    let (feed, request) = streamed_post(&server);
    feed.send("before");
    feed.send("");
    feed.send("after");
    drop(feed);
    assert_eq!(
        fetch(&*world.transport(), request).await.unwrap().into_body(),
        "ok"
    );
    server.done().await;
}
