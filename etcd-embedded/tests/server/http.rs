//! What the gateway answers to requests that something is wrong with, in the words of real servers.

use std::time::Instant;

use etcd_core::codec::to_json;
use etcd_core::message::*;
use etcd_embedded::{Config, Dialect, Gateway, GatewayEvent, Server};
use http::Request;

/// Status, content type and body.
type Answer = (u16, Option<String>, String);

fn ask(dialect: Dialect, request: http::request::Builder, body: &[u8]) -> Answer {
    let now = Instant::now();
    let mut gateway = Gateway::new(Server::new(Config::new().dialect(dialect), now, 1));
    let id = gateway.handle_request(now, &request.body(()).unwrap());
    gateway.handle_body(now, id, body);
    gateway.handle_end(now, id);
    let mut answer: Answer = (0, None, String::new());
    while let Some(output) = gateway.poll_output() {
        match output.event {
            GatewayEvent::Head(head) => {
                answer.0 = head.status().as_u16();
                let content_type = head.headers().get("content-type");
                answer.1 = content_type.map(|value| value.to_str().unwrap().to_owned());
            }
            GatewayEvent::Data(data) => answer.2.push_str(std::str::from_utf8(&data).unwrap()),
            GatewayEvent::End => {}
        }
    }
    answer
}

/// The message of the error that a body is refused with.
fn refusal(dialect: Dialect, path: &str, body: &str) -> String {
    let (status, _, answer) = ask(dialect, Request::post(path), body.as_bytes());
    let error: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_ne!(status, 200, "{body}: {answer}");
    error["message"].as_str().unwrap().to_owned()
}

#[test]
fn browsers_may_ask_before_they_send() {
    for dialect in Dialect::ALL {
        let answer = ask(dialect, Request::options("/v3/kv/range"), b"{}");
        assert_eq!(answer, (200, None, String::new()), "{dialect:?}");
    }
}

