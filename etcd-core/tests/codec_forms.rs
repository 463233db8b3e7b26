//! What the codec writes, and the forms it accepts: one test for each rule of the gateway's JSON.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use etcd_core::codec::{DecodeErrorKind, EnumValue, from_json, to_json};
use etcd_core::error::{ErrorKind, ProtocolError};
use etcd_core::gateway::{stream_message, unary_response};
use etcd_core::key::prefix;
use etcd_core::message::*;
use etcd_core::rpc::{MAX_TXN_DEPTH, Request};
use http::StatusCode;

fn json<M: etcd_core::codec::Message>(message: &M) -> String {
    String::from_utf8(to_json(message)).unwrap()
}

#[test]
fn defaults_are_left_out() {
    assert_eq!(json(&Put::default()), "{}");
    assert_eq!(json(&MemberList::new().serializable()), "{}");
    assert_eq!(
        json(&Compare::version("k").eq(0)),
        r#"{"key":"aw==","version":"0"}"#
    );
}

#[test]
fn integers_of_64_bits_are_strings_and_those_of_32_numbers() {
    assert_eq!(json(&LeaseGrant::new(60).id(-7)), r#"{"TTL":"60","ID":"-7"}"#);
    let hash = from_json::<HashResponse>(br#"{"hash":4294967295}"#).unwrap();
    assert_eq!(
        (hash.hash, json(&hash).as_str()),
        (u32::MAX, r#"{"hash":4294967295}"#)
    );
}

#[test]
fn bytes_are_padded_standard_base64() {
    assert_eq!(
        json(&Put::new(b"\x00\xff\xfe", "a")),
        r#"{"key":"AP/+","value":"YQ=="}"#
    );
}

#[test]
fn a_nested_transaction_is_written_as_gateways_read_it() {
    let txn = Txn::when([Compare::value("k").ne(""), Compare::lease(prefix("l/")).gt(1)])
        .then([TxnOp::from(Put::new("k", "v")), Delete::new("d").into()])
        .otherwise([Txn::new().then([Get::new("k").keys_only()])]);
    assert_eq!(
        json(&txn),
        concat!(
            r#"{"compare":[{"result":"NOT_EQUAL","target":"VALUE","key":"aw==","value":""},"#,
            r#"{"result":"GREATER","target":"LEASE","key":"bC8=","lease":"1","range_end":"bDA="}],"#,
            r#""success":[{"request_put":{"key":"aw==","value":"dg=="}},{"request_delete_range":{"key":"ZA=="}}],"#,
            r#""failure":[{"request_txn":{"success":[{"request_range":{"key":"aw==","keys_only":true}}]}}]}"#
        )
    );
    assert_eq!(from_json::<Txn>(&to_json(&txn)).unwrap(), txn);
}

#[test]
fn an_empty_message_keeps_its_place_in_a_oneof() {
    assert_eq!(
        json(&Watch::from(WatchProgress::default())),
        r#"{"progress_request":{}}"#
    );
    let response: TxnResponse =
        from_json(br#"{"responses":[{"response_put":{}},{"response_txn":{"header":{},"succeeded":true}}]}"#)
            .unwrap();
    assert_eq!(response.responses[0], TxnOpResponse::Put(PutResponse::default()));
    assert!(matches!(&response.responses[1], TxnOpResponse::Txn(txn) if txn.succeeded));
}

#[test]
fn integers_are_read_from_strings_and_numbers_alike() {
    for count in ["\"-7\"", "-7"] {
        let document = format!(r#"{{"count":{count}}}"#);
        assert_eq!(from_json::<GetResponse>(document.as_bytes()).unwrap().count, -7);
    }
    for wrong in [
        "\"\"",
        "\"x\"",
        "1.5",
        "true",
        "[]",
        "{}",
        "9223372036854775808",
        "\"9223372036854775808\"",
    ] {
        let document = format!(r#"{{"count":{wrong}}}"#);
        let error = from_json::<GetResponse>(document.as_bytes()).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::Value, "{wrong}");
    }
}

#[test]
fn null_means_the_default_anywhere() {
    let document = br#"{"header":null,"kvs":null,"more":null,"count":null}"#;
    assert_eq!(
        from_json::<GetResponse>(document).unwrap(),
        GetResponse::default()
    );
    let event = br#"{"type":null,"kv":{"key":null},"prev_kv":null}"#;
    assert_eq!(from_json::<Event>(event).unwrap(), Event::default());
}

#[test]
fn what_a_newer_server_adds_is_skipped_or_kept() {
    let document = br#"{"header":{"revision":"3","shard":{"id":[1,2]}},
        "action":"REPAIR","alarms":[{"alarm":"DISKFULL"},{"alarm":77},{"alarm":"NOSPACE","since":"x"}]}"#;
    let response: AlarmResponse = from_json(document).unwrap();
    let alarms: Vec<_> = response.alarms.into_iter().map(|alarm| alarm.alarm).collect();
    assert_eq!(
        alarms,
        [
            AlarmType::Other(EnumValue::Name("DISKFULL".into())),
            AlarmType::Other(EnumValue::Number(77)),
            AlarmType::NoSpace
        ]
    );
    assert_eq!(response.header.revision, 3);
    let response: TxnResponse = from_json(br#"{"responses":[{"response_merge":{"x":1}}]}"#).unwrap();
    assert_eq!(response.responses, [TxnOpResponse::Unknown]);
}

#[test]
fn enums_are_read_by_name_and_by_number() {
    for event_type in ["\"DELETE\"", "1"] {
        let document = format!(r#"{{"type":{event_type}}}"#);
        assert_eq!(
            from_json::<Event>(document.as_bytes()).unwrap().event_type,
            EventType::Delete
        );
    }
}

#[test]
fn the_fields_of_3_7_are_read() {
    let document = br#"{"storageVersion":"3.6.0","dbSizeQuota":"2147483648",
        "downgradeInfo":{"enabled":true,"targetVersion":"3.5.0"},"isLearner":true}"#;
    let status: StatusResponse = from_json(document).unwrap();
    assert_eq!(status.storage_version, "3.6.0");
    assert_eq!(status.db_size_quota, 2_147_483_648);
    assert_eq!(status.downgrade_info.unwrap().target_version, "3.5.0");
    assert!(status.is_learner);
}

#[test]
fn garbage_errs_with_its_kind_and_never_shows_content() {
    for (document, kind) in [
        (&b""[..], DecodeErrorKind::Truncated),
        (b"{", DecodeErrorKind::Truncated),
        (b"{\"kvs\":[{\"key\":\"c2VjcmV0", DecodeErrorKind::Truncated),
        (b"<html>", DecodeErrorKind::Syntax),
        (b"{} {}", DecodeErrorKind::Syntax),
        (b"[]", DecodeErrorKind::Value),
        (b"{\"kvs\":{}}", DecodeErrorKind::Value),
        (b"{\"kvs\":[{\"key\":\"c2VjcmV\"}]}", DecodeErrorKind::Value),
        (b"{\"kvs\":[{\"key\":[1,2]}]}", DecodeErrorKind::Value),
        (b"{\"kvs\":[{\"key\":\"\xff\"}]}", DecodeErrorKind::Value),
        (b"{\"kvs\":[{\"key\":7}]}", DecodeErrorKind::Value),
        (b"{\"cluster_name\":\"\xff\",\"\xff\":0}", DecodeErrorKind::Value),
        (b"{\"c2V\x01\":0}", DecodeErrorKind::Value),
    ] {
        let error = from_json::<GetResponse>(document).unwrap_err();
        assert_eq!(error.kind, kind, "{}", String::from_utf8_lossy(document));
        assert!(!error.to_string().contains("c2V"), "{error}");
    }
}

#[test]
fn nesting_without_end_errs_instead_of_exhausting_the_stack() {
    let document = "{\"responses\":[{\"response_txn\":".repeat(100_000);
    assert!(from_json::<TxnResponse>(document.as_bytes()).is_err());
    let document = format!("{{\"x\":{}", "[".repeat(1_000_000));
    assert!(from_json::<TxnResponse>(document.as_bytes()).is_err());
}

/// An answer with a list of 50,001 times the same element.
fn list(name: &str, element: &str) -> Vec<u8> {
    let mut json = format!("{{\"{name}\":[{element}");
    for _ in 0..50_000 {
        json.push(',');
        json.push_str(element);
    }
    (json + "]}").into_bytes()
}

#[test]
fn lists_of_next_to_nothing_are_no_answer_and_do_not_exhaust_memory() {
    fn refused<R: Request>(name: &str, element: &str) {
        let error = unary_response::<R>(StatusCode::OK, &list(name, element))
            .map(drop)
            .unwrap_err();
        assert!(
            matches!(error, ErrorKind::Protocol(ProtocolError::Malformed { .. })),
            "{error:?}"
        );
    }
    refused::<Get>("kvs", "{}");
    refused::<Txn>("responses", "{}");
    refused::<MemberList>("members", "{}");
    refused::<RoleGet>("perm", "{}");
    let line = [br#"{"result":"#, &list("events", "{}")[..], b"}"].concat();
    stream_message::<Watch>(&line).unwrap_err();
    // Somebody who may be trusted with what he asks for.
    assert_eq!(
        from_json::<WatchResponse>(&list("events", "{}"))
            .unwrap()
            .events
            .len(),
        50_001
    );
}

#[test]
fn the_shortest_elements_that_servers_write_are_taken_in_any_number() {
    fn taken<R: Request>(name: &str, element: &str, count: impl FnOnce(R::Response) -> usize) {
        assert_eq!(
            count(unary_response::<R>(StatusCode::OK, &list(name, element)).unwrap()),
            50_001
        );
    }
    taken::<UserList>("users", r#""a""#, |answer| answer.users.len());
    taken::<RoleGet>("perm", r#"{"key":"YQ=="}"#, |answer| answer.permissions.len());
    taken::<LeaseTimeToLive>("keys", r#""YQ==""#, |answer| answer.keys.len());
    taken::<Txn>("responses", r#"{"response_txn":{"header":{}}}"#, |answer| {
        answer.responses.len()
    });
    taken::<Txn>(
        "responses",
        r#"{"response_put":{"header":{"revision":"2"}}}"#,
        |answer| answer.responses.len(),
    );
    let pair = r#"{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1"}"#;
    taken::<Get>("kvs", pair, |answer| answer.kvs.len());
    taken::<LeaseList>("leases", r#"{"ID":"1"}"#, |answer| answer.leases.len());
    let deletion = r#"{"type":"DELETE","kv":{"key":"YQ==","mod_revision":"3"}}"#;
    let line = [br#"{"result":"#, &list("events", deletion)[..], b"}"].concat();
    assert_eq!(stream_message::<Watch>(&line).unwrap().events.len(), 50_001);
}

#[test]
fn the_deepest_transaction_that_is_sent_can_be_read_back() {
    let deepest = (1..MAX_TXN_DEPTH).fold(Txn::new(), |inner, _| Txn::new().then([inner]));
    Request::validate(&deepest, &Default::default()).unwrap();
    let mut response = TxnResponse::default();
    for _ in 1..MAX_TXN_DEPTH {
        let mut outer = TxnResponse::default();
        outer.responses = vec![response.into()];
        response = outer;
    }
    assert_eq!(from_json::<Txn>(&to_json(&deepest)).unwrap(), deepest);
    assert_eq!(from_json::<TxnResponse>(&to_json(&response)).unwrap(), response);
}

#[test]
fn passwords_and_tokens_are_not_printed() {
    let printed = [
        format!("{:?}", Authenticate::new("root", "hunter2")),
        format!("{:?}", UserAdd::new("root", "hunter2")),
        format!("{:?}", UserAdd::with_hash("root", "hunter2")),
        format!("{:?}", UserChangePassword::new("root", "hunter2")),
        format!(
            "{:?}",
            from_json::<AuthenticateResponse>(br#"{"token":"hunter2"}"#).unwrap()
        ),
    ];
    for text in printed {
        assert!(text.contains("<secret>") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn keys_and_values_of_a_response_are_slices_of_one_buffer() {
    let mut response = GetResponse::default();
    for index in 0..1000 {
        let mut kv = KeyValue::default();
        kv.key = format!("key/{index:05}").into();
        kv.value = Bytes::from(vec![7; 128]);
        kv.mod_revision = index + 1;
        response.kvs.push(kv);
    }
    let decoded: GetResponse = from_json(&to_json(&response)).unwrap();
    assert_eq!(decoded, response);
    assert_eq!(
        decoded.kvs.capacity(),
        1000,
        "the list was allocated once, at its size"
    );
    for pair in decoded.kvs.windows(2) {
        let end_of_first = pair[0].value.as_ptr().wrapping_add(pair[0].value.len());
        assert_eq!(
            end_of_first,
            pair[1].key.as_ptr(),
            "the next key follows in the same buffer"
        );
    }
}
