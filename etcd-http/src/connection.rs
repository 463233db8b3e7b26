//! One HTTP/1.1 connection, driven by whoever uses it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use etcd_core::transport::{Delivery, TransportError, TransportErrorKind};
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::body::Outgoing;
use crate::failure;
use crate::turn::Turns;

/// hyper's side of a connection: reads, writes, and ends when the connection does.
///
/// Boxed, because a connection is handed on several times an exchange and hyper's state is large.
pub(crate) type Driver<I> = Box<http1::Connection<Wire<I>, Outgoing>>;

/// An open connection. Dropping it closes the socket.
pub(crate) struct Connection<I: Read + Write + Unpin + 'static> {
    sender: SendRequest<Outgoing>,
    /// `None` once the connection has ended; dropping it is what makes hyper give back an unsent request.
    driver: Option<Driver<I>>,
    wrote: Arc<AtomicBool>,
    turns: Turns,
}

/// Why a request got no response.
pub(crate) struct SendFailure {
    error: TransportError,
    /// The request, if hyper had not begun to write it.
    unsent: Option<Request<Outgoing>>,
}

impl<I: Read + Write + Unpin + 'static> Connection<I> {
    /// Begins to speak HTTP on `io`; nothing is sent yet.
    pub(crate) async fn open(io: I, head_limit: usize) -> Result<Self, TransportError> {
        let wrote = Arc::new(AtomicBool::new(false));
        let wire = Wire {
            io,
            wrote: wrote.clone(),
        };
        let opened = http1::Builder::new()
            .max_header_size(head_limit)
            .handshake(wire)
            .await;
        let (sender, driver) = opened.map_err(|error| failure::from_hyper(error, Delivery::NotSent))?;
        Ok(Self {
            sender,
            driver: Some(Box::new(driver)),
            wrote,
            turns: Turns::new(),
        })
    }

    /// Sends `request` and drives the connection until the head of the response is there.
    pub(crate) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, SendFailure> {
        self.wrote.store(false, Ordering::Relaxed);
        let mut response = pin!(self.sender.try_send_request(request));
        let (driver, turns) = (&mut self.driver, &self.turns);
        let outcome = poll_fn(|cx| {
            turns.take(cx, |cx| {
                drive(driver, cx);
                match response.as_mut().poll(cx) {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending if driver.is_none() => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
        });
        match outcome.await {
            Some(outcome) => outcome.map_err(|failure| SendFailure::new(failure, &self.wrote)),
            None => Err(SendFailure {
                error: TransportError::new(TransportErrorKind::Closed, delivery(&self.wrote)),
                unsent: None,
            }),
        }
    }

    /// The next frame of `incoming`, the body of this connection's response.
    pub(crate) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let driver = &mut self.driver;
        self.turns.take(cx, |cx| {
            // What has arrived already needs no system call.
            if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) {
                return Poll::Ready(frame);
            }
            drive(driver, cx);
            Pin::new(&mut *incoming).poll_frame(cx)
        })
    }

    /// Notices, without waiting, what has happened to a connection that nobody uses.
    pub(crate) fn check(&mut self) {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
    }

    /// To be called when the connection is left to wait for its next user.
    pub(crate) fn rest(&self) {
        self.turns.forget_task();
    }

    /// Whether the last exchange is over, in both directions, and the next may begin.
    pub(crate) fn is_idle(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends `request`, while the driver that is returned as well runs elsewhere.
    pub(crate) fn split(
        mut self,
        request: Request<Outgoing>,
    ) -> (
        impl Future<Output = Result<Response<Incoming>, SendFailure>>,
        Option<Driver<I>>,
    ) {
        let response = self.sender.try_send_request(request);
        let driver = self.driver.take();
        let response = async move {
            // The sender lives until the head is there; dropped earlier it would close the connection.
            let outcome = response
                .await
                .map_err(|failure| SendFailure::new(failure, &self.wrote));
            drop(self.sender);
            outcome
        };
        (response, driver)
    }
}

fn drive<I: Read + Write + Unpin + 'static>(driver: &mut Option<Driver<I>>, cx: &mut Context<'_>) {
    if let Some(running) = driver {
        // Its error, if any, has gone to the response or its body already.
        if Pin::new(running).poll(cx).is_ready() {
            *driver = None;
        }
    }
}

impl SendFailure {
    fn new(mut failure: TrySendError<Request<Outgoing>>, wrote: &AtomicBool) -> Self {
        let unsent = failure.take_message();
        let delivery = if unsent.is_some() {
            Delivery::NotSent
        } else {
            delivery(wrote)
        };
        Self {
            error: failure::from_hyper(failure.into_error(), delivery),
            unsent,
        }
    }

    /// The request, to be sent on another connection, or else the error to report.
    pub(crate) fn into_unsent(self) -> Result<Request<Outgoing>, TransportError> {
        self.unsent.ok_or(self.error)
    }

    pub(crate) fn into_error(self) -> TransportError {
        self.error
    }
}

fn delivery(wrote: &AtomicBool) -> Delivery {
    if wrote.load(Ordering::Relaxed) {
        Delivery::MaybeSent
    } else {
        Delivery::NotSent
    }
}

/// A byte stream that remembers whether anything was written to it.
///
/// hyper gives a request back only if it has not begun to encode it; that a socket refused its very first byte
/// shows here alone.
pub(crate) struct Wire<I> {
    io: I,
    wrote: Arc<AtomicBool>,
}

impl<I> Wire<I> {
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(1..)) = written {
            self.wrote.store(true, Ordering::Relaxed);
        }
        written
    }
}

impl<I: Read + Unpin> Read for Wire<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl<I: Write + Unpin> Write for Wire<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
