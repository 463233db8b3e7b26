//! `jsonpb`, as grpc-gateway 1.x uses it.

use base64::Engine as _;

use super::super::json::{JsonError, Node, Value, parse};
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
    for field in schema.fields {
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

/// Where Go's decoder stops: at the first character that is not of the alphabet, or where padding is missing.
fn first_illegal(text: &str) -> usize {
    let mut group_start = 0;
    let mut in_group = 0;
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'\r' | b'\n' => {}
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                if in_group == 0 {
                    group_start = position;
                }
                in_group = (in_group + 1) % 4;
            }
            _ => return position,
        }
    }
    if in_group == 0 { text.len() } else { group_start }
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
            match parse(inner) {
                Ok(Some(document)) => match document.root.value {
                    Value::Number(number) => number.into_owned(),
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
    match &node.value {
        Value::String(name) if schema.values.contains(&name.as_ref()) => {
            push_string(out, name);
            Ok(())
        }
        Value::String(name) => Err(Undecodable(match dialect {
            // Each release has its own idea of what to quote and how to name an enum.
            Dialect::G1_6 => {
                let (scope, last) = schema.name.rsplit_once('.').unwrap_or(("", schema.name));
                let joint = if scope.contains('.') { '_' } else { '.' };
                format!("unknown value {name:?} for enum {scope}{joint}{last}")
            }
            _ => {
                let raw = String::from_utf8_lossy(node.text);
                format!("unknown value {raw:?} for enum {}", schema.name)
            }
        })),
        Value::Number(number) => match number.parse::<i32>() {
            Ok(number) => {
                out.push_str(&number.to_string());
                Ok(())
            }
            Err(_) => Err(number_mismatch(number, "int32")),
        },
        _ => Err(mismatch(node, "int32")),
    }
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
