//! Recorded exchanges with three real etcd servers, as typed values for tests.
//!
//! ```
//! for exchange in etcd_recordings::exchanges() {
//!     let Some(response) = &exchange.response else { continue };
//!     let body = response.body();
//!     // Name the exchange in what a test says when it fails:
//!     assert!(response.status >= 100, "{exchange}: {} bytes", body.len());
//! }
//! ```

mod content;
mod random;
mod raw;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

pub use content::{Content, Elided};
pub use random::Random;

/// The servers, one for each dialect of the gateway: grpc-gateway 1.6, 1.16 and 2.
pub const VERSIONS: [&str; 3] = ["3.4.23", "3.5.1", "3.5.30"];

/// The paths whose responses are streams: one JSON object per line.
pub const STREAM_PATHS: [&str; 4] = [
    "/v3/watch",
    "/v3/lease/keepalive",
    "/v3/election/observe",
    "/v3/maintenance/snapshot",
];

/// One exchange: a request and what became of it.
///
/// [`Display`](fmt::Display) shows where it is from: `3.5.1/kv/07-put`.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The version of the server.
    pub version: String,
    /// The file it is from, without `.jsonl`.
    pub scenario: String,
    /// Its name, unique within the scenario.
    pub name: String,
    /// What is special about it.
    pub note: Option<String>,
    /// The request; `None` if not even the TLS handshake succeeded.
    pub request: Option<Request>,
    /// The response; `None` if no head arrived.
    pub response: Option<Response>,
    /// Why there is no response: `open` (none came while one looked), `eof`, `reset`, ...
    pub no_response: Option<String>,
    /// The messages of a WebSocket, if it was one.
    pub web_socket: Vec<WebSocketMessage>,
    /// What else was done meanwhile, and what was seen besides.
    pub actions: Vec<String>,
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path and query.
    pub path: String,
    /// `HTTP/1.1`, `HTTP/1.0` or `HTTP/2`.
    pub http: String,
    /// The headers, in order; for HTTP/2 with the pseudo-headers.
    pub headers: Vec<(String, String)>,
    /// The head that was sent instead of the one these fields make.
    pub raw_head: Option<Content>,
    /// The body, in the steps in which it was sent. One step, unless it was sent little by little.
    pub body: Vec<Content>,
    /// Whether the body came to its end; a duplex stream may be left open.
    pub is_ended: bool,
}

/// A response as it arrived.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    /// How the body was delimited: `content-length`, `chunked`, `close`, `h2` or `none`.
    pub framing: String,
    /// The body, in HTTP chunks if it was chunked and in what each read gave otherwise.
    pub chunks: Vec<Content>,
    /// The trailers, in order.
    pub trailers: Vec<(String, String)>,
    /// How it ended.
    pub end: End,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As its framing says it should.
    Complete,
    /// It was still open when one last looked.
    Open,
    /// The connection was closed before the end.
    Eof,
    /// The connection was reset.
    Reset,
}

/// One message on a WebSocket.
#[derive(Clone, Debug)]
pub struct WebSocketMessage {
    /// Whether the client sent it.
    pub is_sent: bool,
    /// `text`, `binary`, `cont`, `close`, `ping` or `pong`.
    pub op: String,
    /// What it held.
    pub data: Content,
}

/// Every recorded exchange, by version, scenario and order of recording.
///
/// # Panics
///
/// If the recordings cannot be read; they are part of the source.
#[must_use]
pub fn exchanges() -> Vec<Exchange> {
    VERSIONS
        .iter()
        .flat_map(|version| scenarios(version).into_iter().map(move |path| (version, path)))
        .flat_map(|(_, path)| read(&path))
        .collect()
}

/// Every recorded stream, its body whole and in the pieces in which it came. Of one that was still open, what there was.
///
/// # Panics
///
/// As [`exchanges`].
#[must_use]
pub fn streams() -> Vec<(Exchange, Bytes, Vec<Bytes>)> {
    exchanges()
        .into_iter()
        .filter(Exchange::is_stream)
        .filter_map(|exchange| {
            let response = exchange.response.as_ref()?;
            let (body, pieces) = (response.body(), response.pieces());
            Some((exchange, body, pieces))
        })
        .collect()
}

/// The exchanges of one scenario with one server.
///
/// # Panics
///
/// If there are none of that name.
#[must_use]
pub fn scenario(version: &str, scenario: &str) -> Vec<Exchange> {
    read(&root().join(version).join(scenario).with_extension("jsonl"))
}

impl Exchange {
    /// Whether the server answered with a stream: one JSON object per line, of results or with an error.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        let is_stream_path = |request: &Request| {
            let path = request.path.split('?').next().unwrap_or_default();
            STREAM_PATHS.contains(&path.replacen("/v3beta/", "/v3/", 1).as_str())
        };
        self.request
            .as_ref()
            .is_some_and(|request| request.method == "POST" && is_stream_path(request))
            && self
                .response
                .as_ref()
                .is_some_and(|response| response.status == 200)
    }
}

impl Request {
    /// The whole body.
    #[must_use]
    pub fn body(&self) -> Bytes {
        content::join(&self.body)
    }

    /// The first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

impl Response {
    /// The whole body, or what there was of it.
    #[must_use]
    pub fn body(&self) -> Bytes {
        content::join(&self.chunks)
    }

    /// The body as it came, piece by piece.
    #[must_use]
    pub fn pieces(&self) -> Vec<Bytes> {
        self.chunks.iter().map(Content::bytes).collect()
    }

    /// The first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Whether its `Content-Type` says JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.header("content-type")
            .is_some_and(|value| value.starts_with("application/json"))
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.version, self.scenario, self.name)
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn scenarios(version: &str) -> Vec<PathBuf> {
    let folder = root().join(version);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder of the source can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Vec<Exchange> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .zip(1..)
        .map(|(line, number)| {
            serde_json::from_str::<raw::Exchange>(line)
                .unwrap_or_else(|error| panic!("{}:{number}: {error}", path.display()))
                .into()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_the_recordings_are_read() {
        let exchanges = exchanges();
        assert_eq!(exchanges.len(), 2172);
        for version in VERSIONS {
            assert!(
                exchanges
                    .iter()
                    .filter(|exchange| exchange.version == version)
                    .count()
                    > 600
            );
        }
        assert_eq!(
            exchanges
                .iter()
                .filter(|exchange| exchange.request.is_none())
                .count(),
            3
        );
        assert!(exchanges.iter().filter(|exchange| exchange.is_stream()).count() > 200);
        assert!(
            exchanges
                .iter()
                .all(|exchange| exchange.response.is_some() || exchange.no_response.is_some())
        );
    }

    #[test]
    fn a_scenario_is_found_by_name() {
        let first = &scenario("3.5.1", "kv")[0];
        assert!(first.to_string().starts_with("3.5.1/kv/"), "{first}");
    }
}
