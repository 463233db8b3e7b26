//! A client on raw messages: what [`Transport`], the codec and the framer give, and nothing of the real client's.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_core::codec::to_json;
use etcd_core::endpoint::Endpoint;
use etcd_core::gateway::{self, Metadata};
use etcd_core::message::Watch;
use etcd_core::rpc::Request;
use etcd_core::runtime::Runtime as _;
use etcd_core::transport::{Delivery, RequestBody, ResponseBody, Transport, TransportError};
use etcd_embedded::sim::{SimHandle, World};
use futures_channel::mpsc::{UnboundedSender, unbounded};
use futures_util::future::{Either, select};
use http::Response;

/// After this much silence, another member is asked.
pub const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct RawClient {
    transport: Arc<dyn Transport>,
    pub runtime: Arc<SimHandle>,
    endpoints: Vec<Endpoint>,
    next: usize,
}

/// What is known of a call that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    NotSent,
    /// It was sent, and may have been acted on.
    Unknown,
}

/// The two directions of a stream. It stays open as long as the sender lives.
pub struct OpenStream {
    pub body: ResponseBody,
    pub _messages: UnboundedSender<Bytes>,
}

impl RawClient {
    pub fn new(world: &World, first_member: usize) -> Self {
        Self {
            transport: world.transport(),
            runtime: world.runtime(),
            endpoints: world.endpoints().iter().map(|url| url.parse().unwrap()).collect(),
            next: first_member,
        }
    }

    /// Turns to another member.
    pub fn move_on(&mut self) {
        self.next += 1;
    }

    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, Failure> {
        let message = Bytes::from(to_json(request));
        let request = gateway::request(self.endpoint(), R::RPC, message, &Metadata::default());
        let response = self.exchange(request.map(RequestBody::Full)).await?;
        let status = response.status();
        let body = response.into_body().collect(1 << 20);
        let body = self.within_patience(body).await.ok_or(Failure::Unknown)?;
        let body = body.map_err(|_| Failure::Unknown)?;
        gateway::unary_response::<R>(status, &body).map_err(|_| Failure::Unknown)
    }

    pub async fn open(&self, first: &Watch) -> Result<OpenStream, Failure> {
        let (messages, receiver) = unbounded();
        let mut line = to_json(first);
        line.push(b'\n');
        messages.unbounded_send(line.into()).unwrap();
        let head = gateway::stream_request_head(self.endpoint(), Watch::RPC, &Metadata::default());
        let request = head.map(|()| RequestBody::stream(receiver));
        let response = self.exchange(request).await?;
        Ok(OpenStream {
            body: response.into_body(),
            _messages: messages,
        })
    }

    /// What `future` yields, unless it takes too long.
    pub async fn within_patience<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let deadline = self.runtime.now() + PATIENCE;
        match select(pin!(future), self.runtime.sleep_until(deadline)).await {
            Either::Left((value, _)) => Some(value),
            Either::Right(_) => None,
        }
    }

    pub async fn sleep(&self, time: Duration) {
        self.runtime.sleep_until(self.runtime.now() + time).await;
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoints[self.next % self.endpoints.len()]
    }

    async fn exchange(&self, request: http::Request<RequestBody>) -> Result<Response<ResponseBody>, Failure> {
        let known = |error: TransportError| match error.delivery() {
            Delivery::NotSent => Failure::NotSent,
            _ => Failure::Unknown,
        };
        match self.within_patience(self.transport.exchange(request)).await {
            Some(result) => result.map_err(known),
            None => Err(Failure::Unknown),
        }
    }
}
