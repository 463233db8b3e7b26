//! Bodies that are not what etcd sends: each becomes a typed error, none a panic, none a leak.

use etcd_core::error::{Code, ErrorKind, EtcdError, MAX_ERROR_BODY};
use http::StatusCode;

/// Every body of an error, by shape: unary and stream, of each dialect.
const BODIES: [&str; 5] = [
    "{\"error\":\"etcdserver: no leader\",\"message\":\"etcdserver: no leader\",\"code\":14}",
    "{\"error\":\"etcdserver: no leader\",\"code\":14,\"message\":\"etcdserver: no leader\"}",
    "{\"code\":14, \"message\":\"etcdserver: no leader\"}",
    "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: no leader\",\"http_status\":\"Service Unavailable\"}}",
    "{\"error\":{\"code\":14,\"message\":\"etcdserver: no leader\"}}\n",
];

fn of(status: u16, body: impl AsRef<[u8]>) -> ErrorKind {
    ErrorKind::from_response(
        StatusCode::from_u16(status).expect("tests use valid ones"),
        body.as_ref(),
    )
}

fn is_server(kind: &ErrorKind, error: EtcdError, code: Code) -> bool {
    matches!(kind, ErrorKind::Server(server) if server.kind() == error && server.code() == code)
}

fn is_http(kind: &ErrorKind, status: u16) -> bool {
    matches!(kind, ErrorKind::Http(http) if http.status().as_u16() == status)
}

#[test]
fn each_shape_of_body_is_understood() {
    for body in BODIES {
        let kind = of(503, body);
        assert!(
            is_server(&kind, EtcdError::NoLeader, Code::Unavailable),
            "{body}: {kind:?}"
        );
    }
}

#[test]
fn a_body_cut_off_anywhere_is_an_answer_of_http() {
    for body in BODIES {
        let body = body.trim_end();
        for end in 0..body.len() {
            let kind = of(503, &body[..end]);
            assert!(is_http(&kind, 503), "{}: {kind:?}", &body[..end]);
            assert!(ErrorKind::from_stream_line(&body.as_bytes()[..end]).is_none());
        }
    }
}

#[test]
fn a_body_with_any_byte_changed_is_some_error_and_never_a_panic() {
    for body in BODIES {
        for at in 0..body.len() {
            for byte in [0, b'"', b'{', b'}', b'\\', b'9', b'-', 0x80, 0xff] {
                let mut bytes = body.as_bytes().to_vec();
                bytes[at] = byte;
                assert!(matches!(
                    of(503, &bytes),
                    ErrorKind::Server(_) | ErrorKind::Http(_)
                ));
                assert!(!matches!(
                    ErrorKind::from_stream_line(&bytes),
                    Some(ErrorKind::Http(_))
                ));
            }
        }
    }
}

#[test]
fn the_routers_errors_are_not_etcds() {
    assert!(is_http(&of(404, "{\"code\":5,\"message\":\"Not Found\"}"), 404));
    assert!(is_http(&of(404, "{\"code\":5, \"message\":\"Not Found\"}"), 404));
    assert!(is_http(
        &of(501, "{\"code\":12, \"message\":\"Method Not Allowed\"}"),
        501
    ));
    assert!(is_http(&of(405, "Method Not Allowed\n"), 405));
    assert!(is_http(&of(404, "404 page not found\n"), 404));
    // The same status and code, from etcd itself.
    let kind = of(
        404,
        "{\"code\":5, \"message\":\"etcdserver: requested lease not found\"}",
    );
    assert!(is_server(&kind, EtcdError::LeaseNotFound, Code::NotFound));
    let kind = of(
        501,
        "{\"code\":12, \"message\":\"unknown service etcdserverpb.X\"}",
    );
    assert!(is_server(&kind, EtcdError::Other, Code::Unimplemented));
}

#[test]
fn json_of_somebody_else_is_an_answer_of_http() {
    for body in [
        "{\"message\":\"no Route matched with those values\"}",
        "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}",
        "{\"code\":503,\"message\":\"upstream connect error\"}",
        "{\"error\":\"Unauthorized\"}",
        "{\"error\":{\"message\":\"no code\"}}",
        "{\"code\":\"14\",\"message\":\"a code that is no number\"}",
        "{\"code\":-1,\"message\":\"x\"}",
        "{\"code\":14.5,\"message\":\"x\"}",
        "{\"code\":99999999999999999999,\"message\":\"x\"}",
        "{\"code\":4294967296,\"message\":\"x\"}",
        "{}",
        "[]",
        "null",
        "14",
        "\"etcdserver: no leader\"",
        "",
    ] {
        assert!(is_http(&of(503, body), 503), "{body}");
    }
}

