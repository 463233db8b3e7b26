//! HTTP requests.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request};

use crate::endpoint::Endpoint;
use crate::rpc::Rpc;
use crate::transport::LongLived;

/// What a call says besides its message.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metadata {
    /// The token of a login, sent as it is: servers before 3.5.32, 3.6.13 and 3.7 refuse `Bearer`.
    pub token: Option<HeaderValue>,
    /// The name of the client.
    pub user_agent: Option<HeaderValue>,
    /// Whether a member without a leader refuses the call at once instead of letting it wait for a quorum.
    pub require_leader: bool,
}

/// gRPC metadata `hasleader`, in the gateway's spelling (`api/v3rpc/rpctypes/metadatafields.go`).
const REQUIRE_LEADER: HeaderName = HeaderName::from_static("grpc-metadata-hasleader");

/// The request of a unary call, or of a stream that takes one message; `message` in its JSON form
/// ([`to_json`](crate::codec::to_json)).
#[must_use]
pub fn request(endpoint: &Endpoint, rpc: &Rpc, message: Bytes, metadata: &Metadata) -> Request<Bytes> {
    head(endpoint, rpc, metadata).map(|()| message)
}

/// The request of a stream, without its body.
///
/// It asks for the connection to be closed afterwards: a Go server serves both directions of an HTTP/1.1
/// exchange at once only then, and otherwise holds back its answers until the request's body has ended.
#[must_use]
pub fn stream_request_head(endpoint: &Endpoint, rpc: &Rpc, metadata: &Metadata) -> Request<()> {
    let mut request = head(endpoint, rpc, metadata);
    request
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    request
}

fn head(endpoint: &Endpoint, rpc: &Rpc, metadata: &Metadata) -> Request<()> {
    let path = rpc.paths.first().copied().unwrap_or_default();
    debug_assert!(!path.is_empty(), "the gateway does not carry {}", rpc.name);
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.uri(path);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(token) = &metadata.token {
        headers.insert(AUTHORIZATION, token.clone());
    }
    if let Some(user_agent) = &metadata.user_agent {
        headers.insert(USER_AGENT, user_agent.clone());
    }
    if metadata.require_leader {
        headers.insert(REQUIRE_LEADER, HeaderValue::from_static("true"));
    }
    if rpc.waits {
        request.extensions_mut().insert(LongLived);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::rows;

    fn metadata() -> Metadata {
        let mut token = HeaderValue::from_static("abc.7");
        token.set_sensitive(true);
        Metadata {
            token: Some(token),
            user_agent: Some(HeaderValue::from_static("test/1")),
            require_leader: true,
        }
    }

    #[test]
    fn a_request_carries_what_the_metadata_says() {
        let endpoint = "host".parse().unwrap();
        let request = request(&endpoint, &rows::RANGE, Bytes::new(), &metadata());
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(request.method(), Method::POST);
        assert_eq!(header("authorization"), Some("abc.7"));
        assert_eq!(header("user-agent"), Some("test/1"));
        assert_eq!(header("grpc-metadata-hasleader"), Some("true"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("connection"), None);
        assert!(
            !format!("{request:?}").contains("abc.7"),
            "tokens are not printed"
        );
    }

    #[test]
    fn a_request_without_metadata_carries_none() {
        let request = request(
            &"host".parse().unwrap(),
            &rows::RANGE,
            Bytes::new(),
            &Metadata::default(),
        );
        assert_eq!(request.headers().len(), 1);
    }

    #[test]
    fn streams_ask_for_full_duplex_and_waiting_calls_are_marked() {
        let endpoint = "host".parse().unwrap();
        let stream = stream_request_head(&endpoint, &rows::WATCH, &Metadata::default());
        assert_eq!(stream.headers()["connection"], "close");
        let lock = request(&endpoint, &rows::LOCK, Bytes::new(), &Metadata::default());
        assert!(lock.extensions().get::<LongLived>().is_some());
        let get = request(&endpoint, &rows::RANGE, Bytes::new(), &Metadata::default());
        assert!(get.extensions().get::<LongLived>().is_none());
    }
}
