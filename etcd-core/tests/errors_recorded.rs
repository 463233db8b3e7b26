//! Every error that real servers were recorded to answer with is understood.

use std::collections::{BTreeMap, BTreeSet};

use etcd_core::error::{Code, ErrorKind, EtcdError, Outcome, ServerError};
use etcd_core::frame::LineFramer;
use etcd_recordings::{Exchange, Response};
use http::StatusCode;
use serde_json::Value;

/// What stays [`EtcdError::Other`] among the recorded errors, and why that is right.
const REVIEWED: [(&str, &str); 2] = [
    // Both answer headers that this client never sends malformed; their texts quote only those headers.
    ("invalid grpc-timeout: ", "Grpc-Timeout was not a duration"),
    ("invalid binary header ", "a header ending in -Bin was not base64"),
];

/// The recorded responses with a status other than success, except WebSocket upgrades.
fn error_responses() -> Vec<(Exchange, Response)> {
    let responses: Vec<_> = etcd_recordings::exchanges()
        .into_iter()
        .filter_map(|exchange| {
            let response = exchange.response.clone()?;
            (response.status >= 300).then_some((exchange, response))
        })
        .collect();
    assert!(responses.len() > 700, "{}", responses.len());
    responses
}

/// What each of them is understood as.
fn understood(response: &Response) -> ErrorKind {
    let body = response.body();
    ErrorKind::from_response(
        StatusCode::from_u16(response.status).expect("it was received"),
        &body,
    )
}

/// The error lines of the recorded streams, and those that came in place of a stream.
fn error_lines() -> Vec<(Exchange, ServerError)> {
    let mut errors = Vec::new();
    for exchange in etcd_recordings::exchanges()
        .into_iter()
        .filter(Exchange::is_stream)
    {
        for line in lines(&exchange) {
            match ErrorKind::from_stream_line(&line) {
                Some(ErrorKind::Server(error)) => errors.push((exchange.clone(), error)),
                Some(other) => panic!("{exchange}: {other:?}"),
                None => assert!(line.starts_with(b"{\"result\":"), "{exchange}"),
            }
        }
    }
    errors
}

fn lines(exchange: &Exchange) -> Vec<bytes::Bytes> {
    let mut framer = LineFramer::new();
    if let Some(response) = &exchange.response {
        response
            .pieces()
            .into_iter()
            .for_each(|piece| framer.handle_chunk(piece));
    }
    framer.handle_end();
    std::iter::from_fn(|| framer.poll_line())
        .map(|line| line.expect("recorded lines are whole"))
        .collect()
}

#[test]
fn every_error_of_etcd_has_a_name() {
    let mut reviewed = BTreeSet::new();
    for (exchange, response) in error_responses() {
        let ErrorKind::Server(error) = understood(&response) else {
            continue;
        };
        assert_eq!(error.http_status(), Some(response.status), "{exchange}");
        if error.kind() == EtcdError::Other {
            let entry = REVIEWED
                .iter()
                .find(|(prefix, _)| error.message().starts_with(prefix));
            let entry = entry.unwrap_or_else(|| panic!("{exchange}: {error}"));
            reviewed.insert(entry);
        }
    }
    assert_eq!(
        reviewed.len(),
        REVIEWED.len(),
        "not all of the list was recorded: {reviewed:?}"
    );
}

#[test]
fn every_answer_of_the_gateway_is_told_from_answers_of_http() {
    for (exchange, response) in error_responses() {
        // By another road: JSON with a code in it, unless it is what the gateway's router says.
        let body = response.body();
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let details = json.as_ref().map(|json| {
            json.get("error")
                .filter(|error| error.is_object())
                .unwrap_or(json)
        });
        let field = |name| details.and_then(|details| details.get(name));
        let code = field("code").or(field("grpc_code")).and_then(Value::as_u64);
        let message = field("message").and_then(Value::as_str);
        let is_routing = matches!(
            (code, message),
            (Some(5), Some("Not Found")) | (Some(12), Some("Method Not Allowed"))
        );
        match understood(&response) {
            ErrorKind::Server(error) => {
                assert!(!is_routing, "{exchange}");
                assert_eq!(Some(u64::from(error.code().number())), code, "{exchange}");
            }
            ErrorKind::Http(error) => {
                assert!(code.is_none() || is_routing, "{exchange}: {error}");
                assert_eq!(error.status().as_u16(), response.status);
            }
            other => panic!("{exchange}: {other:?}"),
        }
    }
}

