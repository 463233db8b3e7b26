//! Requests that something is wrong with: text that is no JSON or not of the right shape, paths and methods that are none,
//! headers that mean nothing, and what exceeds a limit.

use bytes::Bytes;
use etcd_core::message::*;
use etcd_core::rpc::Request;
use etcd_embedded::{Config, Dialect};

use super::generator::Generator;
use super::mangled::{mangled, pick};
use super::pair::{Ask, Pair};
use super::{Plan, keys, mask};

const MAX_TXN_OPS: u32 = 4;
const MAX_REQUEST_BYTES: u32 = 4000;

pub fn compare(plan: Plan) {
    let config = Config::new()
        .max_txn_ops(MAX_TXN_OPS as usize)
        .max_request_bytes(MAX_REQUEST_BYTES as usize);
    let limits = |builder: etcd_process::ServerBuilder| {
        builder
            .max_txn_ops(MAX_TXN_OPS)
            .max_request_bytes(MAX_REQUEST_BYTES)
    };
    let mut pair = Pair::start_with(plan, limits, config);
    let mut generator = Generator::new(plan.seed);
    for _ in 0..plan.steps {
        pair.step();
        let ask = step(&mut generator, plan.dialect, pair.revision);
        let (there, here) = pair.ask_raw(&ask, &ask);
        pair.assert_same(&ask, &there, &here);
        if ask.path == LeaseGrant::RPC.paths[0]
            && let (Some(there), Some(here)) = (mask::id(&there.body), mask::id(&here.body))
        {
            // It may end at any moment, which the two would not see at the same one; and who chose its id?
            let revoke = |id| Ask::of(&LeaseRevoke::new(id));
            pair.ask_as(&revoke(there), &revoke(here));
        }
    }
    pair.finish("errors");
}

fn step(generator: &mut Generator, dialect: Dialect, revision: i64) -> Ask {
    loop {
        let ask = any_step(generator, dialect, revision);
        if !kills_servers(&ask) && !has_half_a_pair(&ask) {
            return ask;
        }
    }
}

/// Whether a read asks for an order that is none, at which every server panics: `sort.Sort` of nothing, in `Range` of
/// `apply.go`.
fn kills_servers(ask: &Ask) -> bool {
    let text = String::from_utf8_lossy(&ask.body);
    ["\"sort_target\":", "\"sortTarget\":"].iter().any(|name| {
        text.split(name).skip(1).any(|rest| {
            let end = rest.find([',', '}', ']']).unwrap_or(rest.len());
            let number = rest[..end].trim().parse::<f64>();
            number.is_ok_and(|number| !(0.0..=4.0).contains(&number))
        })
    })
}

/// Whether half a surrogate pair was left of the one in [`mangled`], which gateway 2 refuses.
fn has_half_a_pair(ask: &Ask) -> bool {
    let text = String::from_utf8_lossy(&ask.body).replace("\\ud83d\\ude00", "");
    text.contains("\\ud83d") || text.contains("\\ude00")
}

fn any_step(generator: &mut Generator, dialect: Dialect, revision: i64) -> Ask {
    match generator.below(20) {
        0..=12 => broken(generator, dialect, revision),
        13 | 14 => misdirected(generator, revision),
        15 | 16 => with_headers(generator, revision),
        17 | 18 => large(generator),
        _ => keys::step(generator, revision),
    }
}

/// A request of any call that does nothing to the cluster itself.
fn any(generator: &mut Generator, revision: i64) -> Ask {
    match generator.below(10) {
        0..=6 => keys::step(generator, revision),
        7 => Ask::of(&MemberList::default()),
        8 => Ask::of(&UserGrantRole::new("nobody", "none")),
        _ => Ask::of(&UserAdd::new("", "password")),
    }
}

