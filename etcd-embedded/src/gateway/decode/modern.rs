//! `protojson`, as grpc-gateway 2 uses it.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::json::{Document, Node, Value, parse};
use super::super::schema::{Enum, Field, Kind, Schema};
use super::{Members, Undecodable, push_base64, push_string, without_line_breaks};

pub(super) fn message(
    schema: &'static Schema,
    document: &Document<'_>,
    out: &mut String,
) -> Result<(), Undecodable> {
    if let Some(offset) = document.invalid_utf8 {
        return Err(syntax(document, offset, "invalid UTF-8 in string"));
    }
    Decoder(document).message(schema, &document.root, out)
}

struct Decoder<'d>(&'d Document<'d>);

impl Decoder<'_> {
    fn message(&self, schema: &'static Schema, node: &Node<'_>, out: &mut String) -> Result<(), Undecodable> {
        let Value::Object(members) = &node.value else {
            return Err(self.unexpected(node));
        };
        let mut seen: Vec<&str> = Vec::new();
        let mut oneofs: Vec<&str> = Vec::new();
        let mut written = Members::begin(out);
        for (name, value) in members {
            let Value::String(text) = &name.value else {
                continue;
            };
            let Some(field) = schema.field(text) else {
                continue;
            };
            if seen.contains(&field.name) {
                return Err(self.error(name, &format!("duplicate field {}", raw(name))));
            }
            seen.push(field.name);
            if value.value == Value::Null {
                continue;
            }
            if let Some(oneof) = field.oneof {
                if oneofs.contains(&oneof) {
                    let message = format!("error parsing {}, oneof {oneof} is already set", raw(name));
                    return Err(self.error(name, &message));
                }
                oneofs.push(oneof);
            }
            if field.repeated {
                self.list(field, value, written.name(field.name))?;
            } else {
                let mut scalar = String::new();
                if self.single(field, value, &mut scalar)? {
                    written.name(field.name).push_str(&scalar);
                }
            }
        }
        written.end();
        Ok(())
    }

    fn list(&self, field: &'static Field, node: &Node<'_>, out: &mut String) -> Result<(), Undecodable> {
        let Value::List(items) = &node.value else {
            return Err(self.unexpected(node));
        };
        out.push('[');
        let mut first = true;
        for item in items {
            let mut element = String::new();
            if self.single(field, item, &mut element)? {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                out.push_str(&element);
            }
        }
        out.push(']');
        Ok(())
    }

    /// Writes a value; `false` if it says nothing, as an enum by a name that nobody knows.
    fn single(&self, field: &'static Field, node: &Node<'_>, out: &mut String) -> Result<bool, Undecodable> {
        let valid = match &field.kind {
            Kind::Message(schema) => {
                self.message(schema, node, out)?;
                true
            }
            Kind::Enum(schema) => return self.enumeration(schema, field, node, out),
            Kind::Bytes => match &node.value {
                Value::String(text) => decode_base64(text).is_some_and(|bytes| {
                    push_base64(out, &bytes);
                    true
                }),
                _ => false,
            },
            Kind::Text => match &node.value {
                Value::String(text) => {
                    push_string(out, text);
                    true
                }
                _ => false,
            },
            Kind::Bool => match &node.value {
                Value::Bool(flag) => {
                    out.push_str(if *flag { "true" } else { "false" });
                    true
                }
                _ => false,
            },
            Kind::Int64 => self.integer::<i64>(node, out),
            Kind::Uint64 => self.integer::<u64>(node, out),
        };
        if valid {
            Ok(true)
        } else {
            Err(self.invalid(field, node))
        }
    }

    fn integer<T: TryFrom<i128>>(&self, node: &Node<'_>, out: &mut String) -> bool {
        let whole = match &node.value {
            Value::Number(number) => whole_number(number),
            Value::String(text) if text.trim() == text => match parse(text.as_bytes()) {
                // What follows the number is not looked at, as long as it cannot be a part of it.
                Ok(Some(document)) if ends_number(&text.as_bytes()[document.end..]) => {
                    match document.root.value {
                        Value::Number(number) => whole_number(&number),
                        _ => None,
                    }
                }
                _ => None,
            },
            _ => None,
        };
        match whole {
            Some(whole) if T::try_from(whole).is_ok() => {
                push_string(out, &whole.to_string());
                true
            }
            _ => false,
        }
    }

    fn enumeration(
        &self,
        schema: &Enum,
        field: &'static Field,
        node: &Node<'_>,
        out: &mut String,
    ) -> Result<bool, Undecodable> {
        let number = match &node.value {
            Value::String(name) if schema.values.contains(&name.as_ref()) => {
                push_string(out, name);
                return Ok(true);
            }
            // Unknown fields are skipped, and so are unknown names; a number in quotes is one.
            Value::String(_) => return Ok(false),
            Value::Number(number) => whole_number(number),
            _ => None,
        };
        match number.and_then(|number| i32::try_from(number).ok()) {
            Some(number) => {
                out.push_str(&number.to_string());
                Ok(true)
            }
            None => Err(self.invalid(field, node)),
        }
    }

    fn invalid(&self, field: &'static Field, node: &Node<'_>) -> Undecodable {
        let kind = match field.kind {
            Kind::Bytes => "bytes",
            Kind::Text => "string",
            Kind::Int64 => "int64",
            Kind::Uint64 => "uint64",
            Kind::Bool => "bool",
            Kind::Enum(_) => "enum",
            Kind::Message(_) => "message",
        };
        let message = format!(
            "invalid value for {kind} field {}: {}",
            field.json_name(),
            token(node)
        );
        self.error(node, &message)
    }

    fn unexpected(&self, node: &Node<'_>) -> Undecodable {
        syntax(self.0, node.offset, &format!("unexpected token {}", token(node)))
    }

    fn error(&self, node: &Node<'_>, message: &str) -> Undecodable {
        Undecodable(format!("proto: {}: {message}", position(self.0, node.offset)))
    }
}