#[test]
fn answers_of_http_are_of_these_statuses() {
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for (_, response) in error_responses() {
        if let ErrorKind::Http(error) = understood(&response) {
            *statuses.entry(error.status().as_u16()).or_default() += 1;
            let is_health = response.status == 503;
            assert_eq!(error.outcome() == Outcome::Unknown, is_health, "{error}");
        }
    }
    let statuses: Vec<u16> = statuses.into_keys().collect();
    assert_eq!(statuses, [301, 400, 404, 405, 415, 417, 421, 431, 501, 503]);
}

#[test]
fn every_error_line_has_a_name() {
    let errors = error_lines();
    assert!(errors.len() > 20, "{}", errors.len());
    for (exchange, error) in &errors {
        assert_ne!(error.kind(), EtcdError::Other, "{exchange}: {error}");
        assert_eq!(error.http_status(), None);
    }
    let kinds: BTreeSet<String> = errors
        .iter()
        .map(|(_, error)| format!("{:?}", error.kind()))
        .collect();
    assert_eq!(
        kinds,
        ["Canceled", "ConnectionLost", "DeadlineExceeded", "NoLeader"]
            .map(str::to_owned)
            .into()
    );
}

#[test]
fn every_reason_of_a_cancelled_watch_has_a_name() {
    let mut seen = BTreeSet::new();
    for exchange in etcd_recordings::exchanges()
        .into_iter()
        .filter(Exchange::is_stream)
    {
        for line in lines(&exchange) {
            let value: Value = serde_json::from_slice(&line).unwrap();
            if let Some(reason) = value.pointer("/result/cancel_reason").and_then(Value::as_str) {
                let error = ServerError::from_cancel_reason(reason);
                assert_ne!(error.kind(), EtcdError::Other, "{exchange}: {error}");
                seen.insert((format!("{:?}", error.kind()), error.code().number()));
            }
        }
    }
    let expected = [
        (EtcdError::Compacted, Code::OutOfRange),
        (EtcdError::InvalidAuthToken, Code::Unauthenticated),
        (EtcdError::PermissionDenied, Code::PermissionDenied),
        (EtcdError::UserEmpty, Code::InvalidArgument),
        (EtcdError::WatchDuplicateId, Code::Unknown),
        (EtcdError::WatchEmptyRange, Code::Unknown),
    ];
    assert_eq!(
        seen,
        expected
            .map(|(kind, code)| (format!("{kind:?}"), code.number()))
            .into()
    );
}

#[test]
fn one_request_fails_alike_on_every_server() {
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (exchange, response) in error_responses() {
        if let ErrorKind::Server(error) = understood(&response) {
            let (_, slug) = exchange.name.split_once('-').expect("names are NN-slug");
            let name = format!("{}/{slug}", exchange.scenario);
            kinds
                .entry(name)
                .or_default()
                .insert(format!("{:?}", error.kind()));
        }
    }
    assert!(kinds.len() > 200, "{}", kinds.len());
    kinds.retain(|_, kinds| kinds.len() > 1);
    let timeouts = ["TimedOut", "TimedOutLeaderFailure"];
    let expected = [
        // A matter of milliseconds around the election.
        ("cluster3/leader-killed-put-via-follower-1", timeouts),
        ("cluster3/leader-killed-put-via-follower-2", timeouts),
        ("cluster3/leader-killed-put-via-follower-3", timeouts),
        // Only the second generation of the gateway refuses a null for a message.
        ("errors/body-null", ["EmptyKey", "UndecodableRequest"]),
        (
            "errors/message-list-null-element",
            ["KeyNotFound", "UndecodableRequest"],
        ),
    ];
    let expected = expected.map(|(name, kinds)| (name.to_owned(), kinds.map(str::to_owned).into()));
    assert_eq!(kinds, expected.into());
}
