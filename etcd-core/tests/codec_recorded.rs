//! Every recorded exchange goes through the codec: what servers of all dialects said decodes to what it says,
//! and what we would say means what the recorded requests mean.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use bytes::Bytes;
use etcd_core::codec::{Message, from_json, to_json};
use etcd_core::frame::LineFramer;
use etcd_core::gateway;
use etcd_core::message::*;
use etcd_core::rpc::{RPCS, Request, Rpc, RpcKind};
use etcd_recordings::{End, Exchange, exchanges};
use http::StatusCode;
use serde_json::Value;

/// What the tests need to do with each RPC, whatever its types.
struct Row {
    rpc: &'static Rpc,
    /// Decodes a unary response and encodes it again; `None` if it does not decode.
    response: fn(&[u8]) -> Option<Vec<u8>>,
    /// Decodes a line of a stream and encodes its message again; `None` if it does not decode to a message.
    line: fn(&[u8]) -> Option<Vec<u8>>,
    /// Decodes a request and encodes it again; `None` if it does not decode.
    request: fn(&[u8]) -> Option<Vec<u8>>,
}

fn row<R: Request>() -> Row {
    Row {
        rpc: R::RPC,
        response: |body| {
            gateway::unary_response::<R>(StatusCode::OK, body)
                .ok()
                .map(|message| to_json(&message))
        },
        line: |line| {
            gateway::stream_message::<R>(line)
                .ok()
                .map(|message| to_json(&message))
        },
        request: |body| from_json::<R>(body).ok().map(|message| to_json(&message)),
    }
}

macro_rules! rows {
    ($($request:ty),* $(,)?) => { vec![$(row::<$request>()),*] };
}

fn rows() -> Vec<Row> {
    rows![
        Get,
        RangeStream,
        Put,
        Delete,
        Txn,
        Compact,
        Watch,
        LeaseGrant,
        LeaseRevoke,
        LeaseKeepAlive,
        LeaseTimeToLive,
        LeaseList,
        Lock,
        Unlock,
        Campaign,
        Proclaim,
        Leader,
        Observe,
        Resign,
        AuthEnable,
        AuthDisable,
        AuthStatus,
        Authenticate,
        UserAdd,
        UserGet,
        UserList,
        UserDelete,
        UserChangePassword,
        UserGrantRole,
        UserRevokeRole,
        RoleAdd,
        RoleGet,
        RoleList,
        RoleDelete,
        RoleGrantPermission,
        RoleRevokePermission,
        MemberAdd,
        MemberRemove,
        MemberUpdate,
        MemberList,
        MemberPromote,
        Alarm,
        Status,
        Defragment,
        Hash,
        HashKv,
        Snapshot,
        MoveLeader,
        Downgrade,
    ]
}

/// The exchanges that a row of the table is about.
fn recorded() -> Vec<(Row, Vec<Exchange>)> {
    let exchanges = exchanges();
    rows()
        .into_iter()
        .map(|row| {
            let of_row = |exchange: &&Exchange| {
                path(exchange).is_some_and(|path| row.rpc.paths.contains(&path.as_str()))
            };
            let exchanges = exchanges.iter().filter(of_row).cloned().collect();
            (row, exchanges)
        })
        .collect()
}

/// The path of a POST, without the query, in its present spelling.
fn path(exchange: &Exchange) -> Option<String> {
    let request = exchange
        .request
        .as_ref()
        .filter(|request| request.method == "POST")?;
    let path = request.path.split('?').next()?;
    Some(path.replacen("/v3beta/", "/v3/", 1).replace("%72ange", "range"))
}

/// The body of a response that was answered with success, and whole.
fn success(exchange: &Exchange) -> Option<Bytes> {
    let response = exchange.response.as_ref()?;
    (response.status == 200 && response.end == End::Complete && response.is_json()).then(|| response.body())
}

/// The lines of a stream, whole ones only.
fn lines(exchange: &Exchange) -> Vec<Bytes> {
    let mut framer = LineFramer::new();
    framer.handle_chunk(exchange.response.as_ref().unwrap().body());
    std::iter::from_fn(|| framer.poll_line())
        .map(Result::unwrap)
        .collect()
}

/// What a document says, whichever of several forms says it: 64-bit integers as text, nothing that holds its
/// default.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), meaning(value)))
                .filter(|(_, value)| !is_default(value))
                .collect(),
        ),
        Value::Array(elements) => Value::Array(elements.iter().map(meaning).collect()),
        Value::Number(number) => Value::String(number.to_string()),
        other => other.clone(),
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => [
            "", "0", "PUT", "READ", "NONE", "KEY", "EQUAL", "VERSION", "GET", "VALIDATE", "-0",
        ]
        .contains(&text.as_str()),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

#[test]
fn the_list_of_this_test_is_the_table() {
    let listed: BTreeSet<_> = rows().iter().map(|row| row.rpc.name).collect();
    let table: BTreeSet<_> = RPCS.iter().map(|rpc| rpc.name).collect();
    assert_eq!(listed, table);
}

#[test]
fn every_rpc_of_the_gateway_was_recorded() {
    for (row, exchanges) in recorded() {
        assert_eq!(exchanges.is_empty(), row.rpc.paths.is_empty(), "{}", row.rpc.name);
    }
}

#[test]
fn every_unary_success_decodes_to_what_it_says() {
    let mut checked = 0;
    for (row, exchanges) in recorded() {
        for exchange in exchanges.iter().filter(|_| row.rpc.kind == RpcKind::Unary) {
            let Some(body) = success(exchange) else { continue };
            let again = (row.response)(&body).unwrap_or_else(|| panic!("{exchange}: does not decode"));
            assert_eq!(meaning(&parse(&again)), meaning(&parse(&body)), "{exchange}");
            checked += 1;
        }
    }
    assert!(checked > 800, "only {checked} responses were recorded");
}