fn syntax(document: &Document<'_>, offset: usize, message: &str) -> Undecodable {
    Undecodable(format!(
        "proto: syntax error {}: {message}",
        position(document, offset)
    ))
}

fn position(document: &Document<'_>, offset: usize) -> String {
    let before = &document.root.text[..offset.min(document.root.text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let last_line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(last_line).chars().count() + 1;
    format!("(line {line}:{column})")
}

/// A value as its first token: of a list or an object only how it begins.
fn token(node: &Node<'_>) -> String {
    match node.value {
        Value::List(_) => "[".into(),
        Value::Object(_) => "{".into(),
        _ => raw(node),
    }
}

fn raw(node: &Node<'_>) -> String {
    String::from_utf8_lossy(node.text).into_owned()
}

/// Either alphabet, with padding exactly where the length asks for it; line breaks do not count, except for that.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let alphabet = if memchr::memchr2(b'-', b'_', text.as_bytes()).is_some() {
        &URL_SAFE
    } else {
        &STANDARD
    };
    let padding = match text.len() % 4 {
        0 => DecodePaddingMode::RequireCanonical,
        _ => DecodePaddingMode::RequireNone,
    };
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(padding);
    GeneralPurpose::new(alphabet, config)
        .decode(without_line_breaks(text).as_bytes())
        .ok()
}

/// Whether a number ends before `rest` (`isNotDelim` in protojson's decoder).
fn ends_number(rest: &[u8]) -> bool {
    rest.first()
        .is_none_or(|byte| !byte.is_ascii_alphanumeric() && !b"-+._".contains(byte))
}

/// The value of a number that is whole, however it is written: `1`, `1.0`, `1e0`.
fn whole_number(text: &str) -> Option<i128> {
    /// More digits than any integer in use has.
    const MAX_DIGITS: usize = 30;

    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let all = format!("{whole}{fraction}");
    let shift = exponent - i64::try_from(fraction.len()).ok()?;
    let significant = all.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let number = if let Ok(zeros) = usize::try_from(shift) {
        if significant.len() + zeros > MAX_DIGITS {
            return None;
        }
        format!("{significant}{}", "0".repeat(zeros))
    } else {
        let cut = usize::try_from(-shift).ok()?;
        let (kept, dropped) = significant.split_at_checked(significant.len().checked_sub(cut)?)?;
        if dropped.bytes().any(|digit| digit != b'0') {
            return None;
        }
        kept.to_owned()
    };
    let value: i128 = number.parse().ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        for (text, value) in [
            ("1", Some(1)),
            ("1.0", Some(1)),
            ("1e0", Some(1)),
            ("-2.50e1", Some(-25)),
            ("100e-2", Some(1)),
        ] {
            assert_eq!(whole_number(text), value, "{text}");
        }
        for text in ["1.5", "1e-1", "1e999999999999"] {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }

    #[test]
    fn base64_comes_in_either_alphabet_but_not_in_both() {
        for text in ["+//+", "-__-", "-_8", "Zm9vMQ", "Zm9vMQ==", "Zm\n9v"] {
            assert!(decode_base64(text).is_some(), "{text}");
        }
        for text in ["-//+", "Zm 9v", "Zm9*", "Zm9vM"] {
            assert!(decode_base64(text).is_none(), "{text}");
        }
    }
}
