//! From the request that the client hands over to the one that hyper writes.

use etcd_core::transport::{Delivery, LongLived, RequestBody, TransportError, TransportErrorKind};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version};

use crate::body::Outgoing;

/// What a request needs of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A place in the pool: it ends soon.
    Place,
    /// A connection of its own: its response may take for ever.
    Own,
    /// A connection of its own with a task to drive it: its two bodies flow at once.
    Duplex,
}

/// A request that can be sent once it has a `Host`.
pub(crate) struct Prepared {
    pub(crate) authority: Authority,
    pub(crate) need: Need,
    pub(crate) request: Request<Outgoing>,
}

/// Checks the scheme and frames the body.
pub(crate) fn prepare(request: Request<RequestBody>) -> Result<Prepared, TransportError> {
    let (mut head, body) = request.into_parts();
    let mut uri = head.uri.into_parts();
    check_scheme(uri.scheme.as_ref())?;
    let authority = uri
        .authority
        .take()
        .ok_or_else(|| unsupported("the URI has no host"))?;
    let path = uri
        .path_and_query
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    head.version = Version::HTTP_11;

    // Framing is the transport's: a length that belies the body would be sent as it stands.
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(TRANSFER_ENCODING);
    let (need, body) = match body {
        RequestBody::Full(bytes) => {
            let need = match head.extensions.get::<LongLived>() {
                Some(LongLived) => Need::Own,
                None => Need::Place,
            };
            (need, Outgoing::whole(&head.method, bytes))
        }
        RequestBody::Stream(stream) => {
            head.headers
                .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            // An etcd server writes its response while the request goes on only if it sees this.
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
            (Need::Duplex, Outgoing::Stream(stream))
        }
    };
    Ok(Prepared {
        authority,
        need,
        request: Request::from_parts(head, body),
    })
}

/// Adds `host` unless the caller has named another.
pub(crate) fn set_host(request: &mut Request<Outgoing>, host: &HeaderValue) {
    request.headers_mut().entry(HOST).or_insert_with(|| host.clone());
}

fn check_scheme(scheme: Option<&Scheme>) -> Result<(), TransportError> {
    match scheme {
        Some(scheme) if *scheme == Scheme::HTTP => Ok(()),
        Some(scheme) if *scheme == Scheme::HTTPS => Err(unsupported(
            "https needs the feature `tls`, which does not exist yet",
        )),
        Some(_) => Err(unsupported("the URI's scheme is not http")),
        None => Err(unsupported("the URI is not absolute")),
    }
}

/// Refuses an authority that is no `host` or `host:port`. Asked once for each, when its endpoint is made.
pub(crate) fn check_authority(authority: &Authority) -> Result<(), TransportError> {
    if authority.host().is_empty() {
        return Err(unsupported("the URI has no host"));
    }
    // The URI itself stays out of the message: what precedes the @ is a password.
    if authority.as_str().contains('@') {
        return Err(unsupported("the URI carries user information"));
    }
    let after_host = authority
        .as_str()
        .rsplit_once(authority.host())
        .map_or("", |(_, after)| after);
    if after_host.len() > 1 && authority.port_u16().is_none() {
        return Err(unsupported("the URI's port is no port"));
    }
    Ok(())
}

fn unsupported(why: &'static str) -> TransportError {
    TransportError::new(TransportErrorKind::Unsupported, Delivery::NotSent).with_source(why)
}
