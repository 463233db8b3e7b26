//! A client's end of the network.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use etcd_core::runtime::{BoxFuture, Runtime as _};
use etcd_core::transport::{
    BodyFrame, Delivery, RequestBody, ResponseBody, SendMark, Transport, TransportError, TransportErrorKind,
};
use futures_core::Stream;
use http::{Request, Response};

use super::connection::{Arrived, ConnectionId, Outgoing, Phase, ToServer};
use super::{Faults, Reach};
use crate::sim::universe::Shared;

/// A [`Transport`] through the network of a [`World`](super::super::World): one client's.
///
/// Clones belong to the same client: what is done to one, is done to all.
#[derive(Clone)]
pub struct SimTransport {
    shared: Arc<Shared>,
    client: usize,
}

impl SimTransport {
    pub(in crate::sim) fn new(shared: Arc<Shared>) -> Self {
        let client = shared.act(|universe| {
            universe.net.clients.push(super::ClientSide::default());
            universe.net.clients.len() - 1
        });
        Self { shared, client }
    }

    /// Sets how bad the network is for this client, in place of what holds for all.
    pub fn set_faults(&self, faults: Faults) {
        self.shared
            .act(|universe| universe.net.clients[self.client].faults = Some(faults));
    }

    /// Breaks every connection of this client.
    pub fn cut(&self) {
        self.shared
            .act(|universe| universe.cut(|connection| connection.client == self.client));
    }

    /// Breaks every connection of this client and refuses new ones, until [`restore`](Self::restore).
    pub fn refuse(&self) {
        self.set_reach_all(Reach::Refused);
    }

    /// Lets nothing pass, and says so to nobody, until [`restore`](Self::restore); connections that live until then
    /// go on where they were.
    pub fn silence(&self) {
        self.set_reach_all(Reach::Silent);
    }

    /// As [`silence`](Self::silence), towards one member.
    pub fn silence_member(&self, member: usize) {
        self.shared
            .act(|universe| universe.set_reach(self.client, member, Reach::Silent));
    }

    /// Makes every connection of this client silent for ever; new ones are not concerned.
    pub fn black_hole(&self) {
        self.shared.act(|universe| {
            let ids: Vec<_> = universe
                .net
                .connections
                .iter()
                .filter(|(_, connection)| connection.client == self.client)
                .map(|(id, _)| *id)
                .collect();
            for id in ids {
                universe.make_black_hole(id);
            }
        });
    }

    /// Ends [`refuse`](Self::refuse), [`silence`](Self::silence) and [`silence_member`](Self::silence_member).
    pub fn restore(&self) {
        self.set_reach_all(Reach::Open);
    }

    /// The number of connections of this client that it has not closed.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.shared.act(|universe| {
            universe
                .net
                .connections
                .values()
                .filter(|connection| connection.client == self.client && !connection.is_abandoned)
                .count()
        })
    }

    fn set_reach_all(&self, reach: Reach) {
        self.shared.act(|universe| {
            for node in 0..universe.nodes.len() {
                universe.set_reach(self.client, node, reach);
            }
        });
    }
}

impl Transport for SimTransport {
    fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let refused = |kind| Err(TransportError::new(kind, Delivery::NotSent));
            if !matches!(head.uri.scheme_str(), Some("http" | "https")) {
                return refused(TransportErrorKind::Unsupported);
            }
            let mark = head.extensions.remove::<SendMark>();
            if let Some(mark) = &mark {
                mark.hold();
            }
            let host = head.uri.host().unwrap_or_default();
            let node = self
                .shared
                .act(|universe| universe.nodes.iter().position(|node| node.host == host));
            let Some(node) = node else {
                // The name does not resolve.
                return refused(TransportErrorKind::Connect);
            };
            let (full, stream) = match body {
                RequestBody::Full(bytes) => (Some(bytes), None),
                RequestBody::Stream(stream) => (None, Some(stream)),
            };
            let request = Outgoing {
                head: Box::new(Request::from_parts(head, ())),
                body: full,
            };
            let id = self
                .shared
                .act(|universe| universe.begin(self.client, node, request, mark));
            let mut incoming = Incoming {
                shared: self.shared.clone(),
                id,
            };
            if let Some(body) = stream {
                let upload = Upload {
                    shared: Arc::downgrade(&self.shared),
                    id,
                    body,
                };
                self.shared.runtime().spawn(Box::pin(upload));
            }
            let head = std::future::poll_fn(|cx| incoming.poll_head(cx)).await?;
            Ok(head.map(|()| ResponseBody::new(incoming)))
        })
    }
}

