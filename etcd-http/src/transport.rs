//! The transport: one exchange from its request to the body of its response.

use std::fmt;
use std::sync::Arc;

use etcd_core::runtime::{BoxFuture, Runtime};
use etcd_core::transport::{RequestBody, ResponseBody, SendMark, Transport, TransportError};
use futures_util::future::{AbortHandle, Abortable};
use http::{Request, Response};

use crate::body::{AbortOnDrop, DrivenBody, DuplexBody, Outgoing};
use crate::connection::Connection;
use crate::dial::dial;
use crate::pool::{Endpoint, Pool};
use crate::request::{self, Need, Prepared};
use crate::{Connect, HttpConfig};

/// HTTP/1.1 over whatever `C` connects; see [`Transport`] for what it promises.
///
/// The adapters construct it: `TokioRuntime::transport`, `AsyncStdRuntime::transport`, `SmolRuntime::transport`.
/// It holds the pool: share one, in an `Arc`, rather than make several.
pub struct HttpTransport<C: Connect> {
    connector: C,
    runtime: Arc<dyn Runtime>,
    config: HttpConfig,
    pool: Pool<C::Io>,
}

impl<C: Connect> HttpTransport<C> {
    /// A transport without connections: they are opened as requests need them.
    ///
    /// `connector` opens them; `runtime` times them out, closes idle ones and drives those with streamed bodies.
    pub fn new(connector: C, runtime: Arc<dyn Runtime>, config: HttpConfig) -> Self {
        Self {
            connector,
            pool: Pool::new(config.pool.clone(), runtime.clone()),
            runtime,
            config,
        }
    }

    async fn connect(&self, endpoint: &Endpoint<C::Io>) -> Result<Connection<C::Io>, TransportError> {
        let (host, port) = (&endpoint.host, endpoint.port);
        let io = dial(&self.connector, &*self.runtime, host, port, &self.config).await?;
        Connection::open(io, self.config.head_limit).await
    }

    /// On a connection of the pool.
    async fn pooled(
        &self,
        endpoint: Arc<Endpoint<C::Io>>,
        mut request: Request<Outgoing>,
        mark: &Mark,
    ) -> Result<Response<ResponseBody>, TransportError> {
        let place = endpoint.place().await;
        while let Some(mut connection) = place.endpoint().take_idle() {
            mark.sent();
            match connection.send(request).await {
                Ok(response) => {
                    return Ok(response
                        .map(|body| DrivenBody::new(body, connection, Some(place)))
                        .map(ResponseBody::new));
                }
                // The peer had closed it meanwhile, and not a byte was written: as if it had never been there.
                Err(failure) => request = failure.into_unsent()?,
            }
            mark.hold();
        }
        let mut connection = self.connect(place.endpoint()).await?;
        mark.sent();
        match connection.send(request).await {
            Ok(response) => Ok(response
                .map(|body| DrivenBody::new(body, connection, Some(place)))
                .map(ResponseBody::new)),
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// On a connection of its own, outside every limit.
    async fn alone(
        &self,
        endpoint: &Endpoint<C::Io>,
        request: Request<Outgoing>,
        mark: &Mark,
    ) -> Result<Response<ResponseBody>, TransportError> {
        let mut connection = self.connect(endpoint).await?;
        mark.sent();
        match connection.send(request).await {
            Ok(response) => {
                Ok(response.map(|body| ResponseBody::new(DrivenBody::new(body, connection, None))))
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    /// On a connection of its own that a task drives, so that both bodies flow whoever is waiting for what.
    async fn duplex(
        &self,
        endpoint: &Endpoint<C::Io>,
        request: Request<Outgoing>,
        mark: &Mark,
    ) -> Result<Response<ResponseBody>, TransportError> {
        let connection = self.connect(endpoint).await?;
        mark.sent();
        let (response, driver) = connection.split(request);
        let (abort, registration) = AbortHandle::new_pair();
        let task = AbortOnDrop(abort);
        if let Some(driver) = driver {
            self.runtime.spawn(Box::pin(async move {
                // Aborted or ended: either way the socket closes and the request body is dropped here. An error
                // has gone to the response or its body.
                let _ = Abortable::new(driver, registration).await;
            }));
        }
        match response.await {
            Ok(response) => Ok(response.map(|body| ResponseBody::new(DuplexBody::new(body, task)))),
            Err(failure) => Err(failure.into_error()),
        }
    }
}

impl<C: Connect> Transport for HttpTransport<C> {
    fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        Box::pin(async move {
            let Prepared {
                authority,
                need,
                mut request,
            } = request::prepare(request)?;
            let endpoint = self.pool.endpoint(&authority)?;
            request::set_host(&mut request, &endpoint.host_header);
            let mark = Mark(request.extensions_mut().remove::<SendMark>());
            mark.hold();
            match need {
                Need::Place => self.pooled(endpoint, request, &mark).await,
                Need::Own => self.alone(&endpoint, request, &mark).await,
                Need::Duplex => self.duplex(&endpoint, request, &mark).await,
            }
        })
    }
}

/// The mark of a request that has one.
struct Mark(Option<SendMark>);

impl Mark {
    fn hold(&self) {
        if let Some(mark) = &self.0 {
            mark.hold();
        }
    }

    fn sent(&self) {
        if let Some(mark) = &self.0 {
            mark.sent();
        }
    }
}

impl<C: Connect> fmt::Debug for HttpTransport<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("connector", &self.connector)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
