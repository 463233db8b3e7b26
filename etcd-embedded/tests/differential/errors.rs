//! Requests that something is wrong with: text that is no JSON or not of the right shape, paths and methods that are none,
//! headers that mean nothing, and what exceeds a limit.

use bytes::Bytes;
use etcd_core::message::*;
use etcd_core::rpc::Request;
use etcd_embedded::{Config, Dialect};
use serde_json::Value;

use super::generator::Generator;
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
        if !kills_servers(&ask) {
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

fn any_step(generator: &mut Generator, dialect: Dialect, revision: i64) -> Ask {
    match generator.below(20) {
        0..=12 => broken(generator, dialect, revision),
        13 | 14 => misdirected(generator, revision),
        15 | 16 => with_headers(generator, revision),
        17 | 18 => large(generator),
        _ => keys::step(generator, revision),
    }
}

fn pick<T: Copy>(generator: &mut Generator, from: &[T]) -> T {
    from[usize::try_from(generator.below(from.len() as u64)).unwrap()]
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

/// What may stand in place of a value; some of it is right in some place.
const TEXTS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "-0",
    "1.0",
    "1.5",
    "1e2",
    "1E+2",
    "1e-2",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "\"\"",
    "\"x\"",
    "\"YQ\"",
    "\"YQ==\"",
    "\"YQ=\"",
    "\"Y-_4\"",
    "\"Y+/4\"",
    "\"YR==\"",
    "\"!!\"",
    "\"Y Q==\"",
    "\"YQ==YQ==\"",
    "\"Y\\nQ==\"",
    "\"1\"",
    "\"-1\"",
    "\" 1\"",
    "\"1.0\"",
    "\"1e2\"",
    "\"01\"",
    "\"+1\"",
    "\"9223372036854775808\"",
    "\"true\"",
    "\"null\"",
    "[]",
    "{}",
    "[null]",
    "[1,2]",
    "[\"YQ==\"]",
    "[256]",
    "[-1]",
    "[[]]",
    "[{}]",
    "{\"a\":1}",
    "{\"key\":\"YQ\"}",
    "\"PUT\"",
    "\"KEY\"",
    "\"key\"",
    "\"DESCEND\"",
    "99",
    "\"99\"",
    "2147483648",
    "01",
    "+1",
    ".5",
    "1.",
    "1e",
    "-",
    "tru",
    "nul",
    "nulll",
    "True",
    "'x'",
    "\"\\u0061\"",
    "\"\\ud83d\\ude00\"",
    "\"\\x\"",
    "\"\\u00\"",
    "\"a",
    "\"\u{1}\"",
    "\"\u{e9}\"",
    "NaN",
    "x",
    "",
    "}",
    "]",
    ",",
    "// c\n1",
];

const NAMES: &[&str] = &[
    "nope",
    "",
    "Key",
    "KEY",
    "value",
    "key ",
    "k\\u0065y",
    "rangeEnd",
    "@type",
];

/// A request whose text was altered in one place, or in two.
fn broken(generator: &mut Generator, dialect: Dialect, revision: i64) -> Ask {
    let mut ask = loop {
        let ask = any(generator, revision);
        // Without a lease, these take one of the server's own choice, whose id is in the key.
        if ask.path != Lock::RPC.paths[0] && ask.path != Campaign::RPC.paths[0] {
            break ask;
        }
    };
    for _ in 0..=generator.below(2) {
        let text = String::from_utf8(ask.body.clone()).unwrap();
        let altered = match serde_json::from_str::<Value>(&text) {
            Ok(value) if !generator.one_in(4) => in_shape(generator, dialect, &value),
            _ => in_text(generator, &text),
        };
        ask.body = altered.into_bytes();
    }
    ask
}

/// Puts something else in place of a value or a member's name.
fn in_shape(generator: &mut Generator, dialect: Dialect, value: &Value) -> String {
    let nodes = count(value);
    let mut text = pick(generator, TEXTS).to_string();
    if dialect == Dialect::G1_6 && text.contains("null") {
        // Within a list, 3.4.23 dies of it.
        text = "{}".to_owned();
    }
    let mut name = pick(generator, NAMES).to_owned();
    if dialect != Dialect::G2 && name == "value" {
        // Beside another member of a comparison's `oneof`, Go picks one of the two at random.
        name = "nope".to_owned();
    }
    let mut writer = Writer {
        out: String::new(),
        left: generator.below(nodes),
        edit: match generator.below(8) {
            0 => Edit::Rename(name),
            1 => Edit::Respell,
            2 => Edit::Insert(name, text),
            3 => Edit::Duplicate,
            _ => Edit::Replace(text),
        },
    };
    writer.write(value);
    writer.out
}

fn count(value: &Value) -> u64 {
    1 + match value {
        Value::Object(members) => members.values().map(count).sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

/// What is done at one node of a document.
enum Edit {
    Replace(String),
    /// Another name for the member.
    Rename(String),
    /// The name in JSON's own spelling.
    Respell,
    /// One more member in front.
    Insert(String, String),
    /// The member twice.
    Duplicate,
}

struct Writer {
    out: String,
    /// How many nodes are left before the one that is edited.
    left: u64,
    edit: Edit,
}

impl Writer {
    fn write(&mut self, value: &Value) {
        let here = self.left == 0;
        self.left = self.left.wrapping_sub(1);
        if here && let Edit::Replace(text) = &self.edit {
            self.out.push_str(text);
            return;
        }
        match value {
            Value::Object(members) => {
                self.out.push('{');
                for (position, (name, value)) in members.iter().enumerate() {
                    if position > 0 {
                        self.out.push(',');
                    }
                    self.member(name, value);
                }
                self.out.push('}');
            }
            Value::Array(items) => {
                self.out.push('[');
                for (position, value) in items.iter().enumerate() {
                    if position > 0 {
                        self.out.push(',');
                    }
                    self.write(value);
                }
                self.out.push(']');
            }
            other => self.out.push_str(&other.to_string()),
        }
    }

    fn member(&mut self, name: &str, value: &Value) {
        let (mut name, mut again) = (name.to_owned(), false);
        if self.left == 0 {
            match &self.edit {
                Edit::Replace(_) => {}
                Edit::Rename(other) => name.clone_from(other),
                Edit::Respell => name = camel_case(&name),
                Edit::Insert(other, text) => self.out.push_str(&format!("\"{other}\":{text},")),
                Edit::Duplicate => again = true,
            }
        }
        self.out.push_str(&format!("\"{name}\":"));
        self.write(value);
        if again {
            self.out.push_str(&format!(",\"{name}\":{value}"));
        }
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        name + &initial.to_ascii_uppercase() + rest
    })
}

/// Cuts the text off, or puts a character in, or takes one out.
fn in_text(generator: &mut Generator, text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let at = usize::try_from(generator.below(characters.len() as u64 + 1)).unwrap();
    match generator.below(8) {
        0 | 1 => characters.truncate(at),
        2 => drop((at < characters.len()).then(|| characters.remove(at))),
        3 => characters.push(pick(generator, &['x', '}', ' ', '\n', '{', ','])),
        4 => {
            return pick(
                generator,
                &[
                    "",
                    " ",
                    "\n",
                    "\t \r\n",
                    "\u{feff}{}",
                    "\u{b}{}",
                    "{} {}",
                    "[]",
                    "1",
                ],
            )
            .to_string();
        }
        _ => {
            let wrong = [
                '{', '}', '[', ']', ',', ':', '"', '\\', ' ', '\n', 'x', '0', '-', '\u{1}', '\u{e9}',
                '\u{2028}',
            ];
            characters.insert(at, pick(generator, &wrong));
        }
    }
    characters.into_iter().collect()
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
