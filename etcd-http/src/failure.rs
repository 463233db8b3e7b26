//! From hyper's errors to the transport's.

use std::error::Error as StdError;
use std::io;

use etcd_core::transport::{Delivery, TransportError, TransportErrorKind};

/// The failure of an exchange, for the reason that hyper gives.
pub(crate) fn from_hyper(error: hyper::Error, delivery: Delivery) -> TransportError {
    TransportError::new(kind(&error), delivery).with_source(error)
}

fn kind(error: &hyper::Error) -> TransportErrorKind {
    if error.is_parse_too_large() {
        return TransportErrorKind::HeadTooLarge;
    }
    if error.is_parse() {
        return TransportErrorKind::Protocol;
    }
    if error.is_incomplete_message() || error.is_closed() {
        return TransportErrorKind::Closed;
    }
    if error.is_user() {
        // Our request bodies cannot fail, so this is the task of the connection, dropped by its runtime.
        return TransportErrorKind::Shutdown;
    }
    match cause::<hyper::Error>(error) {
        Some(nested) => kind(nested),
        None if error.is_canceled() => TransportErrorKind::Closed,
        None => cause::<io::Error>(error).map_or(TransportErrorKind::Protocol, io_kind),
    }
}

fn io_kind(error: &io::Error) -> TransportErrorKind {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => TransportErrorKind::Closed,
        // What hyper's decoder of chunked bodies says of malformed framing.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => TransportErrorKind::Protocol,
        _ => TransportErrorKind::Io,
    }
}

/// The nearest cause of type `E`.
fn cause<E: StdError + 'static>(error: &dyn StdError) -> Option<&E> {
    std::iter::successors(error.source(), |&error| error.source()).find_map(|error| error.downcast_ref())
}
