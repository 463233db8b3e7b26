//! Lines as no server writes them, and lines as no decoder accepts them.

use std::ops::Range;

use etcd_recordings::Random;

use super::{DEFAULT_MAX_LINE, check, expected};
use crate::error::ErrorKind;
use crate::message::WatchResponse;

/// Writes a line, with anything in it that a decoder has to get right or refuse.
struct Writer {
    random: Random,
    line: String,
    /// How often something is out of the ordinary, in a thousand.
    oddity: usize,
}

impl Writer {
    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.random.below(choices.len())]
    }

    fn is_odd(&mut self) -> bool {
        self.random.below(1000) < self.oddity
    }

    /// White space stands anywhere, and often: newer gateways put it in at random.
    fn token(&mut self, token: &str) {
        if self.random.below(4) == 0 {
            let space = self.one_of(&[" ", "\t", "  ", "\r", " \t \r "]);
            self.line.push_str(space);
        }
        self.line.push_str(token);
    }

    /// A string, with some of its characters escaped now and then.
    fn string(&mut self, text: &str) {
        let mut written = String::from("\"");
        for character in text.chars() {
            match character {
                '"' | '\\' => written.extend(['\\', character]),
                '/' if self.random.below(4) == 0 => written.push_str("\\/"),
                'a'..='z' if self.random.below(40) == 0 => {
                    written.push_str(&format!("\\u{:04x}", u32::from(character)));
                }
                _ => written.push(character),
            }
        }
        written.push('"');
        self.token(&written);
    }

    fn list(&mut self, length: usize, mut element: impl FnMut(&mut Self)) {
        self.token("[");
        for index in 0..length {
            if index > 0 {
                self.token(",");
            }
            element(self);
        }
        self.token("]");
    }

    /// An object with these members, and now and then another or one of them twice.
    fn object(&mut self, members: &[&str], mut value: impl FnMut(&mut Self, &str)) {
        let mut written = members.to_vec();
        if self.is_odd() {
            let other = self.one_of(&["unknown", "events", "result", "error"]);
            let at = self.random.below(written.len() + 1);
            written.insert(at, other);
        }
        if self.is_odd() {
            let twice = self.one_of(members);
            written.push(twice);
        }
        if self.is_odd() {
            let at = self.random.below(written.len());
            written.swap(0, at);
        }
        self.token("{");
        for (index, member) in written.iter().enumerate() {
            if index > 0 {
                self.token(",");
            }
            self.string(member);
            self.token(":");
            if self.is_odd() {
                let odd = self.one_of(&["null", "0", "[]", "{}", "\"\"", "-1.5e3"]);
                self.token(odd);
            } else if members.contains(member) {
                value(self, member);
            } else {
                self.anything(0);
            }
        }
        self.token("}");
    }

    fn anything(&mut self, depth: usize) {
        match self.random.below(if depth > 3 { 4 } else { 6 }) {
            0 => self.string("a\"]}\\ {\"result\":{\"events\":[{}] ü € 😀"),
            1 => {
                let number = self.one_of(&["0", "-0", "12.5", "1e9", "18446744073709551616"]);
                self.token(number);
            }
            2 => self.token("null"),
            3 => self.token("true"),
            4 => {
                let length = self.random.below(3);
                self.list(length, |writer| writer.anything(depth + 1));
            }
            _ => {
                self.token("{");
                let name = self.one_of(&["events", "result", "error", "", "größe"]);
                self.string(name);
                self.token(":");
                self.anything(depth + 1);
                self.token("}");
            }
        }
    }

    fn event(&mut self) {
        if self.is_odd() {
            let odd = self.one_of(&["null", "{}", "7", "[{}]", "\"x\"", "{\"kv\":null}"]);
            return self.token(odd);
        }
        let members: &[&str] = match self.random.below(4) {
            0 => &["type", "kv"],
            1 => &["kv", "prev_kv"],
            _ => &["kv"],
        };
        self.object(members, |writer, member| match member {
            "type" => writer.string("DELETE"),
            _ => writer.pair(),
        });
    }

    fn pair(&mut self) {
        let number = self.random.below(1000);
        let members = ["key", "create_revision", "mod_revision", "value"];
        self.object(&members, |writer, member| match member {
            "key" => writer.string(["YQ==", "YQ", "++//", ""][number % 4]),
            "value" => writer.string(&"ab/+".repeat(number % 50)),
            _ => writer.string(&number.to_string()),
        });
    }

    fn events(&mut self) {
        let length = self.random.below(30);
        self.list(length, Self::event);
    }

    fn result(&mut self) {
        let members = ["header", "watch_id", "events", "fragment"];
        self.object(&members, |writer, member| match member {
            "header" => writer.object(&["revision"], |writer, _| writer.string("9")),
            "watch_id" => writer.string("5"),
            "events" => writer.events(),
            _ => writer.token("true"),
        });
    }

    fn line(&mut self) {
        self.object(&["result"], |writer, _| writer.result());
    }
}

