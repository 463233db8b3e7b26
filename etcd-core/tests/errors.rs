//! What each error says of itself: words, cause, fault, outcome, and whether to try again.

use std::error::Error as StdError;
use std::time::Duration;

use etcd_core::codec::from_json;
use etcd_core::error::{
    ClusterChanged, Code, Error, ErrorKind, EtcdError, Fault, HttpError, InvalidArgument, InvalidEndpoint,
    Outcome, ProtocolError, Retry, RetryClass, ServerError, SnapshotError, Timeout, TimeoutPhase,
};
use etcd_core::frame::FrameError;
use etcd_core::message::GetResponse;
use etcd_core::transport::{Delivery, TransportError, TransportErrorKind};
use http::StatusCode;

const CLASSES: [RetryClass; 3] = [RetryClass::Read, RetryClass::Idempotent, RetryClass::Write];

fn server(code: Code, message: &str) -> ErrorKind {
    ServerError::new(code, message).into()
}

fn transport(kind: TransportErrorKind, delivery: Delivery) -> ErrorKind {
    TransportError::new(kind, delivery).into()
}

fn http(status: u16, body: &str) -> ErrorKind {
    HttpError::new(
        StatusCode::from_u16(status).expect("tests use valid ones"),
        body.as_bytes(),
    )
    .into()
}

