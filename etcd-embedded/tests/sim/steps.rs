//! What the tests do, in their words.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_core::transport::{BodyFrame, RequestBody, ResponseBody, SendMark, Transport as _, TransportError};
use etcd_embedded::sim::{SimTransport, World};
use futures_channel::mpsc::{UnboundedSender, unbounded};
use http::{Request, Response};
use serde_json::Value;

pub(crate) const PUT: &str = "/v3/kv/put";
pub(crate) const RANGE: &str = "/v3/kv/range";
pub(crate) const WATCH: &str = "/v3/watch";
pub(crate) const KEEP_ALIVE: &str = "/v3/lease/keepalive";
/// Key `foo`, value `bar`.
pub(crate) const FOO_BAR: &str = r#"{"key":"Zm9v","value":"YmFy"}"#;
pub(crate) const FOO: &str = r#"{"key":"Zm9v"}"#;
pub(crate) const FOO_AS_IS: &str = r#"{"key":"Zm9v","serializable":true}"#;
pub(crate) const WATCH_FOO: &str = r#"{"create_request":{"key":"Zm9v"}}"#;

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// One client.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) transport: Arc<SimTransport>,
    pub(crate) mark: SendMark,
    requires_leader: bool,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// A stream of messages both ways.
pub(crate) struct Duplex {
    pub(crate) requests: UnboundedSender<Bytes>,
    pub(crate) status: u16,
    body: ResponseBody,
    buffer: Vec<u8>,
}

impl Caller {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            transport: world.transport(),
            mark: SendMark::default(),
            requires_leader: false,
        }
    }

    pub(crate) fn requiring_leader(mut self) -> Self {
        self.requires_leader = true;
        self
    }

    fn request(&self, member: usize, path: &str, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::post(format!("http://member-{member}.sim{path}"))
            .extension(self.mark.clone())
            .body(body)
            .unwrap();
        if self.requires_leader {
            let yes = http::HeaderValue::from_static("true");
            request.headers_mut().insert("grpc-metadata-hasleader", yes);
        }
        request
    }

    pub(crate) async fn post(&self, member: usize, path: &str, body: &str) -> Result<Answer, TransportError> {
        let body = RequestBody::from(Bytes::copy_from_slice(body.as_bytes()));
        let response = self.transport.exchange(self.request(member, path, body)).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect(1 << 20).await?;
        let body = serde_json::from_slice(&body).unwrap();
        Ok(Answer { status, body })
    }

    /// The status and text of what a path has to say.
    pub(crate) async fn look(&self, member: usize, path: &str) -> (u16, String) {
        let request = Request::get(format!("http://member-{member}.sim{path}"))
            .body(RequestBody::from(Bytes::new()))
            .unwrap();
        let response = self.transport.exchange(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect(1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Posts with a token.
    pub(crate) async fn post_as(&self, member: usize, path: &str, body: &str, token: &str) -> Answer {
        let body = RequestBody::from(Bytes::copy_from_slice(body.as_bytes()));
        let mut request = self.request(member, path, body);
        request
            .headers_mut()
            .insert("authorization", token.parse().unwrap());
        let response = self.transport.exchange(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect(1 << 20).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        Answer { status, body }
    }

    /// Posts what must succeed.
    pub(crate) async fn get(&self, member: usize, path: &str, body: &str) -> Value {
        let answer = self.post(member, path, body).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Opens a stream with its first message, and waits for the head of the answer.
    pub(crate) async fn open(
        &self,
        member: usize,
        path: &str,
        first: &str,
    ) -> Result<Duplex, TransportError> {
        let (requests, body) = unbounded();
        requests
            .unbounded_send(Bytes::copy_from_slice(first.as_bytes()))
            .unwrap();
        let request = self.request(member, path, RequestBody::stream(body));
        let response: Response<ResponseBody> = self.transport.exchange(request).await?;
        Ok(Duplex {
            requests,
            status: response.status().as_u16(),
            body: response.into_body(),
            buffer: Vec::new(),
        })
    }
}

impl Duplex {
    pub(crate) fn send(&self, message: &str) {
        self.requests
            .unbounded_send(Bytes::copy_from_slice(message.as_bytes()))
            .unwrap();
    }

    /// The next line, whatever pieces it comes in; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, TransportError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.buffer.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).unwrap()));
            }
            match self.body.next_frame().await {
                Some(Ok(BodyFrame::Data(data))) => {
                    assert!(!data.is_empty());
                    self.buffer.extend_from_slice(&data);
                }
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            }
        }
    }

    /// The next line of a stream that goes on.
    pub(crate) async fn line(&mut self) -> Value {
        self.next().await.unwrap().unwrap()
    }

    /// The next line, if there is one within `patience`.
    pub(crate) async fn line_within(&mut self, world: &World, patience: Duration) -> Option<Value> {
        use futures_util::future::{Either, select};
        let next = std::pin::pin!(self.next());
        match select(next, std::pin::pin!(world.sleep(patience))).await {
            Either::Left((line, _)) => Some(line.unwrap().unwrap()),
            Either::Right(_) => None,
        }
    }

    /// What has arrived of a line that is not complete.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer
    }
}

/// A number that the gateway writes as text.
pub(crate) fn number(value: &Value) -> i64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}

pub(crate) fn revision(answer: &Value) -> i64 {
    number(&answer["header"]["revision"])
}
