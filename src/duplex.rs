//! A stream that carries messages both ways.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use etcd_core::endpoint::Endpoint;
use etcd_core::error::Result;
use etcd_core::machine::TokenGeneration;
use etcd_core::rpc::Request;
use futures_channel::mpsc::UnboundedSender;

use crate::call::CallOptions;
use crate::client::{Shared, lock};
use crate::exchange;
use crate::messages::Messages;

/// Requests out, answers in, on one connection, until either side ends it. Dropping it closes the connection.
pub(crate) struct Duplex<R: Request> {
    shared: Arc<Shared>,
    requests: UnboundedSender<Bytes>,
    messages: Messages<R>,
    token: TokenGeneration,
}

impl<R: Request> Duplex<R> {
    /// Opens it at the first endpoint that answers `first` within `timeout`, as any call is made: with a login if
    /// there has to be one, and with pauses between attempts.
    ///
    /// No server answers before it has got a message that it answers, so that `first` has to be such a one.
    ///
    /// # Errors
    ///
    /// As a call that may be repeated: what nothing can mend, at once; everything else when time is up. A
    /// [`Timeout`](etcd_core::error::Timeout) for the response may mean that something between here and the server
    /// holds requests back until they are complete: then one exchange for each message still works.
    pub(crate) async fn open(shared: &Arc<Shared>, first: &R, timeout: Duration) -> Result<Self> {
        let options = CallOptions {
            timeout: Some(timeout),
            ..CallOptions::default()
        };
        let answer = exchange::duplex(shared, first, &options).await?;
        let (requests, body) = answer.content;
        Ok(Self {
            shared: shared.clone(),
            requests,
            messages: Messages::new(shared.clone(), answer.endpoint, body),
            token: answer.token,
        })
    }

    /// Sends a message. What is sent on a stream that has ended is lost, as [`poll_next`](Self::poll_next) tells.
    pub(crate) fn send(&self, request: &R) {
        let _ = self.requests.unbounded_send(exchange::line(request));
    }

    /// The next answer; see [`Messages::poll_endless`].
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<R::Response>> {
        self.messages.poll_endless(cx)
    }

    /// Who is at the other end.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.messages.endpoint()
    }

    /// The token it was opened with.
    pub(crate) fn token(&self) -> TokenGeneration {
        self.token
    }

    /// See [`Messages::received`].
    pub(crate) fn received(&self) -> u64 {
        self.messages.received()
    }

    /// Takes note that the endpoint failed, so that the next call, of anyone, goes to another.
    pub(crate) fn handle_endpoint_failed(&self) {
        lock(&self.shared.ring).handle_failure(self.endpoint());
    }

    /// Takes note that the server no longer accepts the token this was opened with: the next call logs in.
    pub(crate) fn handle_stale_token(&self) {
        lock(&self.shared.session).handle_stale(self.token);
    }
}