/// One or more of every kind: what it says, and how it is judged.
#[rustfmt::skip]
fn kinds() -> Vec<(ErrorKind, &'static str, Fault, Outcome, Retry)> {
    use Delivery::{MaybeSent, NotSent};
    use Outcome::{NotApplied, Unknown};
    use Retry::{AfterLogin, Elsewhere, Later, Never};
    use TransportErrorKind as T;

    let io = || TransportError::new(T::Io, MaybeSent).with_source(std::io::Error::other("cable cut"));
    vec![
        (InvalidArgument::EmptyKey.into(), "the key is empty", Fault::Caller, NotApplied, Never),
        (InvalidArgument::from(InvalidEndpoint::NeedsTls).into(), "the endpoint cannot be used", Fault::Caller, NotApplied, Never),

        (server(Code::PermissionDenied, "etcdserver: permission denied"), "etcdserver: permission denied (PermissionDenied)", Fault::Caller, NotApplied, Never),
        (server(Code::Unavailable, "etcdserver: request timed out"), "etcdserver: request timed out (Unavailable)", Fault::Server, Unknown, Elsewhere),
        (server(Code::Unauthenticated, "etcdserver: invalid auth token"), "etcdserver: invalid auth token (Unauthenticated)", Fault::Caller, NotApplied, AfterLogin),
        (server(Code::Unknown, "etcdserver: too many requests"), "etcdserver: too many requests", Fault::Server, NotApplied, Later),
        // Of messages nobody knows, the code is all there is.
        (server(Code::Unavailable, "new"), "new (Unavailable)", Fault::Server, Unknown, Elsewhere),
        (server(Code::DeadlineExceeded, "new"), "new (DeadlineExceeded)", Fault::Server, Unknown, Elsewhere),
        (server(Code::Unauthenticated, "new"), "new (Unauthenticated)", Fault::Caller, NotApplied, AfterLogin),
        (server(Code::Unimplemented, "unknown method X"), "unknown method X (Unimplemented)", Fault::Server, NotApplied, Never),
        (server(Code::InvalidArgument, "new"), "new (InvalidArgument)", Fault::Caller, NotApplied, Never),
        (server(Code::ResourceExhausted, "new"), "new (ResourceExhausted)", Fault::Server, Unknown, Never),
        (server(Code::Other(77), "new"), "new (Code(77))", Fault::Server, Unknown, Never),

        (http(404, "404 page not found\n"), "HTTP 404 Not Found (this etcd has no such call, its gateway is off, or the endpoint is not an etcd): 404 page not found", Fault::Peer, NotApplied, Never),
        (http(503, "<html>\n"), "HTTP 503 Service Unavailable: <html>", Fault::Peer, Unknown, Elsewhere),
        (http(418, ""), "HTTP 418 I'm a teapot", Fault::Peer, Unknown, Never),

        (ProtocolError::Malformed { expected: "KV/Put", offset: 7 }.into(), "the response is not a valid answer to KV/Put (byte 7)", Fault::Peer, Unknown, Never),
        (ProtocolError::MissingField { field: "kv" }.into(), "the response lacks the field kv", Fault::Peer, Unknown, Never),
        (ProtocolError::OutOfRange.into(), "the response holds other keys than were asked for", Fault::Peer, Unknown, Never),
        (ProtocolError::Truncated.into(), "the response ended in the middle of a message", Fault::Peer, Unknown, Elsewhere),

        (io().into(), "the connection broke", Fault::Network, Unknown, Elsewhere),
        (transport(T::Connect, NotSent), "could not connect", Fault::Network, NotApplied, Elsewhere),
        (transport(T::ConnectTimeout, NotSent), "connecting took longer than the connect timeout", Fault::Network, NotApplied, Elsewhere),
        (transport(T::Closed, NotSent), "the peer closed the connection before the exchange was complete", Fault::Network, NotApplied, Elsewhere),
        (transport(T::Closed, MaybeSent), "the peer closed the connection before the exchange was complete", Fault::Network, Unknown, Elsewhere),
        (transport(T::Unsupported, NotSent), "the transport does not support this request", Fault::Caller, NotApplied, Never),
        (transport(T::Protocol, MaybeSent), "the peer does not speak HTTP as expected", Fault::Peer, Unknown, Never),
        (transport(T::HeadTooLarge, MaybeSent), "the response head exceeds the configured limit", Fault::Peer, Unknown, Never),
        (transport(T::BodyTooLarge, MaybeSent), "the response body exceeds the configured limit", Fault::Caller, Unknown, Never),
        (transport(T::RequestBody, MaybeSent), "the request body could not be produced", Fault::Caller, Unknown, Never),
        (transport(T::Shutdown, NotSent), "the transport was shut down", Fault::Caller, NotApplied, Never),

        (Timeout::new(TimeoutPhase::Queue).into(), "timed out before the request could be sent", Fault::Network, NotApplied, Elsewhere),
        (Timeout::new(TimeoutPhase::Response).with_limit(Duration::from_millis(1500)).into(), "timed out after 1.5s waiting for the response", Fault::Network, Unknown, Elsewhere),
        (Timeout::new(TimeoutPhase::Response).into(), "timed out waiting for the response", Fault::Network, Unknown, Elsewhere),
        (Timeout::new(TimeoutPhase::Body).into(), "timed out while receiving the response", Fault::Network, Unknown, Elsewhere),

        (ErrorKind::ResponseTooLarge { limit: 10 }, "the response is larger than the limit of 10 bytes", Fault::Caller, Unknown, Never),
        (ClusterChanged::ClusterId { expected: 255, actual: 16 }.into(), "the cluster 10 answered instead of ff", Fault::Peer, Unknown, Never),
        (ClusterChanged::Revision { seen: 9, actual: 4 }.into(), "the revision went back from 9 to 4", Fault::Peer, Unknown, Never),
        (SnapshotError::Checksum.into(), "the snapshot's SHA-256 is not the one the server sent", Fault::Peer, Unknown, Elsewhere),
        (SnapshotError::Truncated { received: 5, missing: 2 }.into(), "the snapshot ended after 5 bytes with 2 to come", Fault::Peer, Unknown, Elsewhere),
        (SnapshotError::NoChecksum.into(), "the snapshot ended without its SHA-256", Fault::Peer, Unknown, Elsewhere),
        (SnapshotError::Destination(Box::<dyn std::error::Error + Send + Sync>::from("disk full").into()).into(), "the snapshot could not be written", Fault::Caller, Unknown, Never),
    ]
}

#[test]
fn each_kind_has_its_words_its_fault_its_outcome_and_its_remedy() {
    for (kind, words, fault, outcome, retry) in kinds() {
        assert_eq!(kind.to_string(), words);
        assert_eq!(kind.fault(), fault, "{words}");
        assert_eq!(kind.outcome(), outcome, "{words}");
        assert_eq!(kind.retry(), retry, "{words}");

        let error = Error::from(kind);
        assert_eq!(error.to_string(), words);
        assert_eq!((error.fault(), error.retry()), (fault, retry));
    }
}

