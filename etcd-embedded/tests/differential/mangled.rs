//! Requests with something wrong in their text.

use etcd_embedded::Dialect;
use serde_json::Value;

use super::generator::Generator;

/// A document altered in one place.
pub fn mangled(generator: &mut Generator, dialect: Dialect, text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if !generator.one_in(4) => in_shape(generator, dialect, &value),
        _ => in_text(generator, text),
    }
}

pub fn pick<T: Copy>(generator: &mut Generator, from: &[T]) -> T {
    from[usize::try_from(generator.below(from.len() as u64)).unwrap()]
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
