//! From the head of a request to the call it makes.

use std::time::Duration;

use etcd_core::error::Code;
use etcd_core::rpc::{RPCS, Rpc, rows};
use http::{HeaderMap, Method, Request, StatusCode};

use super::reply::Reply;
use crate::server::CallOptions;
use crate::{Dialect, Server, Status};

/// Where a request leads.
pub(super) enum Route {
    Call(&'static Rpc, CallOptions),
    Reply(Reply),
}

pub(super) fn route<B>(dialect: Dialect, server: &Server, request: &Request<B>) -> Route {
    if request.method() == Method::OPTIONS {
        // Browsers ask before they send (`accessController` in `server/embed/serve.go`).
        return Route::Reply(Reply::preflight());
    }
    let path = decode_percent(request.uri().path());
    let path = match path.strip_prefix("/v3beta/") {
        Some(rest) => format!("/v3/{rest}"),
        None => path,
    };
    if !path.starts_with("/v3/") {
        return Route::Reply(plain(dialect, server, request.method(), &path));
    }
    let known = RPCS
        .iter()
        .find(|rpc| rpc.paths.contains(&path.as_str()) && is_served(dialect, rpc));
    let Some(rpc) = known else {
        return Route::Reply(Reply::not_found(dialect));
    };
    if request.method() != Method::POST {
        return Route::Reply(Reply::method_not_allowed(dialect));
    }
    let mut options = CallOptions::new();
    options.token = token(request.headers());
    options.require_leader = header(request.headers(), "grpc-metadata-hasleader").as_deref() == Some("true");
    if let Some(timeout) = header(request.headers(), "grpc-timeout").filter(|timeout| !timeout.is_empty()) {
        match parse_timeout(&timeout) {
            Some(timeout) => options.timeout = Some(timeout),
            None => {
                let status = Status::new(Code::InvalidArgument, format!("invalid grpc-timeout: {timeout}"));
                return Route::Reply(Reply::error(dialect, &status));
            }
        }
    }
    Route::Call(rpc, options)
}

/// Whether the dialect's gateway has a path for a call.
fn is_served(dialect: Dialect, rpc: &Rpc) -> bool {
    match dialect {
        Dialect::G1_6 => {
            ![rows::AUTH_STATUS.name, rows::DOWNGRADE.name, rows::HASH_KV.name].contains(&rpc.name)
        }
        // Older descriptions map HashKV onto the path of Hash, which wins.
        Dialect::G1_16 => rpc.name != rows::HASH_KV.name,
        Dialect::G2 => true,
    }
}

/// What a server answers besides its calls.
fn plain(dialect: Dialect, server: &Server, method: &Method, path: &str) -> Reply {
    match (path, method) {
        ("/health", &Method::GET) => match (complaint(server), dialect) {
            (None, Dialect::G1_6) => Reply::text(StatusCode::OK, r#"{"health":"true"}"#),
            (None, _) => Reply::text(StatusCode::OK, r#"{"health":"true","reason":""}"#),
            (Some(_), Dialect::G1_6) => {
                Reply::text(StatusCode::SERVICE_UNAVAILABLE, "{\"health\":\"false\"}\n")
            }
            (Some(reason), _) => {
                let body = format!("{{\"health\":\"false\",\"reason\":\"{reason}\"}}\n");
                Reply::text(StatusCode::SERVICE_UNAVAILABLE, body)
            }
        },
        ("/health" | "/version", method) if *method != Method::GET => {
            let mut reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
            let allow = http::HeaderValue::from_static("GET");
            reply.head.headers_mut().insert(http::header::ALLOW, allow);
            reply
        }
        ("/version", _) => {
            let (server, cluster) = (dialect.server_version(), dialect.cluster_version());
            let body = format!(r#"{{"etcdserver":"{server}","etcdcluster":"{cluster}"}}"#);
            Reply::json(StatusCode::OK, body)
        }
        _ => Reply::text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

/// What is wrong with a server (`checkHealth` in `server/etcdserver/api/etcdhttp/metrics.go`).
fn complaint(server: &Server) -> Option<&'static str> {
    if server.is_out_of_space() {
        Some("ALARM NOSPACE")
    } else if !server.has_leader() {
        Some("RAFT NO LEADER")
    } else {
        None
    }
}

/// The token, from wherever the gateway passes one on. It is not unwrapped from `Bearer`: the servers that do that are
/// newer than the dialects.
fn token(headers: &HeaderMap) -> Option<String> {
    [
        "grpc-metadata-token",
        "authorization",
        "grpc-metadata-authorization",
    ]
    .into_iter()
    .find_map(|name| header(headers, name))
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Digits and a unit, as gRPC writes them. What is negative has passed already.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: i64 = digits.parse().ok()?;
    let amount = u64::try_from(amount).unwrap_or(0);
    match unit {
        "H" => Some(Duration::from_secs(amount.checked_mul(3600)?)),
        "M" => Some(Duration::from_secs(amount.checked_mul(60)?)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

fn decode_percent(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%'
            && let Some(code) = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())
            && let Ok(byte) = u8::from_str_radix(code, 16)
        {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        assert_eq!(parse_timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse_timeout("700m"), Some(Duration::from_millis(700)));
        assert_eq!(parse_timeout("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(parse_timeout("-1S"), Some(Duration::ZERO));
        for wrong in ["", "S", "2", "2s", "1.5S"] {
            assert_eq!(parse_timeout(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn percent_signs_are_decoded() {
        assert_eq!(decode_percent("/v3/kv/%72ange"), "/v3/kv/range");
        assert_eq!(decode_percent("/100%"), "/100%");
    }
}
