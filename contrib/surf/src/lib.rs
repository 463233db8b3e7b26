//! anyetcd's transport on [surf](https://docs.rs/surf), over async-std.
//!
//! A demonstration that the seam takes a foreign HTTP client in one `impl`; `README.md` lists what this one cannot
//! do. For async-std in earnest there is `etcd-async-std`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_std::io::Read;
use bytes::Bytes;
use etcd_core::runtime::BoxFuture;
use etcd_core::transport::{
    BodyFrame, Delivery, RequestBody, ResponseBody, Transport, TransportError, TransportErrorKind,
};
use futures_core::Stream;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};

/// So much of a response body is read at once.
const READ_SIZE: usize = 16 * 1024;

/// A [`Transport`] that sends each request with surf, on a connection of its own.
#[derive(Debug)]
pub struct SurfTransport {
    client: surf::Client,
}

impl SurfTransport {
    /// Without keep-alive: surf's pool takes back connections that were abandoned half-read.
    ///
    /// # Errors
    ///
    /// Whatever surf finds wrong with its own configuration.
    pub fn new() -> Result<Self, TransportError> {
        let config = surf::Config::new().set_http_keep_alive(false).set_timeout(None);
        let client = surf::Client::try_from(config).map_err(|error| {
            TransportError::new(TransportErrorKind::Unsupported, Delivery::NotSent).with_source(error)
        })?;
        Ok(Self { client })
    }
}

impl Transport for SurfTransport {
    fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        Box::pin(async move {
            let request = to_surf(request)?;
            let response = self.client.send(request).await.map_err(|error| failure(&error))?;
            from_surf(response)
        })
    }
}

fn to_surf(request: Request<RequestBody>) -> Result<surf::Request, TransportError> {
    let (head, body) = request.into_parts();
    if head.uri.scheme() != Some(&http::uri::Scheme::HTTP) {
        return Err(unsupported("only absolute URIs with the scheme http"));
    }
    let RequestBody::Full(body) = body else {
        // surf writes the whole request before it reads anything: a watch would wait for ever.
        return Err(unsupported(
            "surf cannot read a response while the request goes on",
        ));
    };
    let method = head
        .method
        .as_str()
        .parse()
        .map_err(|_| unsupported("the method is unknown to surf"))?;
    let url = surf::Url::parse(&head.uri.to_string()).map_err(|_| unsupported("the URI is no URL"))?;
    let mut request = surf::Request::new(method, url);
    request.body_bytes(body);
    for (name, value) in &head.headers {
        let value = value
            .to_str()
            .map_err(|_| unsupported("surf's header values are ASCII"))?;
        request.append_header(name.as_str(), value);
    }
    Ok(request)
}

fn from_surf(mut response: surf::Response) -> Result<Response<ResponseBody>, TransportError> {
    let body = response.take_body();
    let mut converted = Response::new(());
    *converted.status_mut() = StatusCode::from_u16(response.status().into()).map_err(|_| protocol())?;
    for (name, values) in response.iter() {
        let name: HeaderName = name.as_str().parse().map_err(|_| protocol())?;
        for value in values {
            // async-h1 makes up a Date of the wrong shape where the server sent none.
            if let Ok(value) = HeaderValue::from_str(value.as_str()) {
                converted.headers_mut().append(name.clone(), value);
            }
        }
    }
    let remaining = body.len();
    Ok(converted.map(|()| ResponseBody::new(Pieces { body, remaining })))
}

/// The body of a response, as it is read.
struct Pieces {
    body: surf::Body,
    /// What `Content-Length` still promises.
    remaining: Option<usize>,
}

impl Stream for Pieces {
    type Item = Result<BodyFrame, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut piece = [0; READ_SIZE];
        let read = match ready!(Pin::new(&mut self.body).poll_read(cx, &mut piece)) {
            Ok(read) => read,
            Err(error) => return Poll::Ready(Some(Err(broken(error)))),
        };
        if read == 0 {
            // async-h1 takes a cut body for a complete one.
            let cut = self.remaining.take().is_some_and(|remaining| remaining > 0);
            return Poll::Ready(cut.then(|| {
                Err(TransportError::new(
                    TransportErrorKind::Closed,
                    Delivery::MaybeSent,
                ))
            }));
        }
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(read));
        Poll::Ready(Some(Ok(BodyFrame::Data(Bytes::copy_from_slice(&piece[..read])))))
    }
}

fn unsupported(why: &'static str) -> TransportError {
    TransportError::new(TransportErrorKind::Unsupported, Delivery::NotSent).with_source(why)
}

fn protocol() -> TransportError {
    TransportError::new(TransportErrorKind::Protocol, Delivery::MaybeSent)
}

fn broken(error: io::Error) -> TransportError {
    let kind = match error.kind() {
        io::ErrorKind::UnexpectedEof => TransportErrorKind::Closed,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            TransportErrorKind::Protocol
        }
        _ => TransportErrorKind::Io,
    };
    TransportError::new(kind, Delivery::MaybeSent).with_source(error)
}

/// surf does not tell how far a request got, save that a refused connection has carried nothing.
fn failure(error: &surf::Error) -> TransportError {
    let cause = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let (kind, delivery) = match cause {
        Some(io::ErrorKind::ConnectionRefused) => (TransportErrorKind::Connect, Delivery::NotSent),
        Some(_) => (TransportErrorKind::Io, Delivery::MaybeSent),
        None => (TransportErrorKind::Protocol, Delivery::MaybeSent),
    };
    TransportError::new(kind, delivery).with_source(error.to_string())
}
