//! JSON as Go's `encoding/json` reads it: the same documents accepted, the same words for those that are not.
//!
//! The codec of `etcd-core` reads what servers send. A server reads what anybody sends, and has to say what is wrong
//! with it as the real one does; hence a parser that keeps positions, duplicates and the exact text of numbers.

use std::borrow::Cow;

/// How deep values may lie in one another. Go allows 10,000; no request needs a hundredth of it.
const MAX_DEPTH: usize = 1000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node<'a> {
    /// Where it begins, counted from the start of the document.
    pub(super) offset: usize,
    /// Its own text.
    pub(super) text: &'a [u8],
    pub(super) value: Value<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// As it was written.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    List(Vec<Node<'a>>),
    /// Names and values in order, duplicates and all; each name is a node of a string.
    Object(Vec<(Node<'a>, Node<'a>)>),
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JsonError {
    /// It ends in the middle; more bytes might complete it.
    Incomplete,
    /// It is not JSON, in Go's words.
    Syntax(String),
}

/// One document at the start of a text.
#[derive(Clone, Debug)]
pub(super) struct Document<'a> {
    pub(super) root: Node<'a>,
    /// Where the next document may begin.
    pub(super) end: usize,
    /// Where a string begins that is not UTF-8, if there is one.
    pub(super) invalid_utf8: Option<usize>,
}

/// Reads a text that is one document and nothing else; `None` if there is nothing but whitespace.
pub(super) fn parse_whole(text: &[u8]) -> Result<Option<Document<'_>>, JsonError> {
    let document = parse(text)?;
    if let Some(document) = &document {
        let mut rest = Parser {
            text,
            position: document.end,
            invalid_utf8: None,
        };
        rest.skip_whitespace();
        if rest.position < text.len() {
            return Err(rest.unexpected("after top-level value"));
        }
    }
    Ok(document)
}

/// Reads the first document of `text`; `None` if there is nothing but whitespace.
pub(super) fn parse(text: &[u8]) -> Result<Option<Document<'_>>, JsonError> {
    let mut parser = Parser {
        text,
        position: 0,
        invalid_utf8: None,
    };
    parser.skip_whitespace();
    if parser.position == text.len() {
        return Ok(None);
    }
    let start = parser.position;
    let mut root = parser.value(0)?;
    shift(&mut root, start);
    Ok(Some(Document {
        root,
        end: parser.position,
        invalid_utf8: parser.invalid_utf8.map(|position| position - start),
    }))
}

/// Counts positions from the start of the document, as the decoder does that gets it cut out.
fn shift(node: &mut Node<'_>, start: usize) {
    if start == 0 {
        return;
    }
    node.offset -= start;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| shift(item, start)),
        Value::Object(members) => {
            for (name, value) in members {
                shift(name, start);
                shift(value, start);
            }
        }
        _ => {}
    }
}

