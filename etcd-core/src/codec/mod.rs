//! Messages to JSON and back: proto3 JSON as etcd's gateways write and accept it.
//!
//! Three dialects exist (`g1.6`, `g1.16`, `g2`, after the grpc-gateway linked into the server) and one codec
//! serves them all, telling them apart by shape and never by version:
//!
//! * **Out**: proto field names, 64-bit integers as strings, bytes in padded standard base64, enum names, no
//!   member that holds its default, exactly one document. This is the intersection of what all dialects accept.
//! * **In**: integers as string or number, enums as name or number, `null` and absence as default, any member
//!   order, any whitespace; unknown members are skipped, unknown enum values kept.
//!
//! Keys and values of one response are slices of one buffer, so that decoding allocates the same number of
//! times for one key and for ten thousand. A key that is kept keeps that buffer; who keeps few keys of a large
//! response for long should copy them.
//!
//! Source: `etcd/api/etcdserverpb/rpc.proto`; the [proto3 JSON mapping](https://protobuf.dev/programming-guides/json/).

mod arena;
mod field;
mod message;
mod oneof;
mod open_enum;
mod secret;

use std::fmt;

pub(crate) use arena::{Arena, Left};
pub(crate) use field::{AsSerialize, Field, FieldSeed, append, serialize_member};
pub use message::Message;
#[doc(hidden)]
pub use message::{Input, Sealed};
pub(crate) use message::{NameSeed, message, wire_name};
pub(crate) use oneof::oneof;
pub use open_enum::EnumValue;
pub(crate) use open_enum::{EnumVisitor, open_enum};
pub use secret::Secret;

/// Encodes `message` as one JSON document.
#[must_use]
pub fn to_json<M: Message>(message: &M) -> Vec<u8> {
    let mut json = Vec::with_capacity(128);
    let written = message.serialize(&mut serde_json::Serializer::new(&mut json));
    debug_assert!(
        written.is_ok(),
        "a Vec takes every byte and messages have no map keys that could fail"
    );
    json
}

/// Decodes one JSON document.
///
/// Its lists take whatever memory their elements take. What servers answer is decoded by [`gateway::unary_response`] and
/// [`gateway::StreamDecoder`], which bound that.
///
/// [`gateway::unary_response`]: crate::gateway::unary_response
/// [`gateway::StreamDecoder`]: crate::gateway::StreamDecoder
///
/// # Errors
///
/// [`DecodeError`] if `json` is not one complete document, or a known member has a value of the wrong kind.
pub fn from_json<M: Message>(json: &[u8]) -> Result<M, DecodeError> {
    decode(json, &Arena::for_document(json))
}

/// Decodes what a server has answered.
///
/// # Errors
///
/// As [`from_json`], and [`DecodeErrorKind::Inflated`].
pub(crate) fn from_answer<M: Message>(json: &[u8]) -> Result<M, DecodeError> {
    decode(json, &Arena::for_answer(json))
}

/// Decodes one JSON document with the arena that was made for it.
pub(crate) fn decode<M: Message>(json: &[u8], arena: &Arena<'_>) -> Result<M, DecodeError> {
    let mut message = M::default();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    serde::de::DeserializeSeed::deserialize(FieldSeed::new(&mut message, arena), &mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| {
            let mut error = DecodeError::from(error);
            if arena.is_exhausted() {
                error.kind = DecodeErrorKind::Inflated;
            }
            error
        })?;
    Ok(message)
}

/// Decodes the element of a message's [long list](Message::LONG_LIST) that `json` begins with, puts it at the end of the list,
/// and tells where it ends; `None` if there is none, or none that is complete.
pub(crate) fn append_element<M: Message>(message: &mut M, json: &[u8], arena: &Arena<'_>) -> Option<usize> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    message.append_element(&mut deserializer, Input(arena)).ok()?;
    // A stream of values begins where the last one ended.
    Some(deserializer.into_iter::<serde::de::IgnoredAny>().byte_offset())
}

/// Bytes of a peer that are not the JSON they should be.
///
/// Tells where, never what: the document may hold keys, values or tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// The kind of defect.
    pub kind: DecodeErrorKind,
    /// Line of the defect, from 1.
    pub line: usize,
    /// Column of the defect in bytes, from 1; 0 if it lies before the first byte of the line.
    pub column: usize,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// Not JSON.
    Syntax,
    /// JSON, but a member has a value of the wrong kind: a word where an integer belongs, bad base64.
    Value,
    /// The document ends in the middle.
    Truncated,
    /// Of an answer: its lists take far more memory than what servers write in so many bytes, as `{},{},{},...` does. No etcd sends
    /// that, and whoever does may want to exhaust memory.
    Inflated,
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        let kind = match error.classify() {
            serde_json::error::Category::Eof => DecodeErrorKind::Truncated,
            serde_json::error::Category::Data => DecodeErrorKind::Value,
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => DecodeErrorKind::Syntax,
        };
        Self {
            kind,
            line: error.line(),
            column: error.column(),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DecodeErrorKind::Syntax => "not JSON",
            DecodeErrorKind::Value => "a member of the wrong kind",
            DecodeErrorKind::Truncated => "the document ends too early",
            DecodeErrorKind::Inflated => "lists of far more elements than servers write in so many bytes",
        };
        write!(f, "{what} at line {}, column {}", self.line, self.column)
    }
}

impl std::error::Error for DecodeError {}
