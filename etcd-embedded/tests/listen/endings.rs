//! How a server ends, and how it stands still.

use std::io::ErrorKind;
use std::net::TcpStream;

use etcd_embedded::listen::HttpServer;
use etcd_embedded::{Config, Dialect, Server};
use etcd_process::ReservedPort;

use super::socket::{Socket, server, until, watches};

const WATCH: &str = r#"{"create_request":{"key":"YQ=="}}"#;

/// A server whose port nobody else takes once it is free again.
fn server_on_reserved_port(dialect: Dialect) -> (ReservedPort, HttpServer) {
    let port = ReservedPort::new();
    let config = Config::new().dialect(dialect);
    let server = HttpServer::start(("127.0.0.1", port.number()), config).unwrap();
    (port, server)
}

#[test]
fn a_shutdown_tells_everyone_why() {
    for dialect in Dialect::ALL {
        let (_port, server) = server_on_reserved_port(dialect);
        let address = server.local_addr();
        let mut stream = Socket::connect(&server);
        stream.post("/v3/watch", WATCH);
        let mut duplex = Socket::connect(&server);
        duplex.begin("/v3/watch", "Connection: close");
        duplex.chunk(WATCH);
        for socket in [&mut stream, &mut duplex] {
            socket.head();
            assert!(socket.line().contains("created"));
        }
        let mut holder = Socket::connect(&server);
        holder.post("/v3/lock/lock", r#"{"name":"TA=="}"#);
        let head = holder.head();
        holder.body(&head);
        let mut waiter = Socket::connect(&server);
        waiter.post("/v3/lock/lock", r#"{"name":"TA=="}"#);
        let mut observer = Socket::connect(&server);
        observer.post("/v3/election/observe", r#"{"name":"RQ=="}"#);
        until("all are there", || {
            server.transport().inspect(Server::call_count) == 4
        });

        server.shutdown();

        // The words, and the framing, of recordings of real servers.
        let (line, unary) = match dialect {
            Dialect::G1_6 => (
                r#"{"error":{"grpc_code":14,"http_code":503,"message":"transport is closing","http_status":"Service Unavailable"}}"#,
                r#"{"error":"transport is closing","message":"transport is closing","code":14}"#,
            ),
            Dialect::G1_16 => (
                r#"{"error":{"grpc_code":14,"http_code":503,"message":"error reading from server: EOF","http_status":"Service Unavailable"}}"#,
                r#"{"error":"error reading from server: EOF","code":14,"message":"error reading from server: EOF"}"#,
            ),
            _ => (
                "{\"error\":{\"code\":14,\"message\":\"error reading from server: EOF\"}}\n",
                r#"{"code":14, "message":"error reading from server: EOF"}"#,
            ),
        };
        let last = format!("{:X}\r\n{line}\r\n0\r\n\r\n", line.len());
        assert_eq!(stream.rest(), last);
        assert_eq!(duplex.rest(), last);
        let head = waiter.head();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        assert_eq!(waiter.rest(), unary);
        let head = observer.head();
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        let expected = if dialect == Dialect::G2 { &last } else { unary };
        assert_eq!(observer.rest(), expected);
        assert_eq!(holder.rest(), "");
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn a_dropped_server_says_nothing_more() {
    let (_port, server) = server_on_reserved_port(Dialect::G2);
    let mut stream = Socket::connect(&server);
    stream.post("/v3/watch", WATCH);
    stream.head();
    stream.line();
    let address = server.local_addr();
    drop(server);
    assert_eq!(stream.rest(), "");
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_frozen_server_takes_connections_and_answers_once_it_goes_on() {
    let mut server = server(Dialect::G2);
    server.freeze();
    server.freeze();
    let mut socket = Socket::connect(&server);
    socket.post("/v3/kv/put", r#"{"key":"YQ==","value":"MQ=="}"#);
    assert!(socket.is_silent());
    assert_eq!(server.connection_count(), 0);
    server.thaw();
    assert!(socket.head().starts_with("HTTP/1.1 200"));

    server.freeze();
    drop(server);
    socket.rest();
}

#[test]
fn one_server_is_reached_by_several_sockets_and_without_any() {
    let bind = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = [bind(), bind()];
    let addresses = listeners
        .each_ref()
        .map(|listener| listener.local_addr().unwrap());
    let server =
        HttpServer::serve(listeners, |runtime| Server::new(Config::new(), runtime.now(), 42)).unwrap();
    assert_eq!(server.local_addr(), addresses[0]);
    for address in addresses {
        TcpStream::connect(address).unwrap();
    }
    assert_eq!(watches(&server), 0);
    let nowhere = HttpServer::serve([], |runtime| Server::new(Config::new(), runtime.now(), 42));
    assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn clients_are_told_where_it_listens() {
    let server = server(Dialect::G2);
    let mut socket = Socket::connect(&server);
    socket.post("/v3/cluster/member/list", "{}");
    let head = socket.head();
    let body = socket.body(&head);
    assert!(
        body.contains(&format!(r#""clientURLs":["{}"]"#, server.url())),
        "{body}"
    );
}

#[test]
fn a_killed_server_comes_back_with_its_data_and_without_what_it_had_in_mind() {
    let (_port, mut server) = server_on_reserved_port(Dialect::G2);
    let (address, url) = (server.local_addr(), server.url());
    let mut stream = Socket::connect(&server);
    stream.post("/v3/watch", WATCH);
    stream.head();
    stream.line();
    let mut writer = Socket::connect(&server);
    writer.post("/v3/kv/put", r#"{"key":"YQ==","value":"MQ=="}"#);
    let head = writer.head();
    let before = writer.body(&head);

    server.freeze();
    server.kill();
    assert_eq!(server.connection_count(), 0);
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    server.restart().unwrap();
    assert_eq!((server.local_addr(), server.url()), (address, url));
    assert_eq!(watches(&server), 0);

    let mut reader = Socket::connect(&server);
    reader.post("/v3/kv/range", r#"{"key":"YQ=="}"#);
    let head = reader.head();
    let after = reader.body(&head);
    assert!(after.contains(r#""value":"MQ==""#), "{after}");
    // The same member of the same cluster at the same revision.
    assert_eq!(before.split('}').next(), after.split('}').next());

    server.restart().unwrap();
    let mut taken = server;
    taken.kill();
    let _other = std::net::TcpListener::bind(address).unwrap();
    assert_eq!(taken.restart().unwrap_err().kind(), ErrorKind::AddrInUse);
}
