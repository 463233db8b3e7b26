//! The messages of a stream, as they arrive.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use etcd_core::endpoint::Endpoint;
use etcd_core::error::{Error, Result};
use etcd_core::gateway::StreamDecoder;
use etcd_core::rpc::Request;
use etcd_core::transport::{BodyFrame, Delivery, ResponseBody, TransportError, TransportErrorKind};
use futures_core::Stream;

use crate::client::{Shared, lock};

/// The messages that answer an `R`, decoded from the body they come in and compared with the cluster known so far.
///
/// Dropping it closes the connection.
pub(crate) struct Messages<R: Request> {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    decoder: StreamDecoder<R>,
    /// `None` after the end.
    body: Option<ResponseBody>,
    received: u64,
}

impl<R: Request> Messages<R> {
    pub(crate) fn new(shared: Arc<Shared>, endpoint: Endpoint, body: ResponseBody) -> Self {
        let decoder = StreamDecoder::with_max_line(shared.settings.max_response_bytes);
        Self {
            shared,
            endpoint,
            decoder,
            body: Some(body),
            received: 0,
        }
    }

    /// Who sends them.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How many bytes have come: more of them are a sign of life, even if they do not make a message yet.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The next message; `None` at an end that the server gave no reason for, which need not be a good one: gateways
    /// end a stream in the same way when its server goes down.
    ///
    /// Nothing follows an error.
    ///
    /// # Errors
    ///
    /// What broke the connection, the error the server ended the stream with, a message that is none, or
    /// [`ErrorKind::ClusterChanged`](crate::ErrorKind::ClusterChanged).
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<R::Response>>> {
        let result = ready!(self.poll_message(cx));
        if result.is_err() {
            self.close();
        }
        Poll::Ready(result.map_err(|error| self.describe(error)).transpose())
    }

    /// The next message of a stream that only its client ends: an end without a reason is an error too.
    ///
    /// # Errors
    ///
    /// As [`poll_next`](Self::poll_next).
    pub(crate) fn poll_endless(&mut self, cx: &mut Context<'_>) -> Poll<Result<R::Response>> {
        self.poll_next(cx).map(|next| {
            next.unwrap_or_else(|| {
                let closed = TransportError::new(TransportErrorKind::Closed, Delivery::MaybeSent);
                Err(self.describe(closed.into()))
            })
        })
    }

    /// Closes the connection: nothing follows.
    pub(crate) fn close(&mut self) {
        self.body = None;
        self.decoder = StreamDecoder::new();
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<R::Response>>> {
        loop {
            if let Some(message) = self.decoder.poll_message() {
                let message = message.map_err(Error::from)?;
                lock(&self.shared.guard).handle_header(R::header(&message), None)?;
                return Poll::Ready(Ok(Some(message)));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(Ok(None));
            };
            match ready!(Pin::new(body).poll_next(cx)) {
                Some(frame) => {
                    if let BodyFrame::Data(chunk) = frame? {
                        self.received += chunk.len() as u64;
                        self.decoder.handle_chunk(chunk);
                    }
                }
                None => {
                    self.body = None;
                    // The line that says why may end with the body.
                    self.decoder.handle_end();
                }
            }
        }
    }

    fn describe(&self, error: Error) -> Error {
        error
            .with_rpc(R::RPC.name, R::RPC.retry)
            .with_endpoint(&self.endpoint.to_string())
    }
}
