//! `jsonpb`, as grpc-gateway 1.x uses it.

use base64::Engine as _;

use super::super::json::{JsonError, Node, Value, parse_whole};
use super::super::schema::{Enum, Field, Kind, Schema};
use super::{Members, Undecodable, push_base64, push_string, without_line_breaks};
use crate::Dialect;

pub(super) fn message(
    dialect: Dialect,
    schema: &'static Schema,
    node: &Node<'_>,
    out: &mut String,
) -> Result<(), Undecodable> {
    let members = match &node.value {
        Value::Object(members) => members.as_slice(),
        Value::Null => &[],
        _ => return Err(mismatch(node, "map[string]json.RawMessage")),
    };
    let mut written = Members::begin(out);
    // The older `jsonpb` looks at the members of a `oneof` after all others.
    let late = |field: &&Field| dialect == Dialect::G1_6 && field.oneof.is_some();
    let early = schema.fields.iter().filter(|field| !late(field));
    for field in early.chain(schema.fields.iter().filter(late)) {
        // The last one of a name counts, and the name in JSON's spelling before the one in protobuf's.
        let last = |name: &str| {
            let found = members.iter().rev();
            found
                .clone()
                .find(|(key, _)| key.value == Value::String(name.into()))
                .map(|(_, value)| value)
        };
        let value = match field.name.contains('_') {
            true => last(&field.json_name()).or_else(|| last(field.name)),
            false => last(field.name),
        };
        let Some(value) = value else {
            continue;
        };
        if value.value == Value::Null {
            continue;
        }
        // Of several members of a `oneof`, Go picks by the order of a map: any. Here it is the first declared.
        let out = written.name(field.name);
        if field.repeated {
            list(dialect, field, value, out)?;
        } else {
            single(dialect, field, value, out)?;
        }
    }
    written.end();
    Ok(())
}

fn list(dialect: Dialect, field: &Field, node: &Node<'_>, out: &mut String) -> Result<(), Undecodable> {
    let Value::List(items) = &node.value else {
        return Err(mismatch(node, "[]json.RawMessage"));
    };
    out.push('[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        match (&item.value, &field.kind) {
            // A list can hold a null message, which counts as one that says nothing.
            (Value::Null, Kind::Message(_)) => out.push_str("{}"),
            (Value::Null, Kind::Text) => out.push_str("\"\""),
            (Value::Null, _) => out.push('0'),
            _ => single(dialect, field, item, out)?,
        }
    }
    out.push(']');
    Ok(())
}

fn single(dialect: Dialect, field: &Field, node: &Node<'_>, out: &mut String) -> Result<(), Undecodable> {
    match &field.kind {
        Kind::Message(schema) => message(dialect, schema, node, out),
        Kind::Bytes => bytes(node, out),
        Kind::Text => match &node.value {
            Value::String(text) => {
                push_string(out, text);
                Ok(())
            }
            _ => Err(mismatch(node, "string")),
        },
        Kind::Bool => match &node.value {
            Value::Bool(flag) => {
                out.push_str(if *flag { "true" } else { "false" });
                Ok(())
            }
            _ => Err(mismatch(node, "bool")),
        },
        Kind::Int64 => integer::<i64>(node, "int64", out),
        Kind::Uint64 => integer::<u64>(node, "uint64", out),
        Kind::Enum(schema) => enumeration(dialect, schema, node, out),
    }
}

fn bytes(node: &Node<'_>, out: &mut String) -> Result<(), Undecodable> {
    match &node.value {
        Value::String(text) => {
            let decoded = decode_base64(text)?;
            push_base64(out, &decoded);
            Ok(())
        }
        // To Go, bytes are a list of numbers like any other.
        Value::List(items) => {
            let numbers: Result<Vec<u8>, _> = items
                .iter()
                .map(|item| match &item.value {
                    Value::Number(number) => number.parse().map_err(|_| number_mismatch(number, "uint8")),
                    // Leaves the number as it is.
                    Value::Null => Ok(0),
                    _ => Err(mismatch(item, "uint8")),
                })
                .collect();
            push_base64(out, &numbers?);
            Ok(())
        }
        _ => Err(mismatch(node, "[]uint8")),
    }
}

