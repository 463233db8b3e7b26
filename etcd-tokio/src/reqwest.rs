//! A transport on a [`reqwest::Client`] that the application has configured.

use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use etcd_core::runtime::BoxFuture;
use etcd_core::transport::{
    BodyFrame, Delivery, RequestBody, ResponseBody, Transport, TransportError, TransportErrorKind,
};
use futures_util::Stream;
use futures_util::stream::{AbortHandle, Abortable};
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame};

/// Sends every request through a [`reqwest::Client`], with its proxies, its TLS and its pool.
///
/// ```
/// use etcd_tokio::ReqwestTransport;
///
/// let client = reqwest::Client::builder()
///     .redirect(reqwest::redirect::Policy::none())
///     .retry(reqwest::retry::never())
///     .connect_timeout(std::time::Duration::from_secs(5))
///     .build()?;
/// let transport = ReqwestTransport::new(client);
/// # let _ = transport;
/// # Ok::<(), reqwest::Error>(())
/// ```
///
/// Exchanges are full duplex here too: the head arrives while the request body is open. What reqwest does not give,
/// or only if its client is built as above:
///
/// - [`Delivery::NotSent`] is known where no connection came about, and nowhere else. A write on a kept-alive
///   connection that the server had closed counts as "may have been sent" more often than with `etcd-http`.
/// - A client follows redirects unless told not to, and turns a POST into a GET on the way.
/// - A client with an overall `timeout` ends every watch at it. Set `connect_timeout` instead.
/// - reqwest adds `Accept: */*`, and decodes bodies if its features `gzip` and the like are on.
/// - A response body that is dropped unread closes its connection only if more of it was to come.
/// - A limit on connections does not exist, nor one on response heads below hyper's own, some 400 KiB.
#[derive(Clone, Debug)]
pub struct ReqwestTransport {
    client: reqwest::Client,
}

impl ReqwestTransport {
    /// A transport on `client`, sharing its connections with whoever else uses it.
    #[must_use]
    pub const fn new(client: reqwest::Client) -> Self {
        Self { client }
    }
}

impl Transport for ReqwestTransport {
    fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        Box::pin(async move {
            check(request.uri())?;
            let (mut head, body) = request.into_parts();
            let (body, end) = match body {
                RequestBody::Full(bytes) => (reqwest::Body::from(bytes), None),
                RequestBody::Stream(stream) => {
                    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
                    let (end, registration) = AbortHandle::new_pair();
                    let chunks = Chunks(Mutex::new(Abortable::new(stream, registration)));
                    (reqwest::Body::wrap(chunks), Some(EndOnDrop(end)))
                }
            };
            let request = reqwest::Request::try_from(Request::from_parts(head, body)).map_err(unsupported)?;
            let response: Response<reqwest::Body> =
                self.client.execute(request).await.map_err(failure)?.into();
            Ok(response.map(|body| ResponseBody::new(Frames { body, end })))
        })
    }
}

/// reqwest would try a scheme that is not HTTP's, and send user information as a header.
fn check(uri: &Uri) -> Result<(), TransportError> {
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(unsupported("the URI's scheme is neither http nor https"));
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            Err(unsupported("the URI carries user information"))
        }
        _ => Ok(()),
    }
}

fn unsupported(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TransportError {
    TransportError::new(TransportErrorKind::Unsupported, Delivery::NotSent).with_source(why)
}

fn failure(error: reqwest::Error) -> TransportError {
    let (kind, delivery) = match (error.is_connect(), error.is_timeout()) {
        (true, true) => (TransportErrorKind::ConnectTimeout, Delivery::NotSent),
        (true, false) => (TransportErrorKind::Connect, Delivery::NotSent),
        (false, _) => (etcd_http::error_kind(&error), Delivery::MaybeSent),
    };
    // The URL stays out of the message: whoever made the request knows it.
    TransportError::new(kind, delivery).with_source(error.without_url())
}

/// Ends the request body with the exchange.
struct EndOnDrop(AbortHandle);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A streamed request body. The mutex is never locked: it makes the stream `Sync`, as reqwest wants it.
struct Chunks(Mutex<Abortable<Pin<Box<dyn Stream<Item = Bytes> + Send>>>>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let stream = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        Poll::Ready(match ready!(Pin::new(&mut *stream).poll_next(cx)) {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            // In good order it must not end: the server would take it for a complete request.
            None if stream.is_aborted() => Some(Err(io::Error::other("the exchange was abandoned"))),
            None => None,
        })
    }
}

/// A response body.
struct Frames {
    body: reqwest::Body,
    end: Option<EndOnDrop>,
}

impl Stream for Frames {
    type Item = Result<BodyFrame, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let item = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data().map_err(Frame::into_trailers) {
                    Ok(data) => Some(Ok(BodyFrame::Data(data))),
                    Err(Ok(trailers)) => Some(Ok(BodyFrame::Trailers(trailers))),
                    Err(Err(_)) => continue,
                },
                Some(Err(error)) => Some(Err(failure(error))),
                None => None,
            };
            if !matches!(item, Some(Ok(_))) {
                self.end = None;
            }
            return Poll::Ready(item);
        }
    }
}