#[test]
fn a_timeout_that_is_negative_has_passed_and_one_that_is_empty_is_none() {
    for dialect in Dialect::ALL {
        for path in ["/v3/kv/range", "/v3/lease/keepalive"] {
            let late = Request::post(path).header("grpc-timeout", "-1S");
            let (status, _, body) = ask(dialect, late, br#"{"key":"YQ=="}"#);
            assert_eq!(status, 504, "{dialect:?} {path}");
            assert!(
                !body.contains("grpc_code") && !body.starts_with(r#"{"error":{"#),
                "{body}"
            );
        }
        let none = Request::post("/v3/kv/range").header("grpc-timeout", "");
        assert_eq!(ask(dialect, none, br#"{"key":"YQ=="}"#).0, 200, "{dialect:?}");
    }
}

#[test]
fn a_stream_that_ends_without_a_message_has_no_type_in_gateway_2() {
    let (status, content_type, body) = ask(Dialect::G2, Request::post("/v3/lease/keepalive"), b"[]");
    assert_eq!((status, content_type, body.as_str()), (200, None, ""));
}

#[test]
fn a_read_can_be_too_large_as_well() {
    let get = to_json(&Get::new(vec![b'k'; 2_100_000]));
    let (status, _, body) = ask(Dialect::G2, Request::post("/v3/kv/range"), &get);
    assert_eq!(status, 429);
    assert!(
        body.contains("received message larger than max (2100005 vs. 2097152)"),
        "{body}"
    );
}

#[test]
fn the_size_of_a_transaction_is_that_of_its_protobuf() {
    // The comparison: 2 bytes for the target, 3 for the key, 5 around the value; 5 around all of it, 1 for the range end.
    let compare = Compare::value("a").eq(vec![b'v'; 2_100_000]);
    let txn = to_json(&Txn::when([compare]));
    let (_, _, body) = ask(Dialect::G2, Request::post("/v3/kv/txn"), &txn);
    assert!(body.contains("(2100015 vs. 2097152)"), "{body}");
}

#[test]
fn base64_is_refused_where_go_stops() {
    for (text, position) in [
        ("YQ", 0),
        ("YQ=", 3),
        ("nY=", 3),
        ("YQ==YQ==", 4),
        ("Y2E=:", 4),
        ("!!", 0),
        ("Y Q==", 1),
        ("YQ=x", 2),
        ("Y", 0),
        ("YWFhY", 4),
    ] {
        let body = format!(r#"{{"key":"{text}"}}"#);
        let expected = format!("illegal base64 data at input byte {position}");
        let message = refusal(Dialect::G1_16, "/v3/kv/range", &body);
        assert_eq!(message, expected, "{text}");
    }
}

#[test]
fn control_characters_are_named_as_go_names_them() {
    for (character, name) in [
        ('\u{7}', r"\a"),
        ('\u{8}', r"\b"),
        ('\u{b}', r"\v"),
        ('\u{c}', r"\f"),
    ] {
        let message = refusal(Dialect::G2, "/v3/kv/range", &format!("{character}{{}}"));
        assert_eq!(
            message,
            format!("invalid character '{name}' looking for beginning of value")
        );
    }
}

#[test]
fn enums_are_named_as_each_release_names_them() {
    for (dialect, value, message) in [
        (
            Dialect::G1_6,
            "[]",
            "json: cannot unmarshal array into Go value of type etcdserverpb.RangeRequest_SortTarget",
        ),
        (
            Dialect::G1_16,
            "[]",
            "json: cannot unmarshal array into Go value of type protoreflect.EnumNumber",
        ),
        (
            Dialect::G1_6,
            r#""\u0061""#,
            r#"unknown value "\\u0061" for enum etcdserverpb.RangeRequest_SortTarget"#,
        ),
        (
            Dialect::G1_16,
            "\"\u{2028}\"",
            r#"unknown value "\"\u2028\"" for enum etcdserverpb.RangeRequest.SortTarget"#,
        ),
    ] {
        let body = format!(r#"{{"key":"YQ==","sort_target":{value}}}"#);
        assert_eq!(refusal(dialect, "/v3/kv/range", &body), message, "{dialect:?}");
    }
}

#[test]
fn the_older_decoder_looks_at_a_oneof_last() {
    let body = r#"{"compare":[{"key":"YQ==","create_revision":[],"rangeEnd":"!"}]}"#;
    let of_range_end = "illegal base64 data at input byte 0";
    assert_eq!(refusal(Dialect::G1_6, "/v3/kv/txn", body), of_range_end);
    assert_ne!(refusal(Dialect::G1_16, "/v3/kv/txn", body), of_range_end);
}

#[test]
fn numbers_in_quotes_are_read_as_each_decoder_reads_them() {
    let grant = |dialect, id: &str| {
        let body = format!(r#"{{"TTL":"60","ID":"{id}"}}"#);
        ask(dialect, Request::post("/v3/lease/grant"), body.as_bytes())
    };
    // Gateway 2 looks at the first token only, the others at all of it.
    assert_eq!(grant(Dialect::G2, "3,").0, 200);
    for wrong in ["3x", "01", " 3"] {
        assert_eq!(grant(Dialect::G2, wrong).0, 400, "{wrong}");
    }
    for dialect in [Dialect::G1_6, Dialect::G1_16] {
        assert_eq!(grant(dialect, "null").0, 200);
        assert!(
            grant(dialect, "3,")
                .2
                .contains("invalid character ',' after top-level value")
        );
        assert!(
            grant(dialect, "01")
                .2
                .contains("invalid character '1' after top-level value")
        );
    }
}

#[test]
fn a_null_among_bytes_is_a_zero() {
    for dialect in [Dialect::G1_6, Dialect::G1_16] {
        let answer = ask(dialect, Request::post("/v3/kv/put"), br#"{"key":[97,null]}"#);
        assert_eq!(answer.0, 200, "{dialect:?}: {}", answer.2);
    }
}

#[test]
fn columns_count_characters() {
    let body = "{\"é\":1,\"limit\":[]}";
    let message = refusal(Dialect::G2, "/v3/kv/range", body);
    assert_eq!(
        message,
        "proto: (line 1:16): invalid value for int64 field limit: ["
    );
}