struct Parser<'a> {
    text: &'a [u8],
    position: usize,
    invalid_utf8: Option<usize>,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Node<'a>, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::Syntax("exceeded max depth".into()));
        }
        let offset = self.position;
        let value = match self.peek()? {
            b'{' => self.object(depth)?,
            b'[' => self.list(depth)?,
            b'"' => Value::String(self.string()?),
            b't' => self.literal("true", Value::Bool(true))?,
            b'f' => self.literal("false", Value::Bool(false))?,
            b'n' => self.literal("null", Value::Null)?,
            b'-' | b'0'..=b'9' => Value::Number(self.number()?),
            _ => return Err(self.unexpected("looking for beginning of value")),
        };
        Ok(Node {
            offset,
            text: &self.text[offset..self.position],
            value,
        })
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.position += 1;
        let mut members = Vec::new();
        self.skip_whitespace();
        if self.peek()? == b'}' {
            self.position += 1;
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_whitespace();
            if self.peek()? != b'"' {
                return Err(self.unexpected("looking for beginning of object key string"));
            }
            let name = self.value(depth + 1)?;
            self.skip_whitespace();
            if self.peek()? != b':' {
                return Err(self.unexpected("after object key"));
            }
            self.position += 1;
            self.skip_whitespace();
            self.peek()?;
            members.push((name, self.value(depth + 1)?));
            self.skip_whitespace();
            match self.peek()? {
                b',' => self.position += 1,
                b'}' => {
                    self.position += 1;
                    return Ok(Value::Object(members));
                }
                _ => return Err(self.unexpected("after object key:value pair")),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.position += 1;
        let mut items = Vec::new();
        self.skip_whitespace();
        if self.peek()? == b']' {
            self.position += 1;
            return Ok(Value::List(items));
        }
        loop {
            self.skip_whitespace();
            items.push(self.value(depth + 1)?);
            self.skip_whitespace();
            match self.peek()? {
                b',' => self.position += 1,
                b']' => {
                    self.position += 1;
                    return Ok(Value::List(items));
                }
                _ => return Err(self.unexpected("after array element")),
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let start = self.position;
        self.position += 1;
        let mut escaped = false;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.position += 1;
                    self.escape()?;
                }
                0..0x20 => return Err(self.unexpected("in string literal")),
                // A value of a megabyte is one such run.
                _ => {
                    let rest = &self.text[self.position..];
                    let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
                    self.position += rest.iter().position(is_special).unwrap_or(rest.len());
                }
            }
        }
        let raw = &self.text[start + 1..self.position];
        self.position += 1;
        let text = match std::str::from_utf8(raw) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                self.invalid_utf8.get_or_insert(start);
                String::from_utf8_lossy(raw)
            }
        };
        Ok(if escaped {
            Cow::Owned(unescape(&text))
        } else {
            text
        })
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.position += 1,
            b'u' => {
                self.position += 1;
                for _ in 0..4 {
                    if !self.peek()?.is_ascii_hexdigit() {
                        return Err(self.unexpected("in \\u hexadecimal character escape"));
                    }
                    self.position += 1;
                }
            }
            _ => return Err(self.unexpected("in string escape code")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let start = self.position;
        if self.text[start] == b'-' {
            self.position += 1;
        }
        match self.peek()? {
            b'0' => self.position += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.unexpected("in numeric literal")),
        }
        if self.text.get(self.position) == Some(&b'.') {
            self.position += 1;
            if !self.peek()?.is_ascii_digit() {
                return Err(self.unexpected("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.text.get(self.position) {
            self.position += 1;
            if let b'+' | b'-' = self.peek()? {
                self.position += 1;
            }
            if !self.peek()?.is_ascii_digit() {
                return Err(self.unexpected("in exponent of numeric literal"));
            }
            self.digits();
        }
        Ok(String::from_utf8_lossy(&self.text[start..self.position]))
    }

    fn digits(&mut self) {
        while self.text.get(self.position).is_some_and(u8::is_ascii_digit) {
            self.position += 1;
        }
    }

    fn literal(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, JsonError> {
        for expected in word.bytes() {
            if self.peek()? != expected {
                let context = format!("in literal {word} (expecting {})", quote(expected));
                return Err(self.unexpected(&context));
            }
            self.position += 1;
        }
        Ok(value)
    }

    fn peek(&self) -> Result<u8, JsonError> {
        self.text.get(self.position).copied().ok_or(JsonError::Incomplete)
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.position) {
            self.position += 1;
        }
    }

    fn unexpected(&self, context: &str) -> JsonError {
        let character = self.text.get(self.position).copied().unwrap_or_default();
        JsonError::Syntax(format!("invalid character {} {context}", quote(character)))
    }
}

/// A character between quotes, as Go's `quoteChar` prints a byte.
fn quote(character: u8) -> String {
    match character {
        b'\'' => r"'\''".into(),
        b'"' => r#"'"'"#.into(),
        b'\\' => r"'\\'".into(),
        0x07 => r"'\a'".into(),
        0x08 => r"'\b'".into(),
        0x0b => r"'\v'".into(),
        0x0c => r"'\f'".into(),
        b'\n' => r"'\n'".into(),
        b'\r' => r"'\r'".into(),
        b'\t' => r"'\t'".into(),
        0..0x20 | 0x7f => format!("'\\x{character:02x}'"),
        0x80..0xa0 => format!("'\\u{character:04x}'"),
        _ => format!("'{}'", char::from(character)),
    }
}

/// Undoes the escapes of a string that was found to be well formed. Half a surrogate pair becomes U+FFFD.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        plain.push_str(before);
        let (kind, after) = escape.split_at(escape.chars().next().map_or(0, char::len_utf8));
        rest = after;
        match kind {
            "b" => plain.push('\u{8}'),
            "f" => plain.push('\u{c}'),
            "n" => plain.push('\n'),
            "r" => plain.push('\r'),
            "t" => plain.push('\t'),
            "u" => {
                let (unit, after) = code_unit(rest);
                rest = after;
                let low = rest.strip_prefix("\\u").map(code_unit);
                match (unit, low) {
                    (0xd800..0xdc00, Some((low @ 0xdc00..0xe000, after))) => {
                        let point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        plain.push(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
                        rest = after;
                    }
                    _ => plain.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            other => plain.push_str(other),
        }
    }
    plain.push_str(rest);
    plain
}

fn code_unit(text: &str) -> (u32, &str) {
    let digits = text.get(..4).unwrap_or(text);
    let unit = u32::from_str_radix(digits, 16).unwrap_or(u32::from(char::REPLACEMENT_CHARACTER));
    (unit, &text[digits.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        match parse(text.as_bytes()) {
            Err(JsonError::Syntax(message)) => message,
            Err(JsonError::Incomplete) => "incomplete".into(),
            Ok(_) => "fine".into(),
        }
    }

    #[test]
    fn what_is_not_json_is_refused_in_the_words_of_go() {
        for (text, message) in [
            ("hello", "invalid character 'h' looking for beginning of value"),
            (
                r#"{"a":1,}"#,
                "invalid character '}' looking for beginning of object key string",
            ),
            (
                "{'a':1}",
                r"invalid character '\'' looking for beginning of object key string",
            ),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (
                r#"{"a":1 2}"#,
                "invalid character '2' after object key:value pair",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            ("nope", "invalid character 'o' in literal null (expecting 'u')"),
            (
                "\u{feff}{}",
                "invalid character 'ï' looking for beginning of value",
            ),
            (r#"{"a":"#, "incomplete"),
            (r#"{"a":"b"#, "incomplete"),
        ] {
            assert_eq!(error(text), message, "{text}");
        }
    }

    #[test]
    fn the_first_document_ends_where_the_next_begins() {
        let text = br#" {"a":[1,"x"]}{"b":2}"#;
        let document = parse(text).unwrap().unwrap();
        assert_eq!(&text[document.end..], br#"{"b":2}"#);
        assert_eq!(document.root.offset, 0);
        assert!(parse(b" \n\t").unwrap().is_none());
    }

    #[test]
    fn escapes_are_undone() {
        let document = parse(br#""\u005am9v\n\ud83d\ude00\ud800""#).unwrap().unwrap();
        assert_eq!(
            document.root.value,
            Value::String("Zm9v\n\u{1f600}\u{fffd}".into())
        );
    }
}
