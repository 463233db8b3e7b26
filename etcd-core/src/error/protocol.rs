//! Bytes that cannot be understood.

use crate::codec::{DecodeError, DecodeErrorKind};

/// A response whose bytes cannot be understood. What they were is never shown: they may be anybody's values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// It is not the JSON, or not the message, that was expected.
    #[error("the response is not a valid answer to {expected} (byte {offset})")]
    Malformed {
        /// The call that was made, as `Service/Method`.
        expected: &'static str,
        /// Where in the line or body it stops being one, counted from 1; 0 if that is not known.
        offset: usize,
    },
    /// A field without which the response means nothing is not there.
    #[error("the response lacks the field {field}")]
    MissingField {
        /// Its name in etcd's proto files.
        field: &'static str,
    },
    /// A range was answered with keys that do not lie in it, or with none although there are more.
    #[error("the response holds other keys than were asked for")]
    OutOfRange,
    /// Events came in another order than that of their revisions, or without one, or an answer to what was not asked.
    #[error("the messages of the stream come out of order")]
    OutOfOrder,
    /// The response ended in the middle of a message.
    #[error("the response ended in the middle of a message")]
    Truncated,
}

impl ProtocolError {
    /// What the decoder says of a body or line that should have been `expected`.
    #[must_use]
    pub fn from_decode(expected: &'static str, error: DecodeError) -> Self {
        if error.kind == DecodeErrorKind::Truncated {
            return Self::Truncated;
        }
        Self::Malformed {
            expected,
            offset: error.column,
        }
    }
}
