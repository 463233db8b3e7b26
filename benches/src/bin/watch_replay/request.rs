//! The request, as anyetcd makes it, without anyetcd around it.

use std::time::Instant;

use anyetcd::prefix;
use anyetcd_benches::Tokio;
use bytes::Bytes;
use etcd_core::codec::to_json;
use etcd_core::endpoint::Endpoint;
use etcd_core::frame::LineFramer;
use etcd_core::gateway::{self, Metadata};
use etcd_core::machine::{WatchConnection, WatchMode, WatchOrigin, WatchStep, WatchTimes};
use etcd_core::message::{Watch, WatchCreate};
use etcd_core::rpc::Request as _;
use http::HeaderValue;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::history::{History, PREFIX};

/// All call themselves the same, since it goes over the wire with each request.
pub(crate) const USER_AGENT: &str = "watch_replay";

/// A stream that carries the watch.
pub(crate) struct Opened {
    pub(crate) answer: Incoming,
    /// Dropping it would end the request.
    _requests: Sender<Bytes>,
}

/// The lines that make a watch of everything there ever was: what the machine would have sent.
fn lines() -> Vec<Bytes> {
    let now = Instant::now();
    let mut machine = WatchConnection::new(WatchMode::Duplex, WatchTimes::default(), usize::MAX);
    let create = WatchCreate::new(prefix(PREFIX)).start_revision(1);
    machine.handle_create(create, WatchOrigin::Given);
    let WatchStep::Open { first, .. } = machine.poll_step(now, 0) else {
        unreachable!("a watch needs a stream");
    };
    machine.handle_opened(now);
    let mut messages = vec![first];
    while let WatchStep::Send(message) = machine.poll_step(now, 0) {
        messages.push(message);
    }
    let line = |message: &Watch| [&to_json(message)[..], b"\n"].concat().into();
    messages.iter().map(line).collect()
}

/// Opens the stream with the first line and sends the others once its head is there, on a connection of its own.
pub(crate) async fn open(url: &str) -> Result<Opened, String> {
    let endpoint: Endpoint = url.parse().map_err(|error| format!("{error}"))?;
    let mut metadata = Metadata::default();
    metadata.require_leader = Watch::from(WatchCreate::default()).needs_leader();
    metadata.user_agent = Some(HeaderValue::from_static(USER_AGENT));
    let mut request = gateway::stream_request_head(&endpoint, Watch::RPC, &metadata);
    let host = HeaderValue::from_str(endpoint.authority()).map_err(|error| error.to_string())?;
    request.headers_mut().insert(http::header::HOST, host);
    // In requests to servers a path is all there is.
    *request.uri_mut() = http::Uri::from_static("/v3/watch");

    let lines = lines();
    let (mut requests, body) = Channel::<Bytes>::new(lines.len());
    let mut lines = lines.into_iter();
    let first = lines.next().ok_or("nothing to send")?;
    requests
        .send_data(first)
        .await
        .map_err(|error| error.to_string())?;

    let stream = TcpStream::connect(endpoint.authority())
        .await
        .map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let response = sender
        .send_request(request.map(|()| body))
        .await
        .map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(response.status().to_string());
    }
    for line in lines {
        requests
            .send_data(line)
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(Opened {
        answer: response.into_body(),
        _requests: requests,
    })
}

/// How many bytes a server says until the last event is told.
pub(crate) fn bytes_of_the_answer(url: &str, history: History) -> Result<u64, String> {
    Tokio::CurrentThread.block_on(async {
        let mut opened = open(url).await?;
        let mut framer = LineFramer::new();
        let (mut events, mut bytes) = (0, 0);
        while events < history.events {
            let frame = opened
                .answer
                .frame()
                .await
                .ok_or("the stream ended")?
                .map_err(|error| error.to_string())?;
            let Ok(data) = frame.into_data() else { continue };
            bytes += data.len() as u64;
            framer.handle_chunk(data);
            while let Some(line) = framer.poll_line() {
                let line = line.map_err(|error| error.to_string())?;
                let message = gateway::stream_message::<Watch>(&line).map_err(|error| error.to_string())?;
                events += message.events.len();
            }
        }
        Ok(bytes)
    })
}
