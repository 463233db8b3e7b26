//! A transport that ends in the same process.
//!
//! [`EmbeddedTransport`] takes what a client would send over HTTP to a [`Gateway`] and brings back what it answers:
//! the whole client runs, codec included, without a socket. Time is the runtime's: with one whose clock is virtual,
//! leases and tokens expire as fast as a test likes.
//!
//! Two kinds of tasks run on the runtime: one for the server's deadlines, which ends with the transport, and one for
//! each request body that is a stream, which ends with its exchange.

mod body;
mod shared;
mod tasks;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use etcd_core::runtime::{BoxFuture, Runtime};
use etcd_core::transport::{
    Delivery, RequestBody, ResponseBody, Transport, TransportError, TransportErrorKind,
};
use http::{Request, Response};

use crate::{Gateway, Server};
pub(crate) use body::Incoming;
use shared::Shared;
use tasks::{Deadlines, Upload};

/// The endpoint to give a client on an [`EmbeddedTransport`]. Any other does as well: the transport does not look at
/// where a request is to go.
pub const EMBEDDED_ENDPOINT: &str = "http://etcd.invalid:2379";

/// A [`Transport`] to a [`Server`] in the same process.
///
/// Clones share the server. When the last one is gone, and every response with it, so is the server.
#[derive(Clone)]
pub struct EmbeddedTransport {
    shared: Arc<Shared>,
    runtime: Arc<dyn Runtime>,
}

impl EmbeddedTransport {
    /// Serves `server`, on the clock of `runtime`.
    ///
    /// Create the server at [`runtime.now()`](Runtime::now), and with [`runtime.entropy()`](Runtime::entropy) for a
    /// seed unless it is to be the same every time.
    #[must_use]
    pub fn new(server: Server, runtime: Arc<dyn Runtime>) -> Self {
        let shared = Arc::new(Shared::new(Gateway::new(server)));
        let deadlines = Deadlines::new(&shared, runtime.clone());
        runtime.spawn(Box::pin(deadlines));
        Self { shared, runtime }
    }

    /// The runtime whose clock the server runs on.
    #[must_use]
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }

    /// Looks at the server, for instance for watches that a client left behind.
    ///
    /// Nothing else of the transport may be used within `look`: it would wait for itself.
    pub fn inspect<T>(&self, look: impl FnOnce(&Server) -> T) -> T {
        self.shared.with(|gateway| look(gateway.server()))
    }

    /// Begins an exchange whose body is fed by hand.
    #[cfg(feature = "listen")]
    pub(crate) fn begin(&self, head: &Request<()>) -> Incoming {
        Incoming::begin(&self.shared, &self.runtime, head)
    }

    /// Ends every exchange as a server does that was asked to end.
    #[cfg(feature = "listen")]
    pub(crate) fn shut_down(&self) {
        self.shared.shut_down(self.runtime.now());
    }
}

impl Transport for EmbeddedTransport {
    fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            if !matches!(head.uri.scheme_str(), Some("http" | "https")) {
                return Err(TransportError::new(
                    TransportErrorKind::Unsupported,
                    Delivery::NotSent,
                ));
            }
            let head = Request::from_parts(head, ());
            let mut incoming = Incoming::begin(&self.shared, &self.runtime, &head);
            match body {
                RequestBody::Full(bytes) => {
                    incoming.feed(&bytes);
                    incoming.feed_end();
                }
                RequestBody::Stream(stream) => {
                    let upload = Upload::new(&self.shared, self.runtime.clone(), incoming.id(), stream);
                    self.runtime.spawn(Box::pin(upload));
                }
            }
            let head = poll_fn(|cx| incoming.poll_head(cx)).await;
            Ok(head.map(|()| ResponseBody::new(incoming)))
        })
    }
}

impl fmt::Debug for EmbeddedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmbeddedTransport")
    }
}
