//! From a URI to a connection, or not.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use etcd_core::transport::{Delivery, RequestBody, TransportErrorKind};
use etcd_http::HttpConfig;
use http::Request;
use socket2::{Domain, Socket, Type};

use crate::server::Server;
use crate::{World, fetch};

fn post(address: SocketAddr) -> Request<RequestBody> {
    Request::post(format!("http://{address}/"))
        .body("{}".into())
        .unwrap()
}

pub async fn a_refused_connection_is_not_sent(world: World) {
    // Bound, so that nobody else listens there, and does not listen itself.
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    bound
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    let address = bound.local_addr().unwrap().as_socket().unwrap();
    let error = fetch(&*world.transport(), post(address)).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect);
    assert_eq!(error.delivery(), Delivery::NotSent);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(&address.to_string()), "{source}");
}

/// Linux leaves further connection attempts unanswered while a listener's queue is full.
pub async fn a_silent_connect_times_out(world: World) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    loop {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if socket
            .connect_timeout(&address.into(), Duration::from_millis(200))
            .is_err()
        {
            break;
        }
        queued.push(socket);
    }
    let timeout = Duration::from_millis(50);
    let transport = world.transport_with(HttpConfig::new().connect_timeout(timeout));
    let before = world.runtime.now();
    let error = fetch(&*transport, post(address)).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::ConnectTimeout);
    assert_eq!(error.delivery(), Delivery::NotSent);
    assert!(world.runtime.now() >= before + timeout);
}

pub async fn an_address_may_be_version_6(world: World) {
    let listener = TcpListener::bind("[::1]:0").expect("this machine has an IPv6 loopback");
    let address = listener.local_addr().unwrap();
    let server = Server::on(listener, |listener| {
        let (mut peer, request) = listener.accept_request();
        peer.respond(&request.head);
    });
    let head = fetch(&*world.transport(), post(address))
        .await
        .unwrap()
        .into_body();
    assert_eq!(
        head,
        format!("POST / HTTP/1.1\r\nhost: {address}\r\ncontent-length: 2\r\n\r\n")
    );
    server.done().await;
}

pub async fn a_name_is_resolved(world: World) {
    let server = Server::run(|listener| {
        let (mut peer, _) = listener.accept_request();
        peer.respond("found");
    });
    let uri = format!("http://localhost:{}/", server.port());
    let request = Request::post(uri).body("{}".into()).unwrap();
    assert_eq!(
        fetch(&*world.transport(), request).await.unwrap().into_body(),
        "found"
    );
    server.done().await;
}

/// Whichever the client sees first, it must not claim to know what it cannot.
pub async fn a_server_that_hangs_up_at_once_has_got_nothing_or_perhaps_something(world: World) {
    const ATTEMPTS: usize = 50;
    let server = Server::run(|listener| {
        for _ in 0..ATTEMPTS {
            drop(listener.accept());
        }
    });
    let transport = world.transport();
    for _ in 0..ATTEMPTS {
        let error = fetch(&*transport, server.post("{}")).await.unwrap_err();
        match error.delivery() {
            Delivery::NotSent | Delivery::MaybeSent => {}
        }
        assert!(
            matches!(error.kind(), TransportErrorKind::Closed | TransportErrorKind::Io),
            "{error:?}"
        );
    }
    server.done().await;
}
