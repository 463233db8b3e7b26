//! Bodies of requests and responses, as streams of byte slices.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderMap;

use super::{Delivery, TransportError, TransportErrorKind};

/// The body of a request.
pub enum RequestBody {
    /// Complete; sent with a `Content-Length`.
    Full(Bytes),
    /// Produced while the exchange runs; sent chunked, one chunk an item. Its end ends the request body.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl RequestBody {
    /// A body that is sent as `stream` yields it.
    pub fn stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self::Stream(Box::pin(stream))
    }
}

impl<T: Into<Bytes>> From<T> for RequestBody {
    fn from(bytes: T) -> Self {
        Self::Full(bytes.into())
    }
}

impl fmt::Debug for RequestBody {
    // Bodies hold keys, values and passwords: never print them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// One piece of a response body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BodyFrame {
    /// Bytes, cut wherever the network cut them: never a message boundary.
    Data(Bytes),
    /// The trailers; nothing follows.
    Trailers(HeaderMap),
}

/// The body of a response: a stream of [`BodyFrame`]s.
///
/// Dropping it before its end abandons the exchange and closes the connection.
pub struct ResponseBody(Pin<Box<dyn Stream<Item = Result<BodyFrame, TransportError>> + Send>>);

impl ResponseBody {
    /// A body that yields what `frames` yields.
    pub fn new(frames: impl Stream<Item = Result<BodyFrame, TransportError>> + Send + 'static) -> Self {
        Self(Box::pin(frames))
    }

    /// The next piece, `None` at the clean end of the body.
    ///
    /// Cancel safe: a dropped future has taken nothing from the body.
    ///
    /// # Errors
    ///
    /// Whatever broke the exchange; a body cut short is an error, not an end.
    pub fn next_frame(
        &mut self,
    ) -> impl Future<Output = Option<Result<BodyFrame, TransportError>>> + Send + '_ {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx))
    }

    /// Reads to the end and returns all data as one buffer; trailers are dropped.
    ///
    /// Not cancel safe: a dropped future has lost what it had read.
    ///
    /// # Errors
    ///
    /// Whatever broke the exchange, or [`TransportErrorKind::BodyTooLarge`] as soon as more than `limit`
    /// bytes have arrived, whatever the head announced.
    pub fn collect(mut self, limit: usize) -> impl Future<Output = Result<Bytes, TransportError>> + Send {
        let mut collected = Collected::default();
        poll_fn(move |cx| {
            while let Some(frame) = ready!(Pin::new(&mut self).poll_next(cx)) {
                if let BodyFrame::Data(data) = frame? {
                    collected.push(data, limit)?;
                }
            }
            Poll::Ready(Ok(std::mem::take(&mut collected).into_bytes()))
        })
    }
}

/// Joins pieces; a body that comes in one piece, as most do, is handed on without a copy.
#[derive(Default)]
struct Collected {
    first: Bytes,
    joined: BytesMut,
}

impl Collected {
    fn push(&mut self, data: Bytes, limit: usize) -> Result<(), TransportError> {
        if self.first.len() + self.joined.len() + data.len() > limit {
            return Err(TransportError::new(
                TransportErrorKind::BodyTooLarge,
                Delivery::MaybeSent,
            ));
        }
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = data;
        } else {
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
            self.joined.extend_from_slice(&data);
        }
        Ok(())
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() {
            self.first
        } else {
            self.joined.freeze()
        }
    }
}

impl Stream for ResponseBody {
    type Item = Result<BodyFrame, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl<T: Into<Bytes>> From<T> for ResponseBody {
    fn from(bytes: T) -> Self {
        Self::new(Once(Some(bytes.into())))
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}

/// A stream of one frame.
struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = Result<BodyFrame, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(BodyFrame::Data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use super::*;

    struct Pieces(VecDeque<Result<BodyFrame, TransportError>>);

    impl Stream for Pieces {
        type Item = Result<BodyFrame, TransportError>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.pop_front())
        }
    }

    fn body(pieces: &[&'static [u8]]) -> ResponseBody {
        let frames = pieces
            .iter()
            .map(|piece| Ok(BodyFrame::Data(Bytes::from_static(piece))));
        ResponseBody::new(Pieces(
            frames
                .chain([Ok(BodyFrame::Trailers(HeaderMap::new()))])
                .collect(),
        ))
    }

    fn collect(body: ResponseBody, limit: usize) -> Result<Bytes, TransportError> {
        let mut future = Box::pin(body.collect(limit));
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("a ready stream made the collector wait"),
        }
    }

    #[test]
    fn collect_joins_pieces_and_ignores_trailers() {
        assert_eq!(collect(body(&[]), 0).unwrap(), "");
        assert_eq!(collect(body(&[b"abc"]), 3).unwrap(), "abc");
        assert_eq!(collect(body(&[b"a", b"", b"bc", b"d"]), 4).unwrap(), "abcd");
    }

    #[test]
    fn collect_refuses_one_byte_over_the_limit() {
        let error = collect(body(&[b"ab", b"cd"]), 3).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::BodyTooLarge);
        assert_eq!(error.delivery(), Delivery::MaybeSent);
    }

    #[test]
    fn request_body_does_not_print_its_bytes() {
        assert_eq!(format!("{:?}", RequestBody::from("secret")), "Full(6 bytes)");
    }
}
