//! Whether two answers say the same, apart from what no two servers have in common.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use etcd_recordings::Exchange;
use serde_json::Value;

use super::world::{Received, World};

/// Members whose values name something that has another name on every server.
const NAMES: [&str; 7] = [
    "cluster_id",
    "member_id",
    "memberID",
    "ID",
    "token",
    "lease",
    "leader",
];

/// Compares an answer with the recorded one, and learns the names in it.
pub fn compare(world: &mut World, exchange: &Exchange, received: &Received) {
    let Some(response) = &exchange.response else {
        assert_eq!(
            received.status, None,
            "{exchange}: no head came there, one came here"
        );
        return;
    };
    assert_eq!(
        received.status,
        Some(response.status),
        "{exchange}: {}",
        String::from_utf8_lossy(&received.body)
    );
    let (there, here) = (
        in_order(documents(&response.body())),
        in_order(documents(&received.body)),
    );
    if exchange.name.ends_with("progress-notify") {
        // Up to a tenth of the interval is chance, and so is the last one.
        assert!(
            here.len().abs_diff(there.len()) <= 1 && here.len() > 2,
            "{exchange}: {here:?}"
        );
    } else {
        assert_eq!(
            there.len(),
            here.len(),
            "{exchange}:\nthere {there:#?}\nhere {here:#?}"
        );
    }
    for (there, here) in there.iter().zip(&here) {
        same(world, exchange, there, here, "");
    }
}

fn same(world: &mut World, exchange: &Exchange, there: &Value, here: &Value, at: &str) {
    match (there, here) {
        (Value::Object(a), Value::Object(b)) => {
            let names = |object: &serde_json::Map<String, Value>| {
                // An empty message may be there or not: a header within a transaction within a transaction.
                let members = object
                    .iter()
                    .filter(|(_, value)| **value != Value::Object(serde_json::Map::new()));
                members
                    .map(|(name, _)| name.clone())
                    .collect::<std::collections::BTreeSet<_>>()
            };
            assert_eq!(names(a), names(b), "{exchange}{at}:\nthere {there}\nhere {here}");
            for (name, there) in a {
                if let Some(here) = b.get(name) {
                    same(world, exchange, there, here, &format!("{at}/{name}"));
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if at.ends_with("/keys") || at.ends_with("/leases") => {
            // Lists without an order of their own.
            assert_eq!(a.len(), b.len(), "{exchange}{at}:\nthere {there}\nhere {here}");
        }
        // How it keeps its data is a server's own affair.
        (Value::String(_), Value::String(_)) if at.contains("/raft") && at.ends_with("Index") => {}
        (Value::String(_), Value::String(_)) if at.contains("/dbSize") => {}
        (Value::Number(_), Value::Number(_)) if at.ends_with("/hash") => {}
        // So is where it listens.
        (Value::Array(_), Value::Array(_)) if at.ends_with("URLs") => {}
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{exchange}{at}:\nthere {there}\nhere {here}");
            for (there, here) in a.iter().zip(b) {
                same(world, exchange, there, here, at);
            }
        }
        (Value::String(a), Value::String(b)) => {
            let name = at.rsplit('/').next().unwrap_or_default();
            if NAMES.contains(&name) && a.len() > 6 && b.len() > 6 {
                if !world.knows(a) {
                    world.learn(a, b);
                }
            } else if at.ends_with("key") && made_of_a_lease(a) && made_of_a_lease(b) && !world.knows(a) {
                world.learn(a, b);
            }
            assert_eq!(plain(&world.translate(a)), plain(b), "{exchange}{at}");
        }
        _ => assert_eq!(there, here, "{exchange}{at}"),
    }
}

/// Some builds of protojson put a no-break space after their name.
fn plain(text: &str) -> String {
    text.replace('\u{a0}', " ")
}

/// Whether a key is that of a lock under a lease which the server made: a name, a slash and 16 hexadecimal digits.
fn made_of_a_lease(key: &str) -> bool {
    let decoded = STANDARD.decode(key).unwrap_or_default();
    let text = String::from_utf8_lossy(&decoded).into_owned();
    text.rsplit_once('/').is_some_and(|(_, lease)| lease.len() >= 14)
}

/// Which watch of a stream is told first of a revision is chance: here it is the lower one.
fn in_order(mut documents: Vec<Value>) -> Vec<Value> {
    let order = |document: &Value| {
        let message = &document["result"];
        let told = message
            .get("events")
            .map(|_| message["header"]["revision"].clone());
        (told, message["watch_id"].as_str().unwrap_or_default().to_owned())
    };
    for end in (1..documents.len()).rev() {
        for first in 0..end {
            let (a, b) = (order(&documents[first]), order(&documents[first + 1]));
            if a.0.is_some() && a.0 == b.0 && a.1 > b.1 {
                documents.swap(first, first + 1);
            }
        }
    }
    documents
}

/// The documents of a body; what is not JSON is one document, a string.
fn documents(body: &[u8]) -> Vec<Value> {
    let all: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(body).into_iter().collect();
    all.unwrap_or_else(|_| vec![Value::String(String::from_utf8_lossy(body).into_owned())])
}

/// The events that were recorded for a revision: what must have been written to cause them.
pub fn events_at(exchange: &Exchange, revision: i64) -> Vec<Value> {
    let body = exchange
        .response
        .as_ref()
        .map(etcd_recordings::Response::body)
        .unwrap_or_default();
    let mut events: Vec<Value> = Vec::new();
    for document in documents(&body) {
        for event in document["result"]["events"].as_array().into_iter().flatten() {
            let at = event["kv"]["mod_revision"]
                .as_str()
                .and_then(|text| text.parse::<i64>().ok());
            if at == Some(revision)
                && !events
                    .iter()
                    .any(|known| known["kv"]["key"] == event["kv"]["key"])
            {
                events.push(event.clone());
            }
        }
    }
    events
}

/// The revision in the first header of a recorded answer.
pub fn first_revision(exchange: &Exchange) -> Option<i64> {
    let body = exchange.response.as_ref()?.body();
    let first = documents(&body).into_iter().next()?;
    let message = first.get("result").unwrap_or(&first);
    message["header"]["revision"].as_str()?.parse().ok()
}
