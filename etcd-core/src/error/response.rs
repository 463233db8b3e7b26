//! From the body of an error response, or the last line of a stream, to a typed error.
//!
//! The three dialects of the gateway are told apart by shape, never by version:
//!
//! | | unary | stream |
//! |---|---|---|
//! | grpc-gateway 1.6 | `{"error":M,"message":M,"code":N}` | `{"error":{"grpc_code":N,"http_code":S,"message":M,"http_status":T}}` |
//! | grpc-gateway 1.16 | `{"error":M,"code":N,"message":M}` | the same |
//! | grpc-gateway 2 | `{"code":N,"message":M}` | `{"error":{"code":N,"message":M}}` |
//!
//! A stream that fails before its first message answers with the status of the error and either form.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{Code, ErrorKind, HttpError, ServerError};

/// The largest body or line that is looked at as etcd's description of an error: 64 KiB. The largest seen has
/// 200 bytes; a gRPC message has to fit into a header, for which Go's gRPC allows 16 KiB by default.
pub const MAX_ERROR_BODY: usize = 64 * 1024;

impl ErrorKind {
    /// What a response with a status other than 200 says.
    ///
    /// It is [`Server`](Self::Server) if the body is a description of an error by etcd in any dialect, and
    /// [`Http`](Self::Http) otherwise: routing errors of the gateway, texts of Go's HTTP server, pages of
    /// proxies.
    #[must_use]
    pub fn from_response(status: StatusCode, body: &[u8]) -> Self {
        // Without a code it is not etcd's: proxies, too, say `{"message":...}`.
        if let Some(object) = description(body)
            && let (Some(code), message) = code_and_message(&object)
            && !is_foreign(status, code, message)
        {
            return Self::Server(ServerError::new(code, message).with_http_status(status.as_u16()));
        }
        Self::Http(HttpError::new(status, body))
    }

    /// What a line of a stream says, if it describes an error: `{"error":...}`.
    ///
    /// `None` means that it does not; it is then a message, or nothing that etcd sends.
    #[must_use]
    pub fn from_stream_line(line: &[u8]) -> Option<Self> {
        let object = description(line)?;
        if object.get("error")?.is_null() {
            return None;
        }
        let (code, message) = code_and_message(&object);
        Some(Self::Server(ServerError::new(
            code.unwrap_or(Code::Unknown),
            message,
        )))
    }
}

/// The body as a JSON object, if it is one of a reasonable size. serde_json bounds the depth.
fn description(body: &[u8]) -> Option<Map<String, Value>> {
    let looks_like_json = body.trim_ascii_start().starts_with(b"{");
    if !looks_like_json || body.len() > MAX_ERROR_BODY {
        return None;
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// Code and message of any dialect, as far as they are there.
fn code_and_message(object: &Map<String, Value>) -> (Option<Code>, &str) {
    let inner = object.get("error").and_then(Value::as_object).unwrap_or(object);
    let code = inner
        .get("code")
        .or_else(|| inner.get("grpc_code"))
        .and_then(Value::as_u64);
    let message = inner
        .get("message")
        .or_else(|| inner.get("error"))
        .and_then(Value::as_str);
    (
        code.and_then(|code| u32::try_from(code).ok())
            .map(Code::from_number),
        message.unwrap_or_default(),
    )
}

/// Whether this is not an error of etcd: the router of grpc-gateway 2, which describes its own errors as
/// if they were (404 with code 5, 501 with code 12, 400 with code 3) under the plain name of a status, or
/// somebody else's JSON, whose code is the HTTP status.
fn is_foreign(status: StatusCode, code: Code, message: &str) -> bool {
    matches!(
        message,
        "Not Found" | "Method Not Allowed" | "Bad Request" | "Not Implemented"
    ) || code.number() == u32::from(status.as_u16())
}