#[test]
fn safety_follows_from_outcome_and_class() {
    for (class, index) in CLASSES.into_iter().zip(0..) {
        for (kind, words, _, outcome, _) in kinds() {
            let error = Error::from(kind).with_rpc("KV/Put", class);
            let (is_retry_safe, is_outcome_unknown) = match outcome {
                Outcome::NotApplied => (true, false),
                // A read, something that may be repeated, a write.
                Outcome::Unknown => [(true, false), (true, true), (false, true)][index],
            };
            assert_eq!(error.is_retry_safe(), is_retry_safe, "{class:?}: {words}");
            assert_eq!(
                error.is_outcome_unknown(),
                is_outcome_unknown,
                "{class:?}: {words}"
            );
        }
    }
}

#[test]
fn an_error_that_knows_nothing_of_its_call_takes_it_for_a_write() {
    let error = Error::from(Timeout::new(TimeoutPhase::Response));
    assert!(!error.is_retry_safe());
    assert!(error.is_outcome_unknown());
    assert_eq!((error.rpc(), error.endpoint()), (None, None));
}

#[test]
fn display_shows_one_level_and_source_what_is_below() {
    let sources: Vec<_> = kinds()
        .into_iter()
        .filter_map(|(kind, words, ..)| {
            let error = Error::from(kind);
            Some((words, error.source()?.to_string()))
        })
        .collect();
    let expected = [
        (
            "the endpoint cannot be used",
            "https needs the feature `tls`, which this client was built without",
        ),
        ("the connection broke", "cable cut"),
        ("the snapshot could not be written", "disk full"),
    ];
    assert_eq!(
        sources,
        expected.map(|(words, source)| (words, source.to_owned()))
    );
}

#[test]
fn display_begins_with_the_call_and_the_endpoint() {
    let error = || Error::from(InvalidArgument::EmptyKey);
    assert_eq!(error().to_string(), "the key is empty");
    let error = || Error::from(InvalidArgument::EmptyKey).with_endpoint("http://a:1");
    assert_eq!(error().to_string(), "http://a:1: the key is empty");
    let error = error().with_rpc("KV/Put", RetryClass::Write);
    assert_eq!(error.to_string(), "KV/Put at http://a:1: the key is empty");
    assert_eq!(
        (error.rpc(), error.endpoint()),
        (Some("KV/Put"), Some("http://a:1"))
    );
    let error = Error::from(InvalidArgument::EmptyKey).with_rpc("KV/Put", RetryClass::Write);
    assert_eq!(error.to_string(), "KV/Put: the key is empty");
}

#[test]
fn an_endpoint_loses_its_user_and_password() {
    for (given, shown) in [
        ("http://10.0.0.1:2379", "http://10.0.0.1:2379"),
        ("http://root:secret@10.0.0.1:2379/", "http://10.0.0.1:2379/"),
        ("http://root@[::1]:2379", "http://[::1]:2379"),
        ("http://a:secret@b:sec@ret@host", "http://host"),
        ("root:secret@host:1", "host:1"),
        ("http://host/@path", "http://host/@path"),
        ("http://u:secret@host?q=@", "http://host?q=@"),
        ("", ""),
        ("@", ""),
        ("http://", "http://"),
    ] {
        let error = Error::from(InvalidArgument::EmptyKey).with_endpoint(given);
        assert_eq!(error.endpoint(), Some(shown));
        assert!(!format!("{error} {error:?}").contains("secret"), "{given}");
    }
}

#[test]
fn an_error_is_one_pointer_and_goes_anywhere() {
    fn goes_anywhere<T: Send + Sync + 'static + StdError>() {}
    goes_anywhere::<Error>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}

#[test]
fn the_servers_error_is_at_hand() {
    let error = Error::from(ServerError::new(
        Code::Unknown,
        "etcdserver: requested lease not found",
    ));
    assert_eq!(error.etcd(), Some(EtcdError::LeaseNotFound));
    assert_eq!(error.server().map(ServerError::code), Some(Code::Unknown));
    assert!(matches!(error.into_kind(), ErrorKind::Server(_)));

    let error = Error::from(InvalidArgument::EmptyKey);
    assert_eq!(error.etcd(), None);
    assert!(!error.is_auth_stale());
}

