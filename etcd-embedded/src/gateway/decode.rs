//! From what a client sends to a request, as the dialect's own decoder would have it.
//!
//! g1.x decodes with `jsonpb` (golang/protobuf 1.3), g2 with `protojson`. They differ in what they accept and in
//! what they say; both are written down here as rules over the same tree. What passes is written anew in the one
//! form that `etcd-core` reads.

mod legacy;
mod modern;

use std::borrow::Cow;

use etcd_core::rpc::Rpc;

use super::json::{Document, JsonError, parse};
use super::schema;
use crate::{Dialect, Request};

/// Why a request cannot be decoded, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undecodable(pub(super) String);

/// What the start of a text holds.
pub(super) enum Decoded {
    /// A request; the next one may begin there.
    Request(Request, usize),
    /// Nothing but whitespace.
    Nothing,
    /// The beginning of a request.
    Incomplete,
}

/// Decodes the first document of `text`.
pub(super) fn decode(dialect: Dialect, rpc: &'static Rpc, text: &[u8]) -> Result<Decoded, Undecodable> {
    let document = match parse(text) {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(Decoded::Nothing),
        Err(JsonError::Incomplete) => return Ok(Decoded::Incomplete),
        Err(JsonError::Syntax(message)) => return Err(Undecodable(message)),
    };
    let end = document.end;
    request(dialect, rpc, &document).map(|request| Decoded::Request(request, end))
}

/// The request that an empty body stands for.
pub(super) fn empty(rpc: &'static Rpc) -> Result<Request, Undecodable> {
    build(rpc, "{}")
}

fn request(dialect: Dialect, rpc: &'static Rpc, document: &Document<'_>) -> Result<Request, Undecodable> {
    let schema = schema::request(rpc);
    let mut json = String::with_capacity(document.root.text.len());
    match dialect {
        Dialect::G2 => modern::message(schema, document, &mut json)?,
        _ => legacy::message(dialect, schema, &document.root, &mut json)?,
    }
    build(rpc, &json)
}

fn build(rpc: &'static Rpc, json: &str) -> Result<Request, Undecodable> {
    match Request::from_json(rpc, json.as_bytes()) {
        Some(Ok(request)) => Ok(request),
        // Only nesting deeper than the codec goes can fail here.
        Some(Err(error)) => Err(Undecodable(format!("proto: {error}"))),
        None => Err(Undecodable(format!("unknown method {}", rpc.method))),
    }
}

/// Writes the members of a message, with commas where they belong.
struct Members<'o> {
    out: &'o mut String,
    first: bool,
}

impl<'o> Members<'o> {
    fn begin(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, first: true }
    }

    fn name(&mut self, name: &str) -> &mut String {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out
    }

    fn end(self) {
        self.out.push('}');
    }
}

/// What is left of base64 without line breaks, which do not count.
fn without_line_breaks(text: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'\r', b'\n', text.as_bytes()).is_some() {
        Cow::Owned(text.replace(['\r', '\n'], ""))
    } else {
        Cow::Borrowed(text)
    }
}

fn push_base64(out: &mut String, bytes: &[u8]) {
    use base64::Engine as _;
    out.push('"');
    base64::engine::general_purpose::STANDARD.encode_string(bytes, out);
    out.push('"');
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..' ' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push('"');
}
