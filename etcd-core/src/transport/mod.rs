//! The seam to the network: one HTTP exchange, both directions alive at once.
//!
//! [`Transport`] is all the client asks of HTTP. `etcd-http` implements it with hyper for every runtime;
//! `etcd-tokio` has one on reqwest, `contrib/surf` one on surf, and `examples/own_transport.rs` shows how
//! to bring another.

mod body;
mod error;
mod send_mark;

pub use body::{BodyFrame, RequestBody, ResponseBody};
pub use error::{Delivery, TransportError, TransportErrorKind};
pub use send_mark::SendMark;

use crate::runtime::BoxFuture;

/// Carries one HTTP exchange.
///
/// # Contract
///
/// 1. The request's URI is absolute (`scheme://authority/path`). A scheme the transport does not speak is
///    refused with [`TransportErrorKind::Unsupported`] before anything is sent.
/// 2. Method, path, headers and body are sent as given. The transport adds what HTTP itself demands (`Host`,
///    framing) and nothing else: no redirects followed, no content decoded, no cookies, no retries of what
///    may have been sent.
/// 3. A request with [`RequestBody::Stream`] is sent piece by piece as the stream yields, and the future
///    resolves as soon as the response head is there, **while the request body is still open**. Both bodies
///    then flow independently. Such requests carry `Connection: close` on HTTP/1.1 (an etcd server serves
///    full duplex only then); they get a connection of their own.
/// 4. A response body that ends before its framing says so ends in an error, never in a clean end.
/// 5. Dropping the future, or the response body, at any point abandons the exchange: the connection is closed
///    unless the exchange had already finished, and never reused half-read.
/// 6. [`TransportError::delivery`] says [`Delivery::NotSent`] only where not one byte of this request
///    reached a socket: the client retries writes on the strength of it.
///
/// 7. A request that carries [`LongLived`] among its extensions may wait for its head without end (a lock that
///    somebody else holds). It must not take up a place that other requests wait for: no limit on connections
///    or on concurrent requests applies to it.
///
/// 8. A transport may honour the [`SendMark`] among a request's extensions, and then does so to the letter of 6.
///
/// No deadline appears here: the caller races the future against its own timer and drops it.
pub trait Transport: Send + Sync + std::fmt::Debug + 'static {
    /// Sends `request` and resolves with the head of its response, the body to be read from it.
    fn exchange(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<ResponseBody>, TransportError>>;
}

/// Marks a request, in its extensions, as one whose response may take for ever; see contract 7 of
/// [`Transport`].
///
/// Without the mark, as many waiting locks as the pool has connections would keep the call that releases
/// them from ever being sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongLived;
