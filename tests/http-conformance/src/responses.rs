//! Every shape of response, cut and broken everywhere.

use etcd_core::transport::{BodyFrame, Delivery, TransportErrorKind};
use etcd_http::HttpConfig;
use http::{Method, Request};

use crate::server::Server;
use crate::{BODY_LIMIT, World, fetch};

const BODY: &str = "{\"key\":1}\n{\"key\":2}";

/// A response whose body is [`BODY`].
#[derive(Clone, Copy)]
struct Shape {
    wire: &'static str,
    /// Whether the end of the connection is the end of the body.
    until_close: bool,
}

const SHAPES: [Shape; 5] = [
    Shape {
        wire: "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{\"key\":1}\n{\"key\":2}",
        until_close: false,
    },
    Shape {
        wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{\"key\":1}\n\r\n9;x=y\r\n{\"key\":2}\r\n0\r\n\r\n",
        until_close: false,
    },
    Shape {
        wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Trailer-A\r\n\r\n\
               13\r\n{\"key\":1}\n{\"key\":2}\r\n0\r\nGrpc-Trailer-A: b\r\n\r\n",
        until_close: false,
    },
    Shape {
        wire: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"key\":1}\n{\"key\":2}",
        until_close: true,
    },
    Shape {
        wire: "HTTP/1.0 200 OK\r\n\r\n{\"key\":1}\n{\"key\":2}",
        until_close: true,
    },
];

pub async fn every_body_survives_every_split(world: World) {
    let transport = world.transport();
    for shape in SHAPES {
        let server = Server::run(move |listener| {
            let mut peer = None;
            for split in 0..=shape.wire.len() {
                let mut kept = peer.take().unwrap_or_else(|| listener.accept());
                kept.request();
                let (first, second) = shape.wire.split_at(split);
                kept.write(first);
                // The pieces are apart on the wire; whether they are when read is up to the scheduler here, and
                // certain in `etcd-http`'s own tests.
                std::thread::yield_now();
                kept.write(second);
                if !shape.until_close {
                    peer = Some(kept);
                }
            }
            listener.assert_no_other();
        });
        for _ in 0..=shape.wire.len() {
            assert_eq!(
                fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
                BODY
            );
        }
        server.done().await;
    }
}

pub async fn every_early_close_is_an_error(world: World) {
    let transport = world.transport();
    for shape in SHAPES {
        let head = shape.wire.find("\r\n\r\n").unwrap() + 4;
        let cuts = if shape.until_close { head } else { shape.wire.len() };
        let server = Server::run(move |listener| {
            for cut in 0..cuts {
                let (mut peer, _) = listener.accept_request();
                peer.write(&shape.wire[..cut]);
            }
        });
        for cut in 0..cuts {
            let error = fetch(&*transport, server.post("{}")).await.unwrap_err();
            assert_eq!(
                error.kind(),
                TransportErrorKind::Closed,
                "{:?}",
                &shape.wire[..cut]
            );
            assert_eq!(error.delivery(), Delivery::MaybeSent);
        }
        server.done().await;
    }
}

pub async fn every_reset_is_an_error(world: World) {
    let transport = world.transport();
    for shape in SHAPES {
        let server = Server::run(move |listener| {
            for cut in 0..shape.wire.len() {
                let (mut peer, _) = listener.accept_request();
                peer.write(&shape.wire[..cut]);
                peer.reset();
            }
        });
        for cut in 0..shape.wire.len() {
            let error = fetch(&*transport, server.post("{}")).await.unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Io, "{:?}", &shape.wire[..cut]);
            assert_eq!(error.delivery(), Delivery::MaybeSent);
        }
        server.done().await;
    }
}

pub async fn garbage_is_a_protocol_error(world: World) {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let transport = world.transport();
    let answers = [
        "garbage\r\n\r\n".to_owned(),
        "SSH-2.0-OpenSSH_9.2p1\r\n".to_owned(),
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{a}".to_owned(), // A TLS alert.
        "HTTP/1.1 twohundred OK\r\n\r\n".to_owned(),
        "HTTP/2.0 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        format!("{CHUNKED}x\r\n"),
        format!("{CHUNKED}-1\r\n"),
        format!("{CHUNKED}fffffffffffffffff\r\n"),
        format!("{CHUNKED}1\r\nab\r\n"),
        format!("{CHUNKED}0\r\nno colon\r\n\r\n"),
    ];
    for answer in answers {
        let wire = answer.clone();
        let server = Server::run(move |listener| {
            let (mut peer, _) = listener.accept_request();
            peer.write(wire);
            peer.drain_until_close();
        });
        let error = fetch(&*transport, server.post("{}")).await.unwrap_err();
        assert_eq!(
            error.kind(),
            TransportErrorKind::Protocol,
            "{answer:?}: {error:?}"
        );
        assert_eq!(error.delivery(), Delivery::MaybeSent);
        server.done().await;
    }
}

pub async fn a_head_without_end_is_refused(world: World) {
    assert_head_too_large(world, b"X-Filler: 0123456789\r\n").await;
}

pub async fn a_line_without_end_is_refused(world: World) {
    assert_head_too_large(world, b"0123456789").await;
}

async fn assert_head_too_large(world: World, filler: &'static [u8]) {
    let transport = world.transport_with(HttpConfig::new().head_limit(1500));
    let server = Server::run(move |listener| {
        let (mut peer, _) = listener.accept_request();
        peer.write("HTTP/1.1 200 OK\r\nX-Start: ");
        // Above the limit, and far below what hyper would take by itself.
        peer.write(filler.repeat(4000 / filler.len()));
        peer.drain_until_close();
    });
    let error = fetch(&*transport, server.post("{}")).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::HeadTooLarge);
    assert_eq!(error.delivery(), Delivery::MaybeSent);
    server.done().await;
}

