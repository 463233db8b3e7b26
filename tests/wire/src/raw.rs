//! The recordings as they are written, and from there to the public types.

use serde::Deserialize;

use super::{Content, End};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    name: String,
    server_version: String,
    scenario: String,
    note: Option<String>,
    request: Option<Request>,
    response: Option<Response>,
    no_response: Option<String>,
    #[serde(rename = "no_response_ms")]
    _no_response_ms: Option<f64>,
    handshake_error: Option<String>,
    #[serde(default)]
    ws: Vec<WebSocketMessage>,
    #[serde(default)]
    actions: Vec<Action>,
    #[serde(rename = "interim")]
    _interim: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    path: String,
    http: String,
    headers: Vec<(String, String)>,
    body: Option<RequestBody>,
    raw_head: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RequestBody {
    Whole(Content),
    Steps(Vec<Step>),
}

#[derive(Deserialize)]
struct Step {
    data: Content,
    #[serde(default)]
    end: bool,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    framing: String,
    body_chunks: Vec<Content>,
    trailers: Vec<(String, String)>,
    end: RawEnd,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawEnd {
    Complete,
    Open,
    Eof,
    Reset,
}

#[derive(Deserialize)]
struct WebSocketMessage {
    dir: String,
    op: String,
    data: Content,
}

#[derive(Deserialize)]
struct Action {
    what: String,
}

impl From<Exchange> for super::Exchange {
    fn from(raw: Exchange) -> Self {
        Self {
            version: raw.server_version,
            scenario: raw.scenario,
            name: raw.name,
            note: raw.note,
            request: raw.request.map(Into::into),
            response: raw.response.map(Into::into),
            no_response: raw.no_response.or(raw.handshake_error),
            web_socket: raw.ws.into_iter().map(Into::into).collect(),
            actions: raw.actions.into_iter().map(|action| action.what).collect(),
        }
    }
}

impl From<Request> for super::Request {
    fn from(raw: Request) -> Self {
        let (body, is_ended) = match raw.body {
            None => (Vec::new(), true),
            Some(RequestBody::Whole(content)) => (vec![content], true),
            Some(RequestBody::Steps(steps)) => {
                let is_ended = steps.last().is_some_and(|step| step.end);
                (steps.into_iter().map(|step| step.data).collect(), is_ended)
            }
        };
        Self {
            method: raw.method,
            path: raw.path,
            http: raw.http,
            headers: raw.headers,
            raw_head: raw.raw_head,
            body,
            is_ended,
        }
    }
}

impl From<Response> for super::Response {
    fn from(raw: Response) -> Self {
        Self {
            status: raw.status,
            headers: raw.headers,
            framing: raw.framing,
            chunks: raw.body_chunks,
            trailers: raw.trailers,
            end: match raw.end {
                RawEnd::Complete => End::Complete,
                RawEnd::Open => End::Open,
                RawEnd::Eof => End::Eof,
                RawEnd::Reset => End::Reset,
            },
        }
    }
}

impl From<WebSocketMessage> for super::WebSocketMessage {
    fn from(raw: WebSocketMessage) -> Self {
        Self {
            is_sent: raw.dir == "send",
            op: raw.op,
            data: raw.data,
        }
    }
}