/// The response to one exchange: first its head, then the stream of its body. Dropping it abandons the exchange.
struct Incoming {
    shared: Arc<Shared>,
    id: ConnectionId,
}

impl Incoming {
    fn poll_arrived(&self, cx: &Context<'_>) -> Poll<Option<Arrived>> {
        self.shared.act(|universe| {
            let Some(connection) = universe.net.connections.get_mut(&self.id) else {
                return Poll::Ready(None);
            };
            match connection.inbox.pop_front() {
                Some(arrived) => Poll::Ready(Some(arrived)),
                None if connection.phase == Phase::Over => Poll::Ready(None),
                None => {
                    connection.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    fn poll_head(&mut self, cx: &Context<'_>) -> Poll<Result<Response<()>, TransportError>> {
        loop {
            match ready!(self.poll_arrived(cx)) {
                Some(Arrived::Head(head)) => return Poll::Ready(Ok(*head)),
                Some(Arrived::Failure(failure)) => return Poll::Ready(Err(failure.into())),
                // A member says nothing before the head.
                Some(Arrived::Data(_)) => {}
                Some(Arrived::End) | None => {
                    let kind = TransportErrorKind::Closed;
                    return Poll::Ready(Err(TransportError::new(kind, Delivery::MaybeSent)));
                }
            }
        }
    }
}

impl Stream for Incoming {
    type Item = Result<BodyFrame, TransportError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.poll_arrived(cx)) {
                Some(Arrived::Data(data)) => return Poll::Ready(Some(Ok(BodyFrame::Data(data)))),
                Some(Arrived::Failure(failure)) => return Poll::Ready(Some(Err(failure.into()))),
                Some(Arrived::Head(_)) => {}
                Some(Arrived::End) | None => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.shared.act(|universe| universe.close(self.id));
    }
}

impl From<super::connection::Failure> for TransportError {
    fn from(failure: super::connection::Failure) -> Self {
        let delivery = if failure.is_sent {
            Delivery::MaybeSent
        } else {
            Delivery::NotSent
        };
        Self::new(failure.kind, delivery)
    }
}

/// Sends a request body as it comes; ends with it, or with the exchange.
struct Upload {
    shared: Weak<Shared>,
    id: ConnectionId,
    body: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
}

/// What an upload may do.
enum Turn {
    Send,
    Wait,
    Stop,
}

impl Future for Upload {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(shared) = self.shared.upgrade() else {
                return Poll::Ready(());
            };
            let turn = shared.act(|universe| {
                let Some(connection) = universe.net.connections.get_mut(&self.id) else {
                    return Turn::Stop;
                };
                if connection.is_abandoned || connection.phase == Phase::Over {
                    return Turn::Stop;
                }
                connection.upload = Some(cx.waker().clone());
                if connection.phase == Phase::Open {
                    Turn::Send
                } else {
                    Turn::Wait
                }
            });
            match turn {
                Turn::Stop => return Poll::Ready(()),
                Turn::Wait => return Poll::Pending,
                Turn::Send => {}
            }
            let what = match ready!(self.body.as_mut().poll_next(cx)) {
                Some(data) => ToServer::Body(data),
                None => ToServer::End,
            };
            let is_over = matches!(what, ToServer::End);
            shared.act(|universe| universe.send_up(self.id, what));
            if is_over {
                return Poll::Ready(());
            }
        }
    }
}

impl fmt::Debug for SimTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTransport")
            .field("client", &self.client)
            .finish()
    }
}