pub async fn a_body_over_the_limit_is_refused_and_its_connection_closed(world: World) {
    let transport = world.transport();
    for head in [
        "Content-Length: 1000000000000",
        "Transfer-Encoding: chunked",
        "Connection: close",
    ] {
        let server = Server::run(move |listener| {
            let (mut peer, _) = listener.accept_request();
            peer.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n"));
            peer.flood(b"3e8\r\n");
        });
        // Chunks of 1000 bytes that consist of further size lines: good framing or bad, there is too much of it.
        let response = transport.exchange(server.post("{}")).await.unwrap();
        let error = response.into_body().collect(900).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::BodyTooLarge, "{head}");
        server.done().await;
    }
}

pub async fn interim_responses_are_passed_over(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, _) = listener.accept_request();
        peer.write("HTTP/1.1 100 Continue\r\n\r\n");
        peer.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        peer.respond("at last");
    });
    let response = fetch(&*world.transport(), server.post("{}")).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.body()[..]),
        (200, &b"at last"[..])
    );
    server.done().await;
}

pub async fn statuses_and_methods_without_body_have_none(world: World) {
    let server = Server::run(|listener| {
        let mut peer = listener.accept();
        for status in ["204 No Content", "304 Not Modified", "200 OK"] {
            peer.request();
            peer.write(format!("HTTP/1.1 {status}\r\nContent-Length: 12\r\n\r\n"));
        }
        peer.request();
        peer.respond("still in step");
    });
    let transport = world.transport();
    for _ in 0..2 {
        assert_eq!(
            fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
            ""
        );
    }
    let head = Request::builder()
        .method(Method::HEAD)
        .uri(server.uri("/"))
        .body("".into())
        .unwrap();
    assert_eq!(fetch(&*transport, head).await.unwrap().into_body(), "");
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "still in step"
    );
    server.done().await;
}

pub async fn trailers_follow_the_data(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, _) = listener.accept_request();
        peer.write("HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer.write("2\r\n{}\r\n0\r\nGrpc-Trailer-Status: 3\r\n\r\n");
    });
    let mut body = world
        .transport()
        .exchange(server.post("{}"))
        .await
        .unwrap()
        .into_body();
    let mut data = Vec::new();
    let trailers = loop {
        match body.next_frame().await.unwrap().unwrap() {
            BodyFrame::Data(bytes) => data.extend_from_slice(&bytes),
            BodyFrame::Trailers(trailers) => break trailers,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(data, b"{}");
    assert_eq!(trailers["grpc-trailer-status"], "3");
    assert!(body.next_frame().await.is_none());
    assert!(body.next_frame().await.is_none(), "the end is the end");
    server.done().await;
}

pub async fn redirects_are_not_followed(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, _) = listener.accept_request();
        peer.write("HTTP/1.1 301 Moved Permanently\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
    });
    let response = fetch(&*world.transport(), server.post("{}")).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["location"]),
        (301, &"/elsewhere".parse().unwrap())
    );
    server.done().await;
}

pub async fn a_large_body_arrives_in_pieces(world: World) {
    const LENGTH: usize = 5 * BODY_LIMIT;
    let server = Server::run(|listener| {
        let (mut peer, _) = listener.accept_request();
        peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"));
        peer.write((0..LENGTH).map(|index| index as u8).collect::<Vec<_>>());
        peer.request();
        peer.respond("on the same connection");
    });
    let transport = world.transport();
    let mut body = transport.exchange(server.post("{}")).await.unwrap().into_body();
    let mut length = 0;
    while let Some(frame) = body.next_frame().await {
        let BodyFrame::Data(bytes) = frame.unwrap() else {
            panic!("no trailers were sent");
        };
        assert!(
            bytes
                .iter()
                .enumerate()
                .all(|(index, byte)| *byte == (length + index) as u8)
        );
        length += bytes.len();
    }
    assert_eq!(length, LENGTH);
    assert_eq!(
        fetch(&*transport, server.post("{}")).await.unwrap().into_body(),
        "on the same connection"
    );
    server.done().await;
}
