//! Against a server scripted byte by byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use async_std::task::block_on;
use bytes::Bytes;
use etcd_core::transport::{Delivery, RequestBody, Transport, TransportError, TransportErrorKind};
use etcd_surf::SurfTransport;
use http::Request;

/// Answers one request with `response`, and returns the request.
fn serve(response: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\n{}") {
            let mut byte = [0; 1];
            stream.read_exact(&mut byte).unwrap();
            received.extend_from_slice(&byte);
        }
        stream.write_all(response.as_bytes()).unwrap();
        String::from_utf8(received).unwrap()
    });
    (address, server)
}

fn post(uri: &str, body: RequestBody) -> Result<Bytes, TransportError> {
    let request = Request::post(uri)
        .header("authorization", "token")
        .body(body)
        .unwrap();
    block_on(async {
        let response = SurfTransport::new()?.exchange(request).await?;
        response.into_body().collect(1 << 20).await
    })
}

#[test]
fn whole_bodies_go_both_ways() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
    ] {
        let (address, server) = serve(response);
        assert_eq!(
            post(&format!("http://{address}/v3/kv/range"), "{}".into()).unwrap(),
            "ok"
        );
        let request = server.join().unwrap();
        assert!(request.starts_with("POST /v3/kv/range HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("authorization: token\r\n") && request.contains("content-length: 2\r\n"),
            "{request}"
        );
    }
}

#[test]
fn a_cut_body_is_an_error() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    ] {
        let (address, server) = serve(response);
        let error = post(&format!("http://{address}/"), "{}".into()).unwrap_err();
        assert_eq!(
            error.kind(),
            TransportErrorKind::Closed,
            "{response:?}: {error:?}"
        );
        assert_eq!(error.delivery(), Delivery::MaybeSent);
        server.join().unwrap();
    }
}

#[test]
fn a_refused_connection_is_not_sent() {
    // Of those that no system hands out, and nothing listens at. (A free one may be somebody else's by now.)
    let address = "127.0.0.1:1";
    let error = post(&format!("http://{address}/"), "{}".into()).unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (TransportErrorKind::Connect, Delivery::NotSent)
    );
}

#[test]
fn what_surf_cannot_do_is_refused_before_anything_is_sent() {
    struct Never;
    impl futures_core::Stream for Never {
        type Item = Bytes;
        fn poll_next(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Bytes>> {
            std::task::Poll::Pending
        }
    }
    for (uri, body) in [
        ("https://127.0.0.1:1/", RequestBody::from("{}")),
        ("http://127.0.0.1:1/v3/watch", RequestBody::stream(Never)),
    ] {
        let error = post(uri, body).unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (TransportErrorKind::Unsupported, Delivery::NotSent)
        );
    }
}

#[test]
fn dropping_a_body_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 16]).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nab")
            .unwrap();
        // The rest of the request, then the end.
        while let Ok(1..) = stream.read(&mut [0; 1024]) {}
    });
    let request = Request::post(format!("http://{address}/"))
        .body(RequestBody::from("{}"))
        .unwrap();
    block_on(async {
        let response = SurfTransport::new().unwrap().exchange(request).await.unwrap();
        drop(response);
    });
    server.join().unwrap();
}
