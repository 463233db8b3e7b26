//! A client's exchanges with an embedded server, on a clock that is stepped by hand.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_core::runtime::{BoxFuture, Runtime};
use etcd_core::transport::{BodyFrame, RequestBody, ResponseBody, Transport, TransportErrorKind};
use etcd_embedded::{Config, EMBEDDED_ENDPOINT, EmbeddedTransport, Server};
use futures_core::Stream;
use http::{Request, Response};

/// A runtime that runs when told to, with a clock that moves when told to.
#[derive(Clone, Default)]
struct Stepped(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    elapsed: Duration,
    start: Option<Instant>,
    tasks: Vec<BoxFuture<'static, ()>>,
    sleepers: Vec<(Instant, Waker)>,
}

impl std::fmt::Debug for Stepped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stepped")
    }
}

impl Runtime for Stepped {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().tasks.push(task);
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        let runtime = self.clone();
        Box::pin(poll_fn(move |cx| {
            if runtime.now() >= deadline {
                return Poll::Ready(());
            }
            runtime
                .0
                .lock()
                .unwrap()
                .sleepers
                .push((deadline, cx.waker().clone()));
            Poll::Pending
        }))
    }

    fn now(&self) -> Instant {
        let mut state = self.0.lock().unwrap();
        *state.start.get_or_insert_with(Instant::now) + state.elapsed
    }

    fn entropy(&self) -> u64 {
        7
    }
}

impl Stepped {
    /// Polls every task until none has anything to do.
    fn run(&self) {
        let woken = Arc::new(Flag::default());
        loop {
            let tasks = std::mem::take(&mut self.0.lock().unwrap().tasks);
            let waker = Waker::from(woken.clone());
            let mut left = Vec::new();
            for mut task in tasks {
                if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                    left.push(task);
                }
            }
            let mut state = self.0.lock().unwrap();
            let spawned = !state.tasks.is_empty();
            left.append(&mut state.tasks);
            state.tasks = left;
            if !woken.take() && !spawned {
                return;
            }
        }
    }

    fn pass(&self, duration: Duration) {
        let now = {
            let mut state = self.0.lock().unwrap();
            state.elapsed += duration;
            state.start.unwrap() + state.elapsed
        };
        let sleepers = std::mem::take(&mut self.0.lock().unwrap().sleepers);
        for (deadline, waker) in sleepers {
            if deadline <= now {
                waker.wake();
            } else {
                self.0.lock().unwrap().sleepers.push((deadline, waker));
            }
        }
        self.run();
    }

    fn task_count(&self) -> usize {
        self.0.lock().unwrap().tasks.len()
    }

    /// Runs everything and polls `future` once: what it has by now.
    fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        self.run();
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn finish<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        for _ in 0..100 {
            if let Poll::Ready(output) = self.poll(future.as_mut()) {
                return output;
            }
        }
        panic!("the future waits for something that does not come by itself");
    }
}

#[derive(Default)]
struct Flag(std::sync::atomic::AtomicBool);

