//! Both directions of one exchange.

use etcd_embedded::Dialect;

use super::socket::{Socket, server, until, watches};

const A: &str = r#"{"create_request":{"key":"YQ==","watch_id":"1"}}"#;
const B: &str = r#"{"create_request":{"key":"Yg==","watch_id":"2"}}"#;

#[test]
fn one_connection_carries_call_after_call() {
    for dialect in Dialect::ALL {
        let server = server(dialect);
        let mut socket = Socket::connect(&server);
        for revision in 2..5 {
            socket.post("/v3/kv/put", r#"{"key":"YQ==","value":"MQ=="}"#);
            let head = socket.head();
            assert!(
                head.starts_with("HTTP/1.1 200 OK\r\n")
                    && head.contains("\r\nContent-Type: application/json\r\n"),
                "{head}"
            );
            assert!(!head.contains("chunked"), "{head}");
            let body = socket.body(&head);
            assert!(body.contains(&format!(r#""revision":"{revision}""#)), "{body}");
        }
        assert_eq!(server.connection_count(), 1);
    }
}

#[test]
fn a_stream_goes_both_ways_if_the_connection_closes_after_it() {
    let headers = [
        "Connection: close",
        "Connection: keep-alive, Close",
        "Expect: 100-continue",
    ];
    for (dialect, header) in Dialect::ALL.into_iter().zip(headers) {
        let server = server(dialect);
        let mut socket = Socket::connect(&server);
        socket.begin("/v3/watch", header);
        if header.starts_with("Expect") {
            assert_eq!(socket.head(), "HTTP/1.1 100 Continue\r\n\r\n");
        }
        socket.chunk(A);
        let head = socket.head();
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Transfer-Encoding: chunked"),
            "{head}"
        );
        assert!(socket.line().contains(r#""created":true"#));

        // Messages need no chunk of their own.
        let (begin, end) = B.split_at(20);
        socket.chunk(begin);
        socket.chunk(&format!("{end}{}", r#"{"progress_request":{}}"#));
        let created = socket.line();
        assert!(
            created.contains(r#""watch_id":"2""#) && created.contains(r#""created":true"#),
            "{created}"
        );
        assert!(socket.line().contains(r#""watch_id":"-1""#));

        let mut writer = Socket::connect(&server);
        writer.post("/v3/kv/put", r#"{"key":"Yg==","value":"MQ=="}"#);
        let event = socket.line();
        assert!(event.contains(r#""events":[{"kv":{"key":"Yg==""#), "{event}");

        socket.chunk(r#"{"cancel_request":{"watch_id":"2"}}"#);
        assert!(socket.line().contains(r#""canceled":true"#));
        // The stream goes on without more to say.
        socket.end();
        writer.post("/v3/kv/put", r#"{"key":"YQ==","value":"MQ=="}"#);
        assert!(socket.line().contains(r#""events":[{"kv":{"key":"YQ==""#));
    }
}

#[test]
fn otherwise_the_answer_waits_for_the_end_of_the_request_as_with_go() {
    let server = server(Dialect::G2);
    let mut socket = Socket::connect(&server);
    socket.begin("/v3/watch", "Connection: keep-alive");
    socket.chunk(A);
    until("the watch begins", || watches(&server) == 1);
    socket.chunk(B);
    until("the second one, too", || watches(&server) == 2);
    assert!(socket.is_silent());

    socket.end();
    assert!(socket.head().starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(socket.line().contains(r#""watch_id":"1""#));
    assert!(socket.line().contains(r#""watch_id":"2""#));
}

#[test]
fn keep_alives_are_answered_one_by_one_and_end_with_the_request() {
    let server = server(Dialect::G1_16);
    let mut socket = Socket::connect(&server);
    socket.post("/v3/lease/grant", r#"{"TTL":"60","ID":"7"}"#);
    let head = socket.head();
    socket.body(&head);

    socket.begin("/v3/lease/keepalive", "Connection: close");
    socket.chunk(r#"{"ID":"7"}"#);
    socket.head();
    assert!(socket.line().contains(r#""ID":"7","TTL":"60""#));
    socket.chunk(r#"{"ID":"8"}"#);
    let gone = socket.line();
    assert!(gone.contains(r#""ID":"8""#) && !gone.contains("TTL"), "{gone}");
    socket.end();
    assert_eq!(socket.rest(), "0\r\n\r\n");
}

#[test]
fn http_1_0_gets_a_stream_until_the_connection_ends() {
    let server = server(Dialect::G2);
    let mut socket = Socket::connect(&server);
    let length = A.len();
    socket.send(&format!(
        "POST /v3/watch HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{A}"
    ));
    let head = socket.head();
    assert!(
        head.starts_with("HTTP/1.0 200 OK\r\n") && !head.contains("chunked"),
        "{head}"
    );
    assert!(socket.read_to("\n").contains(r#""created":true"#));
}

#[test]
fn a_browser_may_let_its_scripts_ask() {
    let server = server(Dialect::G2);
    let mut socket = Socket::connect(&server);
    socket.send("OPTIONS /v3/kv/put HTTP/1.1\r\nHost: etcd\r\n\r\n");
    let head = socket.head();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nAccess-Control-Allow-Origin: *\r\n"), "{head}");
    assert_eq!(socket.body(&head), "");
}