fn body(seed: u64, oddity: usize) -> Vec<u8> {
    let mut writer = Writer {
        random: Random::new(seed),
        line: String::new(),
        oddity,
    };
    for _ in 0..2 {
        writer.line();
        writer.line.push('\n');
    }
    writer.line.into_bytes()
}

/// Damages `body` in one to three places.
fn damage(random: &mut Random, body: &mut Vec<u8>) {
    const BYTES: &[u8] = b"{}[]\",:\\ \r\nnul0-e.x\x00\x1f\x80\xc3\xff";
    for _ in 0..=random.below(3) {
        let at = random.below(body.len() + 1);
        match random.below(5) {
            0 => body.truncate(at),
            1 if at < body.len() => {
                body.remove(at);
            }
            2 if at < body.len() => body[at] = BYTES[random.below(BYTES.len())],
            3 => body.insert(at, BYTES[random.below(BYTES.len())]),
            _ => {
                // A stretch of it a second time.
                let end = (at + random.below(60)).min(body.len());
                let stretch = body[at..end].to_vec();
                body.splice(at..at, stretch);
            }
        }
    }
}

/// How many of the bodies something was cut out of, and what they said.
#[derive(Debug, Default)]
struct Count {
    with_events: usize,
    with_errors: usize,
}

fn run(seeds: Range<u64>, oddity: usize, is_damaged: bool) -> Count {
    let mut count = Count::default();
    for seed in seeds {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut body = body(seed.wrapping_mul(0xd134_2543_de82_ef95) | 1, oddity);
        if is_damaged {
            damage(&mut random, &mut body);
        }
        let expected = expected(&body, DEFAULT_MAX_LINE);
        let mut cut = 0;
        for _ in 0..3 {
            let largest = [1, 20, 300, 3000][random.below(4)];
            let long_line = [2, 50, 500][random.below(3)];
            let pieces = random.pieces(&body, largest);
            cut += check(&body, &expected, long_line, pieces, || format!("seed {seed}"));
        }
        let has_events = |message: &Result<WatchResponse, ErrorKind>| {
            message.as_ref().is_ok_and(|message| !message.events.is_empty())
        };
        if cut > 0 {
            count.with_events += usize::from(expected.iter().any(has_events));
            count.with_errors += usize::from(expected.iter().any(Result::is_err));
        }
    }
    count
}

#[test]
fn lines_in_unusual_forms_say_the_same() {
    for (oddity, at_least) in [(0, 270), (2, 270), (10, 180)] {
        let count = run(0..300, oddity, false);
        assert!(count.with_events > at_least, "{oddity}: {count:?}");
    }
}

#[test]
fn damaged_lines_are_refused_alike() {
    for oddity in [0, 2, 10] {
        let count = run(0..600, oddity, true);
        assert!(count.with_errors > 420, "{oddity}: {count:?}");
    }
}