/// A request whose text was altered in one place, or in two.
fn broken(generator: &mut Generator, dialect: Dialect, revision: i64) -> Ask {
    let mut ask = loop {
        let ask = any(generator, revision);
        // Without a lease, these take one of the server's own choice, which ends by itself and whose id is in the key.
        let with_session = [
            Lock::RPC.paths,
            Campaign::RPC.paths,
            Proclaim::RPC.paths,
            Resign::RPC.paths,
        ];
        if !with_session.concat().contains(&ask.path.as_str()) {
            break ask;
        }
    };
    for _ in 0..=generator.below(2) {
        let text = String::from_utf8(ask.body).unwrap();
        ask.body = mangled(generator, dialect, &text).into_bytes();
    }
    ask
}

/// To a path that is none, or by a method that is not the one.
fn misdirected(generator: &mut Generator, revision: i64) -> Ask {
    let mut ask = keys::step(generator, revision);
    match generator.below(4) {
        0 | 1 => {
            ask.method = pick(
                generator,
                &["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "FOO"],
            );
            if ask.method == "HEAD" {
                // Go's older HTTP servers refuse one with a body.
                ask.body.clear();
            }
        }
        2 => {
            let own = ask.path.clone();
            ask.path = match generator.below(6) {
                0 => format!("{own}/"),
                1 => format!("{own}x"),
                2 => own.replacen("/v3/", "/v3alpha/", 1),
                3 => own.replacen("/v3/", "/v3beta/", 1),
                4 => own.replacen("r", "%72", 1),
                _ => format!("{own}?key=YQ=="),
            };
        }
        _ => {
            let paths = [
                "/",
                "/health",
                "/version",
                "/v3/",
                "/v3/kv",
                "/v2/keys",
                "/nope",
                "/v3/kv/put:x",
            ];
            ask.path = pick(generator, &paths).to_string();
            ask.method = pick(generator, &["GET", "POST", "PUT"]);
        }
    }
    ask
}

fn with_headers(generator: &mut Generator, revision: i64) -> Ask {
    let ask = any(generator, revision);
    let headers = [
        ("Authorization", "nonsense"),
        ("Authorization", ""),
        ("Grpc-Metadata-Token", "nonsense"),
        ("Grpc-Metadata-Authorization", "Bearer nonsense"),
        ("Grpc-Metadata-hasleader", "true"),
        ("Grpc-Metadata-Nope", "x"),
        ("Grpc-Timeout", "100S"),
        ("Grpc-Timeout", "1H"),
        ("Grpc-Timeout", "99999999m"),
        ("Grpc-Timeout", "1"),
        ("Grpc-Timeout", "S"),
        ("Grpc-Timeout", "-1S"),
        ("Grpc-Timeout", "1s"),
        ("Grpc-Timeout", "99999999999999999999S"),
        ("Grpc-Timeout", ""),
        ("Content-Type", "text/plain"),
        ("Content-Type", "application/x-protobuf"),
        ("Accept", "text/html"),
        ("Origin", "http://elsewhere"),
    ];
    let (name, value) = pick(generator, &headers);
    ask.header(name, value)
}

/// About as large as a request may be, or much larger.
fn large(generator: &mut Generator) -> Ask {
    let limit = u64::from(MAX_REQUEST_BYTES);
    let size = match generator.below(12) {
        0 => limit + 512 * 1024 - 200 + generator.below(400),
        1..=3 => limit * 2,
        // What the log adds depends on chance: an id takes nine bytes or ten.
        4..=7 => limit - 200 + generator.below(120),
        _ => limit - 5 + generator.below(60),
    };
    let value = Bytes::from(vec![b'v'; usize::try_from(size).unwrap()]);
    let mut put = generator.put();
    put.ignore_value = false;
    put.value = value.clone();
    match generator.below(5) {
        0 => Ask::of(&Txn::new().then([put])),
        1 => {
            let mut compare = generator.compare();
            compare.value = Some(value);
            compare.target = CompareTarget::Value;
            (compare.version, compare.create_revision) = (None, None);
            (compare.mod_revision, compare.lease) = (None, None);
            Ask::of(&Txn::when([compare]))
        }
        2 => Ask::of(&Get::new(value)),
        3 => Ask::at(
            LeaseGrant::RPC.paths[0],
            &UserAdd::new("x", String::from_utf8(value.to_vec()).unwrap()),
        ),
        _ => Ask::of(&put),
    }
}
