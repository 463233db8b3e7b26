//! HTTP responses of unary calls.

use http::StatusCode;

use crate::codec::from_answer;
use crate::error::{ErrorKind, ProtocolError};
use crate::rpc::Request;

/// What a unary call was answered.
///
/// # Errors
///
/// The server's error in any dialect, what else answered instead of etcd, or [`ProtocolError`] if the
/// body is not the message that it should be.
pub fn unary_response<R: Request>(status: StatusCode, body: &[u8]) -> Result<R::Response, ErrorKind> {
    if status != StatusCode::OK {
        return Err(ErrorKind::from_response(status, body));
    }
    from_answer(body).map_err(|error| ProtocolError::from_decode(R::RPC.name, error).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EtcdError;
    use crate::message::{Get, Put};

    #[test]
    fn errors_of_every_dialect_are_the_servers() {
        for body in [
            r#"{"error":"etcdserver: key is not provided","message":"etcdserver: key is not provided","code":3}"#,
            r#"{"error":"etcdserver: key is not provided","code":3,"message":"etcdserver: key is not provided"}"#,
            r#"{"code":3, "message":"etcdserver: key is not provided"}"#,
        ] {
            let error = unary_response::<Put>(StatusCode::BAD_REQUEST, body.as_bytes()).unwrap_err();
            assert!(
                matches!(&error, ErrorKind::Server(error) if error.kind() == EtcdError::EmptyKey),
                "{error}"
            );
        }
    }

    #[test]
    fn success_without_the_message_is_a_protocol_error() {
        for (body, truncated) in [
            (&b""[..], true),
            (b"{\"kvs\":[", true),
            (b"OK", false),
            (b"[]", false),
        ] {
            let error = unary_response::<Get>(StatusCode::OK, body).unwrap_err();
            let ErrorKind::Protocol(error) = error else {
                panic!("{error}")
            };
            assert_eq!(error == ProtocolError::Truncated, truncated, "{error}");
        }
    }
}