/// The standard alphabet with padding; line breaks do not count.
fn decode_base64(text: &str) -> Result<Vec<u8>, Undecodable> {
    let lenient = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    lenient.decode(without_line_breaks(text).as_bytes()).map_err(|_| {
        let position = first_illegal(text);
        Undecodable(format!("illegal base64 data at input byte {position}"))
    })
}

/// Where Go's decoder says that it stopped (`decodeQuantum` in `encoding/base64`).
fn first_illegal(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    // The next position from there on that holds no line break.
    let next = |from: usize| from + bytes[from..].iter().take_while(|byte| is_break(byte)).count();
    let mut in_group = 0;
    let mut position = 0;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'\r' | b'\n' => {}
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => in_group = (in_group + 1) % 4,
            b'=' if in_group == 2 => {
                let second = next(position + 1);
                return match bytes.get(second) {
                    Some(b'=') => next(second + 1),
                    Some(_) => second - 1,
                    None => bytes.len(),
                };
            }
            b'=' if in_group == 3 => return next(position + 1),
            _ => return position,
        }
        position += 1;
    }
    bytes.len() - in_group
}

fn integer<T: std::str::FromStr>(
    node: &Node<'_>,
    go_type: &str,
    out: &mut String,
) -> Result<(), Undecodable> {
    let number = match &node.value {
        Value::Number(number) => number.clone().into_owned(),
        // The quotes are taken off, and what is within is read as JSON of its own.
        Value::String(_) => {
            let inner = &node.text[1..node.text.len() - 1];
            match parse_whole(inner) {
                Ok(Some(document)) => match document.root.value {
                    Value::Number(number) => number.into_owned(),
                    // Leaves the number as it is.
                    Value::Null => "0".to_owned(),
                    _ => return Err(mismatch(&document.root, go_type)),
                },
                Ok(None) | Err(JsonError::Incomplete) => {
                    return Err(Undecodable("unexpected end of JSON input".into()));
                }
                Err(JsonError::Syntax(message)) => return Err(Undecodable(message)),
            }
        }
        _ => return Err(mismatch(node, go_type)),
    };
    if number.parse::<T>().is_err() {
        return Err(number_mismatch(&number, go_type));
    }
    push_string(out, &number);
    Ok(())
}

fn enumeration(
    dialect: Dialect,
    schema: &Enum,
    node: &Node<'_>,
    out: &mut String,
) -> Result<(), Undecodable> {
    // Each release has its own idea of what to quote and how to name an enum.
    let (scope, last) = schema.name.rsplit_once('.').unwrap_or(("", schema.name));
    let joint = if scope.contains('.') { '_' } else { '.' };
    let go_name = format!("{scope}{joint}{last}");
    let go_type = match dialect {
        Dialect::G1_6 => &go_name,
        _ => "protoreflect.EnumNumber",
    };
    match &node.value {
        Value::String(_) => {
            // Escapes are left alone.
            let raw = String::from_utf8_lossy(node.text);
            let name = &raw[1..raw.len() - 1];
            if schema.values.contains(&name) {
                push_string(out, name);
                return Ok(());
            }
            Err(Undecodable(match dialect {
                Dialect::G1_6 => format!("unknown value {} for enum {go_name}", quoted(name)),
                _ => format!("unknown value {} for enum {}", quoted(&raw), schema.name),
            }))
        }
        Value::Number(number) => match number.parse::<i32>() {
            Ok(number) => {
                out.push_str(&number.to_string());
                Ok(())
            }
            Err(_) => Err(number_mismatch(number, go_type)),
        },
        _ => Err(mismatch(node, go_type)),
    }
}

/// Text as Go's `%q` prints it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..' ' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(character))),
            // What Rust does not print, Go does not either.
            _ if character.escape_debug().len() > 1 => match u32::from(character) {
                code @ ..=0xffff => out.push_str(&format!("\\u{code:04x}")),
                code => out.push_str(&format!("\\U{code:08x}")),
            },
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

fn mismatch(node: &Node<'_>, go_type: &str) -> Undecodable {
    let kind = match node.value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::List(_) => "array",
        Value::Object(_) => "object",
    };
    Undecodable(format!(
        "json: cannot unmarshal {kind} into Go value of type {go_type}"
    ))
}

fn number_mismatch(number: &str, go_type: &str) -> Undecodable {
    Undecodable(format!(
        "json: cannot unmarshal number {number} into Go value of type {go_type}"
    ))
}