#[test]
fn every_line_of_a_stream_decodes_to_what_it_says() {
    let mut checked = 0;
    for (row, exchanges) in recorded() {
        for exchange in exchanges
            .iter()
            .filter(|exchange| row.rpc.kind != RpcKind::Unary && exchange.is_stream())
        {
            for line in lines(exchange) {
                let said = parse(&line);
                match said.get("result") {
                    Some(result) => {
                        let again =
                            (row.line)(&line).unwrap_or_else(|| panic!("{exchange}: does not decode"));
                        assert_eq!(meaning(&parse(&again)), meaning(result), "{exchange}");
                    }
                    None => assert!((row.line)(&line).is_none(), "{exchange}: an error is no message"),
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 1000, "only {checked} lines were recorded");
}

#[test]
fn a_success_that_is_cut_anywhere_errs() {
    for (row, exchanges) in recorded() {
        for exchange in &exchanges {
            let (documents, decode): (Vec<Bytes>, _) = if row.rpc.kind == RpcKind::Unary {
                (success(exchange).into_iter().collect(), row.response)
            } else if exchange.is_stream() {
                (lines(exchange), row.line)
            } else {
                continue;
            };
            for document in documents {
                let document = document.trim_ascii_end();
                // Every byte of what is short, some hundred places of what is long, and few of what takes long.
                let places = if document.len() > 65_536 { 8 } else { 100 };
                let step = document.len() / places + 1;
                for cut in (0..document.len())
                    .step_by(step)
                    .chain([document.len().saturating_sub(1)])
                {
                    assert!(decode(&document[..cut]).is_none(), "{exchange}: cut at {cut}");
                }
            }
        }
    }
}

/// Recorded requests that try what servers make of other forms than ours: enums by number, unknown members. The
/// whole scenario `errors` does.
const OTHER_FORMS: [&str; 8] = [
    "07-filter-numeric-and-both",
    "10-alarm-deactivate-numeric",
    "11-grant-camel-and-lower",
    "23-role-grant-numeric",
    "37-body-create-unknown-field",
    "37-range-sort-numbers",
    "40-body-two-union-members",
    "63-txn-compare-numeric-enums",
];

/// Whether a recorded request says what it says in the form we write; what we would say is comparable only then.
fn is_in_our_form(exchange: &Exchange, body: &[u8]) -> bool {
    fn names_are_proto_names(value: &Value) -> bool {
        match value {
            Value::Object(members) => members.iter().all(|(name, value)| {
                let camel = name.chars().any(|c| c.is_ascii_uppercase())
                    && ![
                        "ID",
                        "TTL",
                        "peerURLs",
                        "isLearner",
                        "memberID",
                        "targetID",
                        "permType",
                        "hashedPassword",
                    ]
                    .contains(&name.as_str());
                !camel && names_are_proto_names(value)
            }),
            Value::Array(elements) => elements.iter().all(names_are_proto_names),
            _ => true,
        }
    }
    if exchange.scenario == "errors" || OTHER_FORMS.contains(&exchange.name.as_str()) {
        return false;
    }
    let accepted = exchange
        .response
        .as_ref()
        .is_some_and(|response| response.status == 200);
    accepted && serde_json::from_slice(body).is_ok_and(|value| names_are_proto_names(&value))
}

#[test]
fn requests_mean_what_the_recorded_ones_mean() {
    let mut checked = 0;
    let mut different = Vec::new();
    for (row, exchanges) in recorded() {
        for exchange in &exchanges {
            let body = exchange.request.as_ref().unwrap().body();
            if row.rpc.kind == RpcKind::Bidirectional || !is_in_our_form(exchange, &body) {
                continue;
            }
            checked += 1;
            let same =
                (row.request)(&body).is_some_and(|again| meaning(&parse(&again)) == meaning(&parse(&body)));
            if !same {
                different.push(format!(
                    "{exchange}: {}",
                    String::from_utf8_lossy(&body[..body.len().min(200)])
                ));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(checked > 700, "only {checked} requests were recorded");
}

#[test]
fn stream_requests_mean_what_the_recorded_ones_mean() {
    let mut checked = 0;
    let mut different = Vec::new();
    for (row, exchanges) in recorded() {
        for exchange in exchanges.iter().filter(|exchange| exchange.is_stream()) {
            let body = exchange.request.as_ref().unwrap().body();
            let documents = serde_json::Deserializer::from_slice(&body).into_iter::<Value>();
            for document in documents.map_while(Result::ok) {
                let json = serde_json::to_vec(&document).unwrap();
                if row.rpc.kind != RpcKind::Bidirectional || !is_in_our_form(exchange, &json) {
                    continue;
                }
                checked += 1;
                let same =
                    (row.request)(&json).is_some_and(|again| meaning(&parse(&again)) == meaning(&document));
                if !same {
                    different.push(format!("{exchange}: {document}"));
                }
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(checked > 500, "only {checked} messages were recorded");
}

#[test]
fn a_message_survives_being_written_and_read() {
    fn survives<M: Message + std::fmt::Debug>(json: &[u8]) {
        let message: M = from_json(json).unwrap();
        assert_eq!(from_json::<M>(&to_json(&message)).unwrap(), message);
    }
    for exchange in exchanges() {
        if path(&exchange).as_deref() == Some("/v3/kv/txn")
            && let Some(body) = success(&exchange)
        {
            survives::<TxnResponse>(&body);
        }
    }
}
