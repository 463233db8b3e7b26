//! A client that goes away leaves nothing behind.

use etcd_core::key::all_keys;
use etcd_core::message::Get;
use etcd_embedded::Dialect;
use etcd_embedded::listen::HttpServer;

use super::socket::{Socket, server, until, watches};

const WATCH: &str = r#"{"create_request":{"key":"YQ=="}}"#;

fn calls(server: &HttpServer) -> usize {
    server.transport().inspect(etcd_embedded::Server::call_count)
}

#[test]
fn a_watch_goes_with_its_client() {
    for dialect in Dialect::ALL {
        let server = server(dialect);
        let mut complete = Socket::connect(&server);
        complete.post("/v3/watch", WATCH);
        complete.head();
        let mut open = Socket::connect(&server);
        open.begin("/v3/watch", "Connection: close");
        open.chunk(WATCH);
        open.head();
        let mut held_back = Socket::connect(&server);
        held_back.begin("/v3/watch", "Connection: keep-alive");
        held_back.chunk(WATCH);
        until("all three watch", || watches(&server) == 3);

        drop(complete);
        until("the one that had said everything is gone", || {
            watches(&server) == 2
        });
        drop(open);
        until("the one that could have said more is gone", || {
            watches(&server) == 1
        });
        drop(held_back);
        until("the one that had heard nothing is gone", || watches(&server) == 0);
        until("so are the connections", || server.connection_count() == 0);
        assert_eq!(calls(&server), 0);
    }
}

#[test]
fn a_waiter_goes_with_its_client_and_gives_its_place_up() {
    let server = server(Dialect::G2);
    let mut holder = Socket::connect(&server);
    holder.post("/v3/lock/lock", r#"{"name":"TA=="}"#);
    assert!(holder.head().starts_with("HTTP/1.1 200"));
    let all = Get::new(all_keys());
    let keys = || {
        server
            .transport()
            .inspect(|server| server.store().range(&all).unwrap().count)
    };

    let mut waiter = Socket::connect(&server);
    waiter.post("/v3/lock/lock", r#"{"name":"TA=="}"#);
    until("it waits in line", || calls(&server) == 1 && keys() == 2);
    drop(waiter);
    until("its place is gone", || calls(&server) == 0 && keys() == 1);
}

#[test]
fn a_request_that_breaks_off_is_not_carried_out() {
    let server = server(Dialect::G2);
    let mut socket = Socket::connect(&server);
    socket.begin("/v3/kv/put", "Connection: close");
    socket.chunk(r#"{"key":"YQ==","value":"MQ=="}"#);
    until("it has begun", || server.connection_count() == 1);
    drop(socket);
    until("it is gone", || server.connection_count() == 0);
    assert_eq!(server.transport().inspect(|server| server.store().revision()), 1);
}

#[test]
fn what_is_not_http_is_refused_and_the_server_goes_on() {
    let server = server(Dialect::G2);
    for garbage in [
        "\0\0\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "POST /v3/kv/put HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ] {
        let mut socket = Socket::connect(&server);
        socket.send(garbage);
        let answer = socket.rest();
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{garbage:?}: {answer:?}"
        );
    }
    let mut socket = Socket::connect(&server);
    socket.post("/v3/kv/range", r#"{"key":"YQ=="}"#);
    assert!(socket.head().starts_with("HTTP/1.1 200"));
}
