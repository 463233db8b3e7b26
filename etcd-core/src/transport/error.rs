//! What can go wrong with an exchange, and whether the request may have reached the server.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Whether the bytes of a request may have reached the server.
///
/// This one bit decides whether a failed write may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// Not one byte of the request was handed to a socket: the server cannot have acted on it.
    NotSent,
    /// Some or all of it may have arrived: the server may or may not have acted on it.
    MaybeSent,
}

/// The ways in which an exchange can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The name did not resolve, or nobody accepted the connection.
    Connect,
    /// The connection was not established within the connect timeout.
    ConnectTimeout,
    /// The transport cannot carry this request at all: an unknown scheme, a URI without a host.
    Unsupported,
    /// The peer closed the connection in good order, but before the exchange was complete.
    Closed,
    /// The connection broke: a reset, an I/O error.
    Io,
    /// The peer sent something that is not HTTP.
    Protocol,
    /// The response head is larger than the configured limit.
    HeadTooLarge,
    /// The response body is larger than the configured limit.
    BodyTooLarge,
    /// The stream that supplies the request body failed.
    RequestBody,
    /// The transport was shut down, or its runtime was.
    Shutdown,
}

/// A failed exchange.
///
/// [`Display`](fmt::Display) shows one level; the rest is [`source`](StdError::source).
#[derive(Clone, Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    delivery: Delivery,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// An error without a cause of its own.
    #[must_use]
    pub const fn new(kind: TransportErrorKind, delivery: Delivery) -> Self {
        Self {
            kind,
            delivery,
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether the request may have reached the server.
    #[must_use]
    pub const fn delivery(&self) -> Delivery {
        self.delivery
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Connect => "could not connect",
            TransportErrorKind::ConnectTimeout => "connecting took longer than the connect timeout",
            TransportErrorKind::Unsupported => "the transport does not support this request",
            TransportErrorKind::Closed => "the peer closed the connection before the exchange was complete",
            TransportErrorKind::Io => "the connection broke",
            TransportErrorKind::Protocol => "the peer does not speak HTTP as expected",
            TransportErrorKind::HeadTooLarge => "the response head exceeds the configured limit",
            TransportErrorKind::BodyTooLarge => "the response body exceeds the configured limit",
            TransportErrorKind::RequestBody => "the request body could not be produced",
            TransportErrorKind::Shutdown => "the transport was shut down",
        })
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_shows_one_level_and_source_the_next() {
        let error = TransportError::new(TransportErrorKind::Io, Delivery::MaybeSent)
            .with_source(std::io::Error::other("cable cut"));
        assert_eq!(error.to_string(), "the connection broke");
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("cable cut")
        );
    }
}
