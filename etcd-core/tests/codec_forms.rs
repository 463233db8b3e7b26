//! What the codec writes, and the forms it accepts: one test for each rule of the gateway's JSON.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use etcd_core::codec::{DecodeErrorKind, EnumValue, from_json, to_json};
use etcd_core::key::prefix;
use etcd_core::message::*;

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

#[test]
fn lists_of_next_to_nothing_err_instead_of_exhausting_memory() {
    let list = |list: &str, element: &str| {
        let mut json = format!("{{\"{list}\":[{element}");
        for _ in 0..50_000 {
            json.push(',');
            json.push_str(element);
        }
        json + "]}"
    };
    for hostile in [
        from_json::<WatchResponse>(list("events", "{}").as_bytes()).map(drop),
        from_json::<GetResponse>(list("kvs", "{}").as_bytes()).map(drop),
        from_json::<TxnResponse>(list("responses", "{\"response_txn\":{}}").as_bytes()).map(drop),
        from_json::<MemberListResponse>(list("members", "{}").as_bytes()).map(drop),
    ] {
        let error = hostile.unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::Inflated, "{error}");
    }

    // The shortest that servers write are taken in any number.
    let deletion = r#"{"type":"DELETE","kv":{"key":"YQ==","mod_revision":"3"}}"#;
    let events = from_json::<WatchResponse>(list("events", deletion).as_bytes()).unwrap();
    assert_eq!(events.events.len(), 50_001);
    let key = r#"{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1"}"#;
    let keys = from_json::<GetResponse>(list("kvs", key).as_bytes()).unwrap();
    assert_eq!(keys.kvs.len(), 50_001);
    let put = r#"{"response_put":{"header":{"revision":"2"}}}"#;
    let answers = from_json::<TxnResponse>(list("responses", put).as_bytes()).unwrap();
    assert_eq!(answers.responses.len(), 50_001);
    let leases = from_json::<LeaseListResponse>(list("leases", r#"{"ID":"1"}"#).as_bytes()).unwrap();
    assert_eq!(leases.leases.len(), 50_001);
}

#[test]
fn the_deepest_transaction_that_is_sent_can_be_read_back() {
    let deepest = (1..etcd_core::rpc::MAX_TXN_DEPTH).fold(Txn::new(), |inner, _| Txn::new().then([inner]));
    etcd_core::rpc::Request::validate(&deepest, &Default::default()).unwrap();
    let mut response = TxnResponse::default();
    for _ in 1..etcd_core::rpc::MAX_TXN_DEPTH {
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
