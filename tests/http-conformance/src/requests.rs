//! What goes over the wire for a request.

use etcd_core::transport::{Delivery, RequestBody, TransportErrorKind};
use http::Request;

use crate::server::Server;
use crate::{World, fetch};

pub async fn a_whole_body_is_sent_byte_for_byte(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, request) = listener.accept_request();
        assert_eq!(request.body, b"{\"key\":\"Zm9v\"}");
        peer.respond(&request.head);
    });
    let request = Request::post(server.uri("/v3/kv/range?a=b"))
        .header("authorization", "token")
        .body("{\"key\":\"Zm9v\"}".into())
        .unwrap();
    let head = fetch(&*world.transport(), request).await.unwrap().into_body();
    let host = server.host();
    let expected = format!(
        "POST /v3/kv/range?a=b HTTP/1.1\r\nauthorization: token\r\nhost: {host}\r\ncontent-length: 14\r\n\r\n"
    );
    assert_eq!(head, expected);
    server.done().await;
}

pub async fn an_empty_post_announces_its_length(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, request) = listener.accept_request();
        peer.respond(&request.head);
    });
    let head = fetch(&*world.transport(), server.post(""))
        .await
        .unwrap()
        .into_body();
    let host = server.host();
    assert_eq!(
        head,
        format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n")
    );
    server.done().await;
}

pub async fn a_get_announces_nothing(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, request) = listener.accept_request();
        peer.respond(&request.head);
    });
    let request = Request::get(server.uri("/health")).body("".into()).unwrap();
    let head = fetch(&*world.transport(), request).await.unwrap().into_body();
    let host = server.host();
    assert_eq!(head, format!("GET /health HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    server.done().await;
}

pub async fn framing_headers_of_the_caller_do_not_count(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, request) = listener.accept_request();
        assert_eq!(request.body, b"four");
        peer.respond(&request.head);
    });
    let request = Request::post(server.uri("/"))
        .header("content-length", "400")
        .header("transfer-encoding", "chunked")
        .body("four".into())
        .unwrap();
    let head = fetch(&*world.transport(), request).await.unwrap().into_body();
    let host = server.host();
    assert_eq!(
        head,
        format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 4\r\n\r\n")
    );
    server.done().await;
}

pub async fn another_host_header_is_kept(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, request) = listener.accept_request();
        peer.respond(&request.head);
    });
    let mut request = server.post("");
    request
        .headers_mut()
        .insert("host", "etcd.example".parse().unwrap());
    let head = fetch(&*world.transport(), request).await.unwrap().into_body();
    assert_eq!(
        head,
        "POST / HTTP/1.1\r\nhost: etcd.example\r\ncontent-length: 0\r\n\r\n"
    );
    server.done().await;
}

pub async fn what_cannot_be_carried_is_refused(world: World) {
    let transport = world.transport();
    for (uri, why) in [
        ("https://127.0.0.1:1/", "tls"),
        ("unix://127.0.0.1:1/", "scheme"),
        ("/v3/kv/range", "absolute"),
        ("http://root:secret@127.0.0.1:1/", "user information"),
        ("http://127.0.0.1:99999/", "port"),
    ] {
        let request = Request::post(uri).body(RequestBody::from("")).unwrap();
        let error = transport.exchange(request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Unsupported, "{uri}");
        assert_eq!(error.delivery(), Delivery::NotSent, "{uri}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            source.contains(why) && !source.contains("secret"),
            "{uri}: {source}"
        );
    }
}

pub async fn a_large_body_arrives_whole(world: World) {
    const LENGTH: usize = 3 << 20;
    let server = Server::run(|listener| {
        let (mut peer, request) = listener.accept_request();
        assert_eq!(request.body.len(), LENGTH);
        assert!(
            request
                .body
                .iter()
                .enumerate()
                .all(|(index, byte)| *byte == index as u8)
        );
        peer.respond("thanks");
    });
    let body: Vec<u8> = (0..LENGTH).map(|index| index as u8).collect();
    let request = Request::post(server.uri("/")).body(body.into()).unwrap();
    assert_eq!(
        fetch(&*world.transport(), request).await.unwrap().into_body(),
        "thanks"
    );
    server.done().await;
}