#[test]
fn framing_errors_become_kinds() {
    let error = Error::from(FrameError::LineTooLong { limit: 5 });
    assert!(matches!(error.kind(), ErrorKind::ResponseTooLarge { limit: 5 }));
    let error = Error::from(FrameError::Truncated);
    assert!(matches!(
        error.kind(),
        ErrorKind::Protocol(ProtocolError::Truncated)
    ));
}

#[test]
fn a_json_error_says_where_and_not_what() {
    let json = |text: &str| {
        let error = from_json::<GetResponse>(text.as_bytes()).unwrap_err();
        ProtocolError::from_decode("KV/Range", error)
    };
    let error = json("{\"count\":\"secret\"}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(matches!(
        error,
        ProtocolError::Malformed {
            expected: "KV/Range",
            offset: 1..
        }
    ));
    assert_eq!(json(""), ProtocolError::Truncated);
}

#[test]
fn http_layers_that_turn_a_request_away_have_not_applied_it() {
    let not_applied: Vec<u16> = (100..600)
        .filter(|status| http(*status, "").outcome() == Outcome::NotApplied)
        .collect();
    assert_eq!(
        not_applied,
        [
            301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 417, 421, 426, 429,
            431, 501
        ]
    );
    let elsewhere: Vec<u16> = (100..600)
        .filter(|status| http(*status, "").retry() == Retry::Elsewhere)
        .collect();
    assert_eq!(elsewhere, [408, 429, 502, 503, 504]);
}

/// Every reason for a refusal, each with its sentence.
#[test]
#[rustfmt::skip]
fn each_refusal_has_its_sentence() {
    use InvalidArgument as I;
    for (reason, sentence) in [
        (I::EmptyKey, "the key is empty"),
        (I::NonPositiveTtl { given: -3 }, "the time to live must be at least one second, not -3"),
        (I::TtlTooLarge { given: 9_000_000_001, limit: 9_000_000_000 }, "the time to live of 9000000001 seconds exceeds etcd's maximum of 9000000000"),
        (I::NoLease, "a lease must be given"),
        (I::ValueWithIgnoreValue, "a put cannot have a value and keep the present one"),
        (I::LeaseWithIgnoreLease, "a put cannot have a lease and keep the present one"),
        (I::TooManyOps { given: 129, limit: 128 }, "the transaction has 129 operations, more than the 128 allowed"),
        (I::NestedTooDeep { limit: 32 }, "transactions are nested more than 32 deep"),
        (I::EmptyOperation, "an operation of the transaction is empty"),
        (I::KeepsDeleted, "a put of the transaction keeps what an operation before it deletes"),
        (I::UnknownSortTarget, "the target to sort by is unknown"),
        (I::Missing { what: "version" }, "a version must be given"),
        (I::EmptyName { what: "lock" }, "the name of the lock is empty"),
        (I::EmptyList { what: "endpoint" }, "at least one endpoint must be given"),
        (I::NotPositive { what: "the revision", given: 0 }, "the revision must be greater than zero, but is 0"),
        (I::HeaderValue { what: "the token" }, "the token contains a character that no HTTP header may"),
        (I::Endpoint(InvalidEndpoint::NotAUrl), "the endpoint cannot be used"),
        (I::NoRuntime, "no async runtime is running here and none was given to the builder"),
        (I::Conflict { first: "a token", second: "a password" }, "a token and a password cannot both be given"),
    ] {
        assert_eq!(reason.to_string(), sentence);
    }
    for (reason, sentence) in [
        (InvalidEndpoint::NotAUrl, "it is not a URL like http://host:2379"),
        (InvalidEndpoint::Scheme, "its scheme is neither http nor https"),
        (InvalidEndpoint::NeedsTls, "https needs the feature `tls`, which this client was built without"),
        (InvalidEndpoint::UserInfo, "it contains a user or password; give credentials to the builder instead"),
        (InvalidEndpoint::Path, "it has a path, query or fragment; only scheme, host and port are expected"),
    ] {
        assert_eq!(Error::from(reason).source().map(ToString::to_string).as_deref(), Some(sentence));
    }
}
