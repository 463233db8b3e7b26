//! Bodies: of requests, as hyper takes them; of responses, as they hold on to their connection.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use etcd_core::transport::{BodyFrame, Delivery, TransportError};
use futures_core::Stream;
use futures_util::future::AbortHandle;
use http::Method;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};

use crate::connection::Connection;
use crate::failure;
use crate::pool::Place;

type Item = Option<Result<BodyFrame, TransportError>>;

/// The body of a request on its way to hyper.
pub(crate) enum Outgoing {
    /// None at all, not even a `Content-Length`.
    Absent,
    /// In one piece; `None` once handed over.
    Whole(Option<Bytes>),
    /// One chunk an item.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl Outgoing {
    pub(crate) fn whole(method: &Method, bytes: Bytes) -> Self {
        // RFC 9110, section 8.6: where the method gives a body no meaning, an empty one is not announced.
        if bytes.is_empty() && matches!(*method, Method::GET | Method::HEAD) {
            Self::Absent
        } else {
            Self::Whole(Some(bytes))
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(match &mut *self {
            Self::Absent => None,
            Self::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Self::Stream(stream) => ready!(stream.as_mut().poll_next(cx)).map(|bytes| Ok(Frame::data(bytes))),
        })
    }

    fn is_end_stream(&self) -> bool {
        // A whole body that is empty is not at its end before it is taken: its length, 0, has to be sent.
        matches!(self, Self::Absent | Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Absent | Self::Whole(None) => SizeHint::with_exact(0),
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// A response body that drives its connection itself, and leaves it to the pool at its clean end.
pub(crate) struct DrivenBody<I: Read + Write + Unpin + Send + 'static> {
    incoming: Incoming,
    /// `None` once the body has ended, well or badly.
    live: Option<Live<I>>,
}

struct Live<I: Read + Write + Unpin + Send + 'static> {
    connection: Connection<I>,
    /// Without a place the connection is closed at the end of the body.
    place: Option<Place<I>>,
}

impl<I: Read + Write + Unpin + Send + 'static> DrivenBody<I> {
    pub(crate) fn new(incoming: Incoming, connection: Connection<I>, place: Option<Place<I>>) -> Self {
        let mut body = Self {
            incoming,
            live: Some(Live { connection, place }),
        };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    /// The response is complete: let the next request have the connection, if it is fit for one.
    fn finish(&mut self) {
        let Some(Live {
            mut connection,
            place,
        }) = self.live.take()
        else {
            return;
        };
        let Some(place) = place else {
            return;
        };
        if !connection.is_idle() {
            // The end of the request may still wait to be noticed, but not for anything to arrive.
            connection.poll_drive(&mut Context::from_waker(Waker::noop()));
        }
        if connection.is_idle() {
            place.park(connection);
        }
    }
}

impl<I: Read + Write + Unpin + Send + 'static> Stream for DrivenBody<I> {
    type Item = Result<BodyFrame, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Item> {
        let mut driven = false;
        loop {
            let this = &mut *self;
            let Some(live) = &mut this.live else {
                return Poll::Ready(None);
            };
            // What arrives here comes from the driver alone, which is polled below: no waker of ours is needed.
            let frame = Pin::new(&mut this.incoming).poll_frame(&mut Context::from_waker(Waker::noop()));
            match frame {
                Poll::Ready(Some(Ok(frame))) => {
                    if this.incoming.is_end_stream() {
                        this.finish();
                    }
                    if let Some(frame) = body_frame(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    this.live = None;
                    return Poll::Ready(Some(Err(failure::from_hyper(error, Delivery::MaybeSent))));
                }
                Poll::Ready(None) => this.finish(),
                Poll::Pending if driven => return Poll::Pending,
                Poll::Pending => {
                    live.connection.poll_drive(cx);
                    driven = true;
                }
            }
        }
    }
}

/// A response body whose connection runs in a task of its own, and ends with it.
pub(crate) struct DuplexBody {
    incoming: Incoming,
    /// `None` once the body has ended.
    task: Option<AbortOnDrop>,
}

/// Ends a task when dropped.
pub(crate) struct AbortOnDrop(pub(crate) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl DuplexBody {
    pub(crate) fn new(incoming: Incoming, task: AbortOnDrop) -> Self {
        let task = (!incoming.is_end_stream()).then_some(task);
        Self { incoming, task }
    }
}

impl Stream for DuplexBody {
    type Item = Result<BodyFrame, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Item> {
        while self.task.is_some() {
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(frame) = body_frame(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Some(Err(error)) => {
                    self.task = None;
                    return Poll::Ready(Some(Err(failure::from_hyper(error, Delivery::MaybeSent))));
                }
                None => self.task = None,
            }
        }
        Poll::Ready(None)
    }
}

/// `None` for a kind of frame that does not exist yet.
fn body_frame(frame: Frame<Bytes>) -> Option<BodyFrame> {
    match frame.into_data() {
        Ok(data) => Some(BodyFrame::Data(data)),
        Err(frame) => frame.into_trailers().ok().map(BodyFrame::Trailers),
    }
}