impl Flag {
    fn take(&self) -> bool {
        self.0.swap(false, std::sync::atomic::Ordering::SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

/// A request body that a test feeds.
#[derive(Clone, Default)]
struct Feed(Arc<Mutex<Fed>>);

#[derive(Default)]
struct Fed {
    pieces: VecDeque<Bytes>,
    ended: bool,
    waker: Option<Waker>,
}

impl Feed {
    fn send(&self, text: &str) {
        let mut state = self.0.lock().unwrap();
        state.pieces.push_back(Bytes::copy_from_slice(text.as_bytes()));
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn end(&self) {
        let mut state = self.0.lock().unwrap();
        state.ended = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

impl Stream for Feed {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.0.lock().unwrap();
        match state.pieces.pop_front() {
            Some(bytes) => Poll::Ready(Some(bytes)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

struct World {
    runtime: Stepped,
    transport: EmbeddedTransport,
}

impl World {
    fn new() -> Self {
        let runtime = Stepped::default();
        let server = Server::new(Config::new(), runtime.now(), 1);
        let transport = EmbeddedTransport::new(server, Arc::new(runtime.clone()));
        Self { runtime, transport }
    }

    fn request(path: &str, body: impl Into<RequestBody>) -> Request<RequestBody> {
        Request::post(format!("{EMBEDDED_ENDPOINT}{path}"))
            .body(body.into())
            .unwrap()
    }

    fn begin(&self, path: &str, feed: &Feed) -> Response<ResponseBody> {
        let request = Self::request(path, RequestBody::stream(feed.clone()));
        self.runtime.finish(self.transport.exchange(request)).unwrap()
    }

    fn post(&self, path: &str, body: &'static str) -> String {
        let response = self
            .runtime
            .finish(self.transport.exchange(Self::request(path, body)))
            .unwrap();
        let status = response.status();
        let body = self
            .runtime
            .finish(response.into_body().collect(1 << 20))
            .unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    fn next_line(&self, body: &mut ResponseBody) -> Option<String> {
        match self.runtime.poll(pin!(body.next_frame())) {
            Poll::Ready(Some(frame)) => match frame.unwrap() {
                BodyFrame::Data(data) => Some(String::from_utf8(data.to_vec()).unwrap()),
                other => panic!("{other:?}"),
            },
            Poll::Ready(None) => Some("end".into()),
            Poll::Pending => None,
        }
    }
}

const PUT: &str = r#"{"key":"Zm9v","value":"YmFy"}"#;

#[test]
fn a_call_is_answered_without_a_socket() {
    let world = World::new();
    assert!(world.post("/v3/kv/put", PUT).contains(r#""revision":"2""#));
    assert!(
        world
            .post("/v3/kv/range", r#"{"key":"Zm9v"}"#)
            .contains(r#""value":"YmFy""#)
    );
}

#[test]
fn both_bodies_of_a_stream_are_open_at_once() {
    let world = World::new();
    let feed = Feed::default();
    feed.send(r#"{"create_request":{"key":"Zm9v"}}"#);
    let mut body = world.begin("/v3/watch", &feed).into_body();
    assert!(world.next_line(&mut body).unwrap().contains(r#""created":true"#));
    assert_eq!(world.next_line(&mut body), None);

    world.post("/v3/kv/put", PUT);
    assert!(world.next_line(&mut body).unwrap().contains(r#""value":"YmFy""#));
    feed.send(r#"{"create_req"#);
    assert_eq!(world.next_line(&mut body), None);
    feed.send(r#"uest":{"key":"YQ=="}}{"cancel_request":{"watch_id":"1"}}"#);
    assert!(
        world
            .next_line(&mut body)
            .unwrap()
            .contains(r#""watch_id":"1","created":true"#)
    );
    assert!(world.next_line(&mut body).unwrap().contains(r#""canceled":true"#));
    assert_eq!(world.transport.inspect(Server::watch_count), 1);
}

#[test]
fn dropping_the_response_leaves_nothing_behind() {
    let world = World::new();
    let idle = world.runtime.task_count();
    let feed = Feed::default();
    feed.send(r#"{"create_request":{"key":"Zm9v"}}"#);
    let response = world.begin("/v3/watch", &feed);
    assert_eq!(world.transport.inspect(Server::watch_count), 1);
    drop(response);
    world.runtime.run();
    assert_eq!(world.transport.inspect(Server::watch_count), 0);
    assert_eq!(world.transport.inspect(Server::call_count), 0);
    assert_eq!(
        world.runtime.task_count(),
        idle,
        "the upload goes on without its exchange"
    );
}

#[test]
fn dropping_a_waiting_lock_gives_its_place_up() {
    let world = World::new();
    for lease in [r#"{"TTL":"60","ID":"7"}"#, r#"{"TTL":"60","ID":"8"}"#] {
        world.post("/v3/lease/grant", lease);
    }
    world.post("/v3/lock/lock", r#"{"name":"TA==","lease":"7"}"#);
    {
        let waiting = world
            .transport
            .exchange(World::request("/v3/lock/lock", r#"{"name":"TA==","lease":"8"}"#));
        let mut waiting = pin!(waiting);
        assert!(world.runtime.poll(waiting.as_mut()).is_pending());
        assert!(
            world
                .post("/v3/kv/range", r#"{"key":"TC8=","range_end":"TDA="}"#)
                .contains(r#""count":"2""#)
        );
    }
    assert!(
        world
            .post("/v3/kv/range", r#"{"key":"TC8=","range_end":"TDA="}"#)
            .contains(r#""count":"1""#)
    );
}

#[test]
fn a_lease_expires_on_the_clock_of_the_runtime_without_any_request() {
    let world = World::new();
    world.post("/v3/lease/grant", r#"{"TTL":"5","ID":"7"}"#);
    world.post("/v3/kv/put", r#"{"key":"Zm9v","lease":"7"}"#);
    let feed = Feed::default();
    feed.send(r#"{"create_request":{"key":"Zm9v"}}"#);
    let mut body = world.begin("/v3/watch", &feed).into_body();
    world.next_line(&mut body).unwrap();

    world.runtime.pass(Duration::from_secs(4));
    assert_eq!(world.next_line(&mut body), None);
    world.runtime.pass(Duration::from_secs(1));
    assert!(world.next_line(&mut body).unwrap().contains(r#""type":"DELETE""#));
}

#[test]
fn a_stream_of_keep_alives_ends_with_its_request() {
    let world = World::new();
    world.post("/v3/lease/grant", r#"{"TTL":"5","ID":"7"}"#);
    let feed = Feed::default();
    feed.send(r#"{"ID":"7"}"#);
    let mut body = world.begin("/v3/lease/keepalive", &feed).into_body();
    assert!(world.next_line(&mut body).unwrap().contains(r#""TTL":"5""#));
    assert_eq!(world.next_line(&mut body), None);
    feed.end();
    assert_eq!(world.next_line(&mut body).as_deref(), Some("end"));
}

#[test]
fn the_task_for_the_deadlines_ends_with_the_transport() {
    let world = World::new();
    world.post("/v3/lease/grant", r#"{"TTL":"5","ID":"7"}"#);
    world.runtime.run();
    assert_eq!(world.runtime.task_count(), 1);
    let World { runtime, transport } = world;
    drop(transport);
    runtime.run();
    assert_eq!(runtime.task_count(), 0);
}

#[test]
fn a_scheme_that_is_not_http_is_refused() {
    let world = World::new();
    let request = Request::post("ftp://etcd.invalid/v3/kv/put")
        .body(RequestBody::from(PUT))
        .unwrap();
    let error = world
        .runtime
        .finish(world.transport.exchange(request))
        .unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Unsupported);
}
