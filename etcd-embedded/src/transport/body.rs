//! A response on its way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use etcd_core::runtime::Runtime;
use etcd_core::transport::{BodyFrame, TransportError};
use futures_core::Stream;
use http::{Request, Response};

use super::shared::Shared;
use crate::{ExchangeId, GatewayEvent};

/// The response to one exchange: first its head, then the stream of its body. Dropping it abandons the exchange.
pub(crate) struct Incoming {
    shared: Arc<Shared>,
    runtime: Arc<dyn Runtime>,
    id: ExchangeId,
}

impl Incoming {
    pub(super) fn begin(shared: &Arc<Shared>, runtime: &Arc<dyn Runtime>, head: &Request<()>) -> Self {
        let id = shared.begin(runtime.now(), head);
        Self {
            shared: shared.clone(),
            runtime: runtime.clone(),
            id,
        }
    }

    pub(super) fn id(&self) -> ExchangeId {
        self.id
    }

    pub(crate) fn feed(&self, data: &[u8]) {
        self.shared.feed(self.runtime.now(), self.id, data);
    }

    pub(crate) fn feed_end(&self) {
        self.shared.feed_end(self.runtime.now(), self.id);
    }

    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Response<()>> {
        loop {
            match ready!(self.shared.poll_event(cx, self.id)) {
                Some(GatewayEvent::Head(head)) => return Poll::Ready(head),
                // A gateway says nothing before the head, and does not forget who asks.
                Some(GatewayEvent::Data(_) | GatewayEvent::End) => {}
                None => return Poll::Pending,
            }
        }
    }
}

impl Stream for Incoming {
    type Item = Result<BodyFrame, TransportError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.shared.poll_event(cx, self.id)) {
                Some(GatewayEvent::Data(data)) => return Poll::Ready(Some(Ok(BodyFrame::Data(data)))),
                Some(GatewayEvent::Head(_)) => {}
                Some(GatewayEvent::End) => {
                    self.shared.disconnect(self.runtime.now(), self.id);
                    return Poll::Ready(None);
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.shared.disconnect(self.runtime.now(), self.id);
    }
}
