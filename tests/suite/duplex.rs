//! Both directions of one exchange at once, over HTTP/1.1: what the gateway was held to be unable of.

use std::collections::VecDeque;
use std::sync::Arc;

use anyetcd::message::{EventType, Watch, WatchCancel, WatchCreate, WatchProgress, WatchResponse};
use anyetcd::transport::{BodyFrame, RequestBody, ResponseBody, Transport};
use anyetcd::{Client, HttpConfig};
use bytes::Bytes;
use etcd_core::codec::to_json;
use etcd_core::frame::LineFramer;
use etcd_core::gateway::{self, Metadata};
use etcd_core::rpc::Request;
use etcd_http::HttpTransport;
use futures_channel::mpsc::{UnboundedSender, unbounded};

use super::World;
use super::proxy::Proxy;

/// A watch stream by hand: the client's own comes with its state machine.
struct WatchStream {
    messages: UnboundedSender<Bytes>,
    body: ResponseBody,
    framer: LineFramer,
    responses: VecDeque<WatchResponse>,
}

impl WatchStream {
    /// Opens it with its first message, without which a server sends no head.
    async fn open(url: &str, first: impl Into<Watch>) -> Self {
        let runtime = crate::harness::runtime();
        let transport = HttpTransport::new(runtime.clone(), Arc::new(runtime), HttpConfig::new());
        let (messages, receiver) = unbounded();
        let endpoint = url.parse().unwrap();
        let head = gateway::stream_request_head(&endpoint, Watch::RPC, &Metadata::default());
        messages.unbounded_send(line(first)).unwrap();
        let request = head.map(|()| RequestBody::stream(receiver));
        let response = transport.exchange(request).await.unwrap();
        assert_eq!(response.status(), 200);
        Self {
            messages,
            body: response.into_body(),
            framer: LineFramer::new(),
            responses: VecDeque::new(),
        }
    }

    fn say(&self, message: impl Into<Watch>) {
        self.messages.unbounded_send(line(message)).unwrap();
    }

    async fn hear(&mut self) -> WatchResponse {
        loop {
            while let Some(line) = self.framer.poll_line() {
                let response = gateway::stream_message::<Watch>(&line.unwrap()).unwrap();
                self.responses.push_back(response);
            }
            if let Some(response) = self.responses.pop_front() {
                return response;
            }
            match self.body.next_frame().await {
                Some(frame) => {
                    if let BodyFrame::Data(chunk) = frame.unwrap() {
                        self.framer.handle_chunk(chunk);
                    }
                }
                None => panic!("the server ended the stream"),
            }
        }
    }
}

/// One message a line.
fn line(message: impl Into<Watch>) -> Bytes {
    let mut line = to_json(&message.into());
    line.push(b'\n');
    line.into()
}

/// The next answer has events of exactly this watch and key.
async fn hears_a_put(stream: &mut WatchStream, watch_id: i64, key: &str) {
    let response = stream.hear().await;
    assert_eq!((response.watch_id, response.events.len()), (watch_id, 1));
    let event = &response.events[0];
    assert_eq!((&event.event_type, event.kv.key_str()), (&EventType::Put, Some(key)));
}

pub(crate) async fn a_watch_gains_a_key_and_loses_another_on_one_socket(world: World) {
    let proxy = Proxy::new(world.server().client_addr());
    let client: &Client = &world.client;
    let (first, second) = (world.key("first"), world.key("second"));

    let mut stream = WatchStream::open(&proxy.url(), WatchCreate::new(&first).watch_id(1)).await;
    let created = stream.hear().await;
    assert!(created.created && created.watch_id == 1);
    client.put(&first, "1").await.unwrap();
    hears_a_put(&mut stream, 1, &first).await;

    // Another key, while the first watch lives and the request is open.
    stream.say(WatchCreate::new(&second).watch_id(2));
    let created = stream.hear().await;
    assert!(created.created && created.watch_id == 2);
    client.put(&second, "1").await.unwrap();
    hears_a_put(&mut stream, 2, &second).await;
    client.put(&first, "2").await.unwrap();
    hears_a_put(&mut stream, 1, &first).await;

    // The first one goes; what happens to its key is not heard any more.
    stream.say(WatchCancel::new(1));
    let canceled = stream.hear().await;
    assert!(canceled.canceled && canceled.watch_id == 1);
    client.put(&first, "3").await.unwrap();
    let last = client.put(&second, "2").await.unwrap().header.revision;
    hears_a_put(&mut stream, 2, &second).await;

    stream.say(WatchProgress::default());
    let progress = stream.hear().await;
    assert!(progress.events.is_empty() && progress.header.revision >= last);
    assert_eq!(proxy.open_connections(), 1);
}

pub(crate) async fn a_dropped_stream_leaves_no_watcher_behind(world: World) {
    let server = world.own_server();
    let watchers = "etcd_debugging_mvcc_watcher_total";
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = WatchStream::open(server.client_url(), WatchCreate::new("k").watch_id(1)).await;
        assert!(stream.hear().await.created);
        streams.push(stream);
    }
    server.wait_for_metric(watchers, |count| count == 5.0);
    drop(streams);
    server.wait_for_metric(watchers, |count| count == 0.0);
}
