//! How answers look.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use etcd_core::error::Code;
use etcd_core::message::SnapshotResponse;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LENGTH,
    CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE,
};
use http::{Response as HttpResponse, StatusCode};

use crate::{Dialect, Response, Status};

/// A complete answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) head: HttpResponse<()>,
    pub(super) body: Bytes,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

impl Reply {
    /// The answer to a call.
    pub(super) fn message(response: &Response) -> Self {
        let mut reply = Self::new(StatusCode::OK, JSON, response.to_json());
        let value = HeaderValue::from_static("application/grpc");
        reply
            .head
            .headers_mut()
            .insert("grpc-metadata-content-type", value);
        reply
    }

    /// The failure of a call.
    pub(super) fn error(dialect: Dialect, status: &Status) -> Self {
        let code = status.code().number();
        let message = Quoted(status.message());
        let body = match dialect {
            Dialect::G1_6 => format!(r#"{{"error":{message},"message":{message},"code":{code}}}"#),
            Dialect::G1_16 => format!(r#"{{"error":{message},"code":{code},"message":{message}}}"#),
            Dialect::G2 => format!(r#"{{"code":{code}, "message":{message}}}"#),
        };
        let mut reply = Self::new(http_status(dialect, status.code()), JSON, body);
        if dialect == Dialect::G2
            && status.code() == Code::Unauthenticated
            && let Ok(challenge) = HeaderValue::from_str(status.message())
        {
            reply.head.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        reply
    }

    /// The client's time was over before the call began.
    pub(super) fn too_late(dialect: Dialect) -> Self {
        Self::error(
            dialect,
            &Status::new(Code::DeadlineExceeded, "context deadline exceeded"),
        )
    }

    /// There is no such path below `/v3`.
    pub(super) fn not_found(dialect: Dialect) -> Self {
        match dialect {
            Dialect::G2 => Self::error(dialect, &Status::new(Code::NotFound, "Not Found")),
            _ => Self::text(StatusCode::NOT_FOUND, "Not Found\n"),
        }
    }

    /// There is, for another method.
    pub(super) fn method_not_allowed(dialect: Dialect) -> Self {
        match dialect {
            Dialect::G2 => Self::error(dialect, &Status::new(Code::Unimplemented, "Method Not Allowed")),
            _ => Self::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n"),
        }
    }

    /// What a browser asks before it lets a script ask.
    pub(super) fn preflight() -> Self {
        let mut reply = Self::text(StatusCode::OK, "");
        reply.head.headers_mut().remove(CONTENT_TYPE);
        reply
    }

    pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, TEXT, body)
    }

    pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, JSON, body)
    }

    fn new(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut head = head(status, content_type);
        head.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        Self { head, body }
    }
}

/// The head of a stream.
pub(super) fn stream_head(status: StatusCode) -> HttpResponse<()> {
    let mut head = head(status, JSON);
    if status == StatusCode::OK {
        let value = HeaderValue::from_static("application/grpc");
        head.headers_mut().insert("grpc-metadata-content-type", value);
    }
    head
}

/// The head of a stream that ends without a message. Gateway 2 says of what type they are only with the first.
pub(super) fn silent_stream_head(dialect: Dialect) -> HttpResponse<()> {
    let mut head = stream_head(StatusCode::OK);
    if dialect == Dialect::G2 {
        head.headers_mut().remove(CONTENT_TYPE);
    }
    head
}

/// One message of a stream.
pub(super) fn line(response: &Response) -> Bytes {
    if let Response::Snapshot(piece) = response {
        return snapshot_line(piece);
    }
    let json = response.to_json();
    let mut line = Vec::with_capacity(json.len() + 12);
    line.extend_from_slice(b"{\"result\":");
    line.extend_from_slice(&json);
    line.extend_from_slice(b"}\n");
    line.into()
}

/// A piece of a snapshot, written without the detours that a message of any kind takes: there are megabytes of them.
fn snapshot_line(piece: &SnapshotResponse) -> Bytes {
    let mut line = String::with_capacity(piece.blob.len() / 3 * 4 + 128);
    line.push_str("{\"result\":{");
    if piece.remaining_bytes > 0 {
        line.push_str(&format!("\"remaining_bytes\":\"{}\",", piece.remaining_bytes));
    }
    line.push_str("\"blob\":\"");
    STANDARD.encode_string(&piece.blob, &mut line);
    line.push_str("\"}}\n");
    line.into()
}

/// The failure of a stream. Gateways 1.x do not end the line.
pub(super) fn error_line(dialect: Dialect, status: &Status) -> Bytes {
    let code = status.code().number();
    let message = Quoted(status.message());
    match dialect {
        Dialect::G2 => format!("{{\"error\":{{\"code\":{code},\"message\":{message}}}}}\n"),
        _ => {
            let http = http_status(dialect, status.code());
            let reason = http.canonical_reason().unwrap_or_default();
            format!(
                r#"{{"error":{{"grpc_code":{code},"http_code":{},"message":{message},"http_status":"{reason}"}}}}"#,
                http.as_u16()
            )
        }
    }
    .into()
}

/// The status that stands for a code (`HTTPStatusFromCode` in grpc-gateway).
pub(super) fn http_status(dialect: Dialect, code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Canceled => StatusCode::REQUEST_TIMEOUT,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::FailedPrecondition if dialect == Dialect::G1_6 => StatusCode::PRECONDITION_FAILED,
        Code::FailedPrecondition => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn head(status: StatusCode, content_type: HeaderValue) -> HttpResponse<()> {
    let mut head = HttpResponse::new(());
    *head.status_mut() = status;
    let headers = head.headers_mut();
    // For scripts in a browser (`addCORSHeader` in `server/embed/serve.go`).
    for (name, value) in [
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "accept, content-type, authorization",
        ),
        (ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS, PUT, DELETE"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_TYPE, content_type);
    head
}

/// Text as a JSON string.
struct Quoted<'a>(&'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write as _;
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\0'..' ' => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_snapshot_is_written_as_any_message_is() {
        for (remaining_bytes, blob) in [(70_000, "some"), (0, "last")] {
            let mut piece = SnapshotResponse::default();
            piece.remaining_bytes = remaining_bytes;
            piece.blob = Bytes::from_static(blob.as_bytes());
            let json = Response::Snapshot(piece.clone()).to_json();
            let expected = [&b"{\"result\":"[..], &json, b"}\n"].concat();
            assert_eq!(snapshot_line(&piece), expected);
        }
    }
}
