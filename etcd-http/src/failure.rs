//! From hyper's errors to the transport's.

use std::error::Error as StdError;
use std::io;

use etcd_core::transport::{Delivery, TransportError, TransportErrorKind};

/// The failure of an exchange, for the reason that hyper gives.
pub(crate) fn from_hyper(error: hyper::Error, delivery: Delivery) -> TransportError {
    TransportError::new(kind(&error), delivery).with_source(error)
}

/// What an error means that hyper, or something built on it, has returned.
///
/// For transports on other HTTP clients that stand on hyper too: the nearest error of hyper in the chain of causes
/// decides, else the nearest of `std::io`.
#[must_use]
pub fn error_kind(error: &(dyn StdError + 'static)) -> TransportErrorKind {
    match nearest::<hyper::Error>(error) {
        Some(error) => kind(error),
        None => nearest(error).map_or(TransportErrorKind::Protocol, io_kind),
    }
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
        // Request bodies cannot fail, so this is the task of the connection, dropped by its runtime.
        return TransportErrorKind::Shutdown;
    }
    match error.source() {
        Some(cause) if has_kind(cause) => error_kind(cause),
        _ if error.is_canceled() => TransportErrorKind::Closed,
        // A cause in words only: writing failed, and this is what the reader of the response is told ("connection error"
        // in hyper's `proto/h1/dispatch.rs`).
        Some(_) => TransportErrorKind::Io,
        // Bytes that nobody had asked for.
        None => TransportErrorKind::Protocol,
    }
}

/// Whether the causes tell more than words.
fn has_kind(error: &(dyn StdError + 'static)) -> bool {
    nearest::<hyper::Error>(error).is_some() || nearest::<io::Error>(error).is_some()
}

fn io_kind(error: &io::Error) -> TransportErrorKind {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => TransportErrorKind::Closed,
        // What hyper's decoder of chunked bodies says of malformed framing.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => TransportErrorKind::Protocol,
        _ => TransportErrorKind::Io,
    }
}

/// The nearest error of type `E`: `error` itself or one of its causes.
fn nearest<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}
