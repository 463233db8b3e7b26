//! An answer without what no two servers have in common.

use serde_json::{Map, Value};

use super::pair::Ask;

/// The document of an answer to `ask`, or the documents of a stream, masked; text that is none stays as it is.
pub fn masked(body: &str, ask: &Ask) -> Value {
    // Go's protojson puts one kind of space or the other into its messages, to keep people from relying on them.
    let body = body.replace('\u{a0}', " ");
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&body).into_iter().collect();
    let mut value = match documents {
        Ok(mut documents) if documents.len() == 1 => documents.remove(0),
        Ok(documents) => Value::Array(documents),
        Err(_) => Value::String(body),
    };
    mask(&mut value);
    if ask.body.windows(11).any(|word| word == b"sort_target") {
        order_by_key(&mut value);
    }
    value
}

pub fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in ["cluster_id", "member_id", "raft_term"] {
                members.remove(name);
            }
            // Ids that are large were chosen by a server.
            if let Some(id) = members.get_mut("ID")
                && id.as_str().is_some_and(|id| id.len() > 12)
            {
                *id = Value::from("id");
            }
            // Full seconds pass at different moments.
            if members.contains_key("grantedTTL") {
                members.remove("TTL");
            }
            if let Some(token) = members.get_mut("token") {
                *token = Value::from("token");
            }
            members.values_mut().for_each(mask);
            for unordered in ["keys", "leases"] {
                if let Some(Value::Array(items)) = members.get_mut(unordered) {
                    items.sort_by_key(ToString::to_string);
                }
            }
            // A header with nothing but ids, or an empty one of a transaction within another.
            members.retain(|_, value| *value != Value::Object(Map::new()));
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

/// Pairs in the order of their keys, where the one they came in may be chance.
fn order_by_key(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Array(pairs)) = members.get_mut("kvs") {
                pairs.sort_by_key(|pair| pair["key"].as_str().unwrap_or_default().to_owned());
            }
            members.values_mut().for_each(order_by_key);
        }
        Value::Array(items) => items.iter_mut().for_each(order_by_key),
        _ => {}
    }
}

/// The id in the answer to a grant.
pub fn id(body: &str) -> Option<i64> {
    let answer: Value = serde_json::from_str(body).ok()?;
    answer["ID"].as_str()?.parse().ok()
}

/// The token in the answer to a login.
pub fn token(body: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(body).ok()?;
    Some(answer["token"].as_str()?.to_owned())
}
