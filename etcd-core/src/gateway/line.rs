//! Lines of a stream.

use serde::de::MapAccess;
use serde::ser::SerializeMap;

use super::ahead::Cut;
use crate::codec::{self, Arena, DecodeError, FieldSeed, Input, Message, NameSeed, Sealed, serialize_member};
use crate::error::{ErrorKind, MAX_ERROR_BODY, ProtocolError};
use crate::rpc::Request;

/// What a line of a stream says: a message of the stream, or the error that ends it.
///
/// # Errors
///
/// The server's error, or [`ProtocolError`] if the line is neither.
pub fn stream_message<R: Request>(line: &[u8]) -> Result<R::Response, ErrorKind> {
    decode::<R>(line, None)
}

/// The same of a line out of which elements may have been `cut`.
pub(super) fn decode<R: Request>(
    line: &[u8],
    mut cut: Option<Cut<R::Response>>,
) -> Result<R::Response, ErrorKind> {
    let length = line.len() + cut.as_ref().map_or(0, Cut::length);
    let left = cut.as_mut().map(Cut::take_left).unwrap_or_default();
    let arena = Arena::going_on(line, length, left);
    let protocol = |mut error: DecodeError| {
        if let Some(cut) = &cut {
            error.column = cut.column_in_line(error.column);
        }
        ProtocolError::from_decode(R::RPC.name, error)
    };
    let decoded = codec::decode::<Line<R::Response>>(line, &arena);
    let Line { result, has_error } = decoded.map_err(protocol)?;
    if has_error
        && length <= MAX_ERROR_BODY
        && let Some(error) = ErrorKind::from_stream_line(line)
    {
        return Err(error);
    }
    let mut message = result.ok_or(ProtocolError::MissingField { field: "result" })?;
    if let Some(cut) = cut {
        cut.put_back(&mut message, line);
    }
    Ok(message)
}

/// The envelope of a stream's messages.
#[derive(PartialEq)]
struct Line<M> {
    result: Option<M>,
    has_error: bool,
}

impl<M> Default for Line<M> {
    fn default() -> Self {
        Self {
            result: None,
            has_error: false,
        }
    }
}

#[derive(Clone, Copy)]
enum Member {
    Result,
    Error,
}

impl<M> Sealed for Line<M> {}

impl<M: Message> Message for Line<M> {
    fn serialize_members<S: SerializeMap>(&self, map: &mut S) -> Result<(), S::Error> {
        serialize_member(map, "result", &self.result)
    }

    fn merge_member<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        input: Input<'_>,
    ) -> Result<bool, A::Error> {
        const MEMBERS: &[(&str, Member)] = &[("result", Member::Result), ("error", Member::Error)];
        let Some(member) = map.next_key_seed(NameSeed(MEMBERS))? else {
            return Ok(false);
        };
        match member {
            Some(Member::Result) => map.next_value_seed(FieldSeed::new(&mut self.result, input.0))?,
            Some(Member::Error) => {
                self.has_error = map.next_value::<Option<serde::de::IgnoredAny>>()?.is_some();
            }
            None => {
                map.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EtcdError;
    use crate::message::{LeaseKeepAlive, Watch};

    #[test]
    fn a_result_is_the_message() {
        let line = br#"{"result":{"header":{"revision":"7"},"watch_id":"3","created":true}}"#;
        let message = stream_message::<Watch>(line).unwrap();
        assert_eq!(
            (message.watch_id, message.created, message.header.revision),
            (3, true, 7)
        );
    }

    #[test]
    fn an_error_of_any_dialect_is_the_servers() {
        for line in [
            r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#,
            r#"{"error":{"code":14,"message":"etcdserver: no leader"}}"#,
            r#"{"error":"etcdserver: no leader","code":14}"#,
        ] {
            let error = stream_message::<LeaseKeepAlive>(line.as_bytes()).unwrap_err();
            assert!(
                matches!(&error, ErrorKind::Server(error) if error.kind() == EtcdError::NoLeader),
                "{line}: {error}"
            );
        }
    }

    #[test]
    fn a_line_that_is_neither_is_a_protocol_error() {
        for line in [
            "{}",
            "{\"result\":null}",
            "{\"error\":null}",
            "[]",
            "x",
            "{\"result\":[]}",
        ] {
            let error = stream_message::<Watch>(line.as_bytes()).unwrap_err();
            assert!(matches!(error, ErrorKind::Protocol(_)), "{line}: {error}");
        }
    }
}