#[test]
fn members_of_the_wrong_type_do_not_hide_the_code() {
    for body in [
        "{\"code\":14,\"message\":7}",
        "{\"code\":14,\"message\":null,\"error\":[]}",
        "{\"code\":14}",
        "{\"error\":{\"code\":14,\"message\":{}}}",
    ] {
        let kind = of(503, body);
        assert!(
            is_server(&kind, EtcdError::Other, Code::Unavailable),
            "{body}: {kind:?}"
        );
    }
}

#[test]
fn codes_and_members_of_the_future_survive() {
    let kind = of(
        503,
        "{\"code\":42,\"message\":\"brand new\",\"details\":[{\"@type\":\"x\",\"n\":1}],\"more\":{}}",
    );
    assert!(is_server(&kind, EtcdError::Other, Code::Other(42)));
    assert_eq!(kind.to_string(), "brand new (Code(42))");
}

#[test]
fn a_body_nested_without_end_is_an_answer_of_http() {
    for (open, close) in [
        ("{\"error\":", "}"),
        ("[", "]"),
        ("{\"code\":14,\"message\":\"x\",\"details\":[", "]}"),
    ] {
        let depth = MAX_ERROR_BODY / (open.len() + close.len());
        let closed = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(is_http(&of(500, &closed), 500));
        assert!(is_http(&of(500, open.repeat(depth)), 500));
        assert!(ErrorKind::from_stream_line(closed.as_bytes()).is_none());
    }
}

#[test]
fn a_body_over_the_limit_is_not_looked_at() {
    let body = |length: usize| {
        let frame = "{\"code\":14,\"message\":\"\"}".len();
        format!("{{\"code\":14,\"message\":\"{}\"}}", "x".repeat(length - frame))
    };
    assert!(is_server(
        &of(503, body(MAX_ERROR_BODY)),
        EtcdError::Other,
        Code::Unavailable
    ));
    assert!(is_http(&of(503, body(MAX_ERROR_BODY + 1)), 503));
    // And of neither is more kept than a message has room for.
    for kind in [of(503, body(MAX_ERROR_BODY)), of(503, "x".repeat(10_000_000))] {
        assert!(kind.to_string().len() < 1200, "{}", kind.to_string().len());
    }
}

#[test]
fn an_excerpt_is_short_and_acts_on_no_terminal() {
    let page = format!("<html>\r\n\x1b[31m{}\0", "ä".repeat(1000));
    let ErrorKind::Http(error) = of(502, &page) else {
        panic!("a page is not etcd's")
    };
    assert!(
        error.excerpt().starts_with("<html>\\r\\n\\u{1b}[31mää"),
        "{}",
        error.excerpt()
    );
    assert!(error.excerpt().ends_with('…'));
    assert!(error.excerpt().chars().count() < 220);
    assert!(!error.to_string().chars().any(char::is_control));

    let ErrorKind::Http(error) = of(502, [0xff; 1000]) else {
        panic!("bytes are not etcd's")
    };
    assert_eq!(error.excerpt().chars().count(), 201);
}

#[test]
fn only_lines_with_an_error_are_errors() {
    for line in [
        "",
        "{\"result\":{\"error\":\"not here\"}}",
        "{\"result\":{}}",
        "{\"error\":null}",
        "{\"error\"",
        "[{\"error\":1}]",
        "error",
    ] {
        assert!(ErrorKind::from_stream_line(line.as_bytes()).is_none(), "{line}");
    }
    // Whatever it holds, a line with an error is not a result.
    for line in [
        "{\"error\":{}}",
        "{\"error\":\"x\"}",
        "{\"error\":7}",
        "{\"error\":{\"message\":\"m\"}}",
    ] {
        let kind = ErrorKind::from_stream_line(line.as_bytes()).expect(line);
        assert!(
            is_server(&kind, EtcdError::Other, Code::Unknown),
            "{line}: {kind:?}"
        );
    }
    let kind = ErrorKind::from_stream_line(b"{\"error\":\"m\"}").expect("it has one");
    assert_eq!(kind.to_string(), "m");
    let kind = ErrorKind::from_stream_line(b"{\"error\":{\"message\":\"m\"}}").expect("it has one");
    assert_eq!(kind.to_string(), "m");
}
