//! The recorded scenarios, with what the recordings leave out.

use std::time::Duration;

use etcd_embedded::ExchangeId;
use etcd_recordings::{Exchange, scenario};
use serde_json::Value;

use super::compare::{compare, events_at, first_revision};
use super::world::World;

/// The time between two exchanges.
const PAUSE: Duration = Duration::from_millis(10);

/// The name of an exchange without its number.
fn slug(exchange: &Exchange) -> &str {
    exchange.name.split_once('-').map_or("", |(_, slug)| slug)
}

fn replay(world: &mut World, exchange: &Exchange) {
    world.pass(PAUSE);
    let id = world.begin(exchange);
    let received = world.received(id);
    compare(world, exchange, &received);
    world.disconnect(id);
}

pub fn kv(world: &mut World) {
    for exchange in scenario(world.version, "kv") {
        match slug(&exchange) {
            "put-with-lease" => {
                world.post("/v3/lease/grant", r#"{"TTL":"600","ID":"77"}"#);
            }
            "range-prefix-a-ff" => {
                for key in ["/w==", "//8=", "//96", "Yf8=", "Yf96", "Yg=="] {
                    world.put(key, "dg==");
                }
            }
            "delete-missing" => {
                for (key, value) in [("ZDE=", "MQ=="), ("ZDI=", "Mg=="), ("ZDM=", "Mw==")] {
                    world.put(key, value);
                }
            }
            "delete-range-prev-kv" => world.put("ZDQ=", "NA=="),
            "txn-empty" => world.put("dA==", "MQ=="),
            "compaction" => world.fill(world.revision() + 1),
            _ => {}
        }
        replay(world, &exchange);
    }
}

pub fn maintenance(world: &mut World) {
    for exchange in scenario(world.version, "maint") {
        if slug(&exchange) == "snapshot" {
            // A format of its own; that it arrives whole is tested elsewhere.
            continue;
        }
        replay(world, &exchange);
    }
}

pub fn cluster(world: &mut World) {
    for exchange in scenario(world.version, "cluster") {
        replay(world, &exchange);
    }
}

pub fn lease(world: &mut World) {
    for exchange in scenario(world.version, "lease") {
        if slug(&exchange) == "timetolive" {
            for key in ["bGsx", "bGsy"] {
                world.post(
                    "/v3/kv/put",
                    &format!(r#"{{"key":"{key}","value":"","lease":"1234"}}"#),
                );
            }
        }
        replay(world, &exchange);
    }
}

pub fn keep_alive(world: &mut World) {
    for exchange in scenario(world.version, "keepalive") {
        replay(world, &exchange);
    }
}

pub fn watch(world: &mut World) {
    for exchange in scenario(world.version, "watch") {
        match slug(&exchange) {
            // These are about HTTP/1.1 itself: a half-closed connection, a body held back.
            "half-close" | "content-length-held-back" => continue,
            // Recorded in part only.
            "many-creates-one-body-50" | "many-creates-one-body-100" => continue,
            // Go takes either member, by the order of a map.
            "body-two-union-members" if world.version != "3.5.30" => continue,
            // A race within 3.5.1: its deadline came back with another code.
            "grpc-timeout-2S" if world.version == "3.5.1" => continue,
            "lease-expiry-delete-event" => {
                world.post("/v3/lease/grant", r#"{"TTL":"600","ID":"4321"}"#);
            }
            _ => {}
        }
        if let Some(first) = first_revision(&exchange) {
            while world.revision() < first {
                let next = world.revision() + 1;
                write_recorded(world, &exchange, next);
            }
        }
        replay_stream(world, &exchange);
    }
}

/// Replays a stream with what was done while it was open.
fn replay_stream(world: &mut World, exchange: &Exchange) {
    world.pass(PAUSE);
    let id = world.begin(exchange);
    if slug(exchange) == "start-revision-compacted-beside-live" {
        // There, the watch that lay behind was served before anything was written.
        world.pass(Duration::from_millis(100));
    }
    for action in &exchange.actions {
        act(world, exchange, action);
    }
    // As long as anybody looked, and longer than a watch takes to catch up.
    world.pass(Duration::from_millis(match slug(exchange) {
        "progress-notify" => 3_100,
        "grpc-timeout-2S" => 2_200,
        _ => 500,
    }));
    let received = world.received(id);
    compare(world, exchange, &received);
    world.disconnect(id);
}

/// Does what an action says: `PUT key ... -> revision`.
fn act(world: &mut World, exchange: &Exchange, action: &str) {
    let Some((what, revision)) = action.rsplit_once(" -> ") else {
        return;
    };
    let Ok(revision) = revision.parse::<i64>() else {
        return;
    };
    if let Some(lease) = what.strip_prefix("REVOKE ") {
        world.post("/v3/lease/revoke", &format!(r#"{{"ID":"{lease}"}}"#));
    } else if events_at(exchange, revision).is_empty() {
        // Nobody was told what it wrote: all that is known is the key.
        let key = base64_of(what.split([' ', '=']).nth(1).unwrap_or_default());
        match what.starts_with("DELETE") {
            true => drop(world.post("/v3/kv/deleterange", &format!(r#"{{"key":"{key}"}}"#))),
            false => world.put(&key, "MQ=="),
        }
    } else {
        write_recorded(world, exchange, revision);
    }
    assert_eq!(world.revision(), revision, "{exchange}: {action}");
}

/// Writes what the recorded events of a revision say was written.
fn write_recorded(world: &mut World, exchange: &Exchange, revision: i64) {
    let events = events_at(exchange, revision);
    if events.is_empty() {
        return world.fill(revision);
    }
    let operations: Vec<String> = events.iter().map(operation).collect();
    world.post(
        "/v3/kv/txn",
        &format!(r#"{{"success":[{}]}}"#, operations.join(",")),
    );
}

fn operation(event: &Value) -> String {
    let text = |name: &str| event["kv"][name].as_str().unwrap_or_default().to_owned();
    if event["type"] == "DELETE" {
        return format!(r#"{{"request_delete_range":{{"key":"{}"}}}}"#, text("key"));
    }
    let lease = event["kv"]["lease"].as_str().unwrap_or("0");
    format!(
        r#"{{"request_put":{{"key":"{}","value":"{}","lease":"{lease}"}}}}"#,
        text("key"),
        text("value")
    )
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

pub fn lock(world: &mut World) {
    // Other scenarios wrote in between, not as much on every server.
    let first = &scenario(world.version, "lock")[0];
    world.fill(first_revision(first).unwrap() - 1);
    for lease in 701..=705 {
        world.post("/v3/lease/grant", &format!(r#"{{"TTL":"600","ID":"{lease}"}}"#));
    }
    for exchange in scenario(world.version, "lock") {
        world.pass(PAUSE);
        let id = world.begin(&exchange);
        match slug(&exchange) {
            "lock-blocks-until-unlock" => {
                expect_silence(world, id);
                world.post("/v3/lock/unlock", r#"{"key":"TC8yYmQ="}"#);
            }
            "lock-wait-client-disconnect" => {
                expect_silence(world, id);
                assert_eq!(leases_below(world, "TA==", "TQ=="), ["702", "703"]);
                world.disconnect(id);
                assert_eq!(leases_below(world, "TA==", "TQ=="), ["702"]);
                continue;
            }
            "lock-wait-grpc-timeout" => {
                expect_silence(world, id);
                world.pass(Duration::from_secs(1));
                assert_eq!(leases_below(world, "TA==", "TQ=="), ["702"]);
            }
            "lock-wait-holder-lease-revoked" => {
                expect_silence(world, id);
                world.post("/v3/lease/revoke", r#"{"ID":"702"}"#);
            }
            "lock-wait-own-lease-revoked" => {
                world.post("/v3/lease/revoke", r#"{"ID":"705"}"#);
                expect_silence(world, id);
                world.post("/v3/lock/unlock", r#"{"key":"TC8yYzA="}"#);
            }
            _ => {}
        }
        let received = world.received(id);
        compare(world, &exchange, &received);
    }
}

fn expect_silence(world: &mut World, id: ExchangeId) {
    assert_eq!(world.received(id).status, None, "it should have to wait");
}

/// The leases of the keys in a range, in the order of the keys.
fn leases_below(world: &mut World, key: &str, range_end: &str) -> Vec<String> {
    let answer = world.post(
        "/v3/kv/range",
        &format!(r#"{{"key":"{key}","range_end":"{range_end}"}}"#),
    );
    let pairs = answer["kvs"].as_array().cloned().unwrap_or_default();
    pairs
        .iter()
        .map(|pair| pair["lease"].as_str().unwrap_or_default().to_owned())
        .collect()
}

pub fn election(world: &mut World) {
    for lease in 801..=803 {
        world.post("/v3/lease/grant", &format!(r#"{{"TTL":"600","ID":"{lease}"}}"#));
    }
    let exchanges = scenario(world.version, "election");
    let find = |name: &str| exchanges.iter().find(|exchange| slug(exchange) == name).unwrap();

    // Two of them were open while others ran.
    let observe = world.begin(find("observe"));
    expect_silence(world, observe);
    for name in ["leader-none", "campaign", "leader", "campaign-again-same-lease"] {
        replay(world, find(name));
    }
    let waiting = world.begin(find("campaign-blocks-until-resign"));
    expect_silence(world, waiting);
    for name in ["proclaim", "resign"] {
        replay(world, find(name));
    }
    let received = world.received(waiting);
    compare(world, find("campaign-blocks-until-resign"), &received);
    for name in [
        "proclaim-not-leader",
        "resign-twice",
        "proclaim-missing-leader",
        "resign-missing-leader",
    ] {
        replay(world, find(name));
    }

    let waiting = world.begin(find("campaign-wait-client-disconnect"));
    expect_silence(world, waiting);
    assert_eq!(leases_below(world, "RQ==", "Rg=="), ["802", "803"]);
    world.disconnect(waiting);
    assert_eq!(leases_below(world, "RQ==", "Rg=="), ["802"]);

    let waiting = world.begin(find("campaign-wait-grpc-timeout"));
    world.pass(Duration::from_millis(700));
    let received = world.received(waiting);
    compare(world, find("campaign-wait-grpc-timeout"), &received);
    for name in [
        "campaign-unknown-lease",
        "campaign-no-lease",
        "keys-under-election-name",
    ] {
        replay(world, find(name));
    }
    world.post("/v3/lease/revoke", r#"{"ID":"802"}"#);
    let received = world.received(observe);
    compare(world, find("observe"), &received);
}

pub fn auth(world: &mut World) {
    let exchanges = scenario(world.version, "auth");
    let mut password = "alicepw2";
    for (position, exchange) in exchanges.iter().enumerate() {
        let name = slug(exchange);
        if name.starts_with("ws-") {
            continue;
        }
        match name {
            // What a 3.4 server answers to this is that it dies.
            "role-grant-no-perm" if world.version == "3.4.23" => continue,
            "enable" => {
                let value = "eA==";
                world.put("cm8x", value);
                world.put("c2VjcmV0", value);
            }
            "changepw-alice" => {
                // The token of the next one was given out before.
                let next = exchanges[position + 1].request.as_ref().unwrap();
                let token = world.login("alice", password);
                world.learn(next.header("authorization").unwrap(), &token);
            }
            "lock-alice-permitted-prefix" => {
                let root = world.login("root", "rootpw");
                world.token = Some(root);
                world.post("/v3/lease/grant", r#"{"TTL":"600","ID":"950"}"#);
                world.token = None;
            }
            _ => {}
        }
        know_token(world, exchange, password);
        world.pass(PAUSE);
        let id = world.begin(exchange);
        match name {
            "watch-mixed-permission" | "watch-outlives-token" => {
                if name == "watch-outlives-token" {
                    world.pass(Duration::from_secs(9));
                }
                let root = world.login("root", "rootpw");
                world.token = Some(root);
                for action in &exchange.actions {
                    // A note on the way: `PUT rw/1 with a new token`.
                    act(world, exchange, &action.replace(" with a new token", ""));
                }
                world.token = None;
            }
            "range-token-forged-index-grpc-timeout" => world.pass(Duration::from_secs(1)),
            "changepw-alice" => password = "alicepw3",
            _ => {}
        }
        let received = world.received(id);
        compare(world, exchange, &received);
        world.disconnect(id);
    }
}

/// Logs in for a token that the recording does not show anybody getting.
fn know_token(world: &mut World, exchange: &Exchange, password: &str) {
    let header = |name: &str| exchange.request.as_ref().and_then(|request| request.header(name));
    let tokens = [
        "authorization",
        "grpc-metadata-token",
        "grpc-metadata-authorization",
        "token",
    ];
    let Some(token) = tokens.into_iter().find_map(header) else {
        return;
    };
    let token = token
        .trim_start_matches("Bearer ")
        .trim_start_matches("bearer ")
        .to_owned();
    let is_real =
        token.split_once('.').is_some_and(|(text, _)| text.len() == 16) && token != "abcdefghijklmnop.9999";
    if !is_real || world.knows(&token) {
        return;
    }
    let roots = [
        "role-get-root",
        "role-change-bumps-auth-revision",
        "range-root-token-from-before-auth-change",
        "changepw-alice",
        "user-revoke",
        "role-delete",
        "user-delete",
        "user-delete-root",
        "disable",
    ];
    let here = match roots.contains(&slug(exchange)) {
        true => world.login("root", "rootpw"),
        false => world.login("alice", password),
    };
    world.learn(&token, &here);
}

pub fn errors(world: &mut World) {
    world.put("Zm9v", "YmFy");
    for exchange in scenario(world.version, "errors") {
        match slug(&exchange) {
            // A 3.4 server breaks the connection off.
            "message-list-null-element" if world.version == "3.4.23" => continue,
            _ => {}
        }
        world.pass(PAUSE);
        let id = world.begin(&exchange);
        let received = world.received(id);
        let response = exchange.response.as_ref().unwrap();
        if response.status == 200 {
            let body = String::from_utf8_lossy(&received.body).into_owned();
            assert_eq!(received.status, Some(200), "{exchange}: {body}");
        } else {
            compare(world, &exchange, &received);
        }
    }
}
