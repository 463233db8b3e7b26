//! A runtime with a virtual clock and a connector whose sockets play scripts.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_core::runtime::{BoxFuture, Runtime};
use etcd_core::transport::{RequestBody, Transport, TransportError};
use etcd_http::{Connect, HttpConfig, HttpTransport, SocketOptions};
use hyper::rt::{Read, ReadBufCursor, Write};

/// Time moves only when everybody waits for it.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    state: Mutex<Timers>,
}

#[derive(Debug)]
struct Timers {
    now: Instant,
    sleepers: Vec<(Instant, Waker)>,
}

impl Clock {
    pub(crate) fn new() -> Arc<Self> {
        let start = Instant::now();
        let sleepers = Vec::new();
        let state = Mutex::new(Timers { now: start, sleepers });
        Arc::new(Self { start, state })
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.state.lock().unwrap().now - self.start
    }

    /// Runs `future` to its end, and returns how often it was polled, too.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> (T, usize) {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let mut future = std::pin::pin!(future);
        let mut polls = 0;
        loop {
            while flag.0.swap(false, Ordering::SeqCst) {
                polls += 1;
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return (output, polls);
                }
            }
            let mut timers = self.state.lock().unwrap();
            let next = timers.sleepers.iter().map(|(deadline, _)| *deadline).min();
            timers.now = next.expect("nothing will ever wake this future");
            let now = timers.now;
            let due: Vec<_> = timers
                .sleepers
                .extract_if(.., |(deadline, _)| *deadline <= now)
                .collect();
            drop(timers);
            for (_, sleeper) in due {
                sleeper.wake();
            }
        }
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(crate) struct Virtual(pub(crate) Arc<Clock>);

impl Runtime for Virtual {
    // Idle connections are swept in a task that no test here waits for.
    fn spawn(&self, _: BoxFuture<'static, ()>) {}

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        let clock = self.0.clone();
        Box::pin(std::future::poll_fn(move |cx| {
            let mut timers = clock.state.lock().unwrap();
            if timers.now >= deadline {
                return Poll::Ready(());
            }
            timers.sleepers.push((deadline, cx.waker().clone()));
            Poll::Pending
        }))
    }

    fn now(&self) -> Instant {
        self.0.state.lock().unwrap().now
    }

    fn entropy(&self) -> u64 {
        0
    }
}

/// What an attempt to connect comes to.
#[derive(Clone, Debug)]
pub(crate) enum Attempt {
    Accept(Script),
    Refuse,
    Silence,
}

/// What a socket does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// Handed out one read each, with a wait between them, once a whole request has been written.
    pub(crate) reads: VecDeque<Bytes>,
    /// Whether the connection stays open after the last read; it is closed unless set.
    pub(crate) keep_alive: bool,
    /// At most so much is taken by one write; all of it unless set.
    pub(crate) write_size: Option<usize>,
    /// After so many bytes, writing fails.
    pub(crate) writes_until: Option<usize>,
}

impl Script {
    pub(crate) fn of(pieces: &[&str]) -> Self {
        Self {
            reads: pieces
                .iter()
                .filter(|piece| !piece.is_empty())
                .map(|piece| Bytes::copy_from_slice(piece.as_bytes()))
                .collect(),
            ..Self::default()
        }
    }
}

#[derive(Debug)]
pub(crate) struct Scripted {
    /// `None`: the resolver stays silent.
    pub(crate) addresses: Option<Vec<SocketAddr>>,
    pub(crate) attempts: Mutex<VecDeque<Attempt>>,
    pub(crate) tried: Arc<Mutex<Vec<SocketAddr>>>,
    pub(crate) open: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) fn new(attempts: impl IntoIterator<Item = Attempt>) -> Self {
        Self {
            addresses: Some(Vec::new()),
            attempts: Mutex::new(attempts.into_iter().collect()),
            tried: Arc::default(),
            open: Arc::default(),
        }
    }
}

impl Connect for Scripted {
    type Io = Socket;

    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        match &self.addresses {
            Some(addresses) => Box::pin(std::future::ready(Ok(addresses.clone()))),
            None => Box::pin(std::future::pending()),
        }
    }

    fn connect(&self, address: SocketAddr, _: SocketOptions) -> BoxFuture<'_, io::Result<Socket>> {
        self.tried.lock().unwrap().push(address);
        let attempt = self.attempts.lock().unwrap().pop_front();
        Box::pin(async move {
            match attempt.expect("one attempt too many") {
                Attempt::Accept(script) => {
                    self.open.fetch_add(1, Ordering::SeqCst);
                    Ok(Socket::new(script, self.open.clone()))
                }
                Attempt::Refuse => Err(io::ErrorKind::ConnectionRefused.into()),
                Attempt::Silence => std::future::pending().await,
            }
        })
    }
}

/// A socket that plays a script. All requests have the body `{}`.
#[derive(Debug)]
pub(crate) struct Socket {
    script: Script,
    written: Vec<u8>,
    pause: bool,
    reader: Option<Waker>,
    open: Arc<AtomicUsize>,
}

impl Socket {
    fn new(script: Script, open: Arc<AtomicUsize>) -> Self {
        Self {
            script,
            written: Vec::new(),
            pause: false,
            reader: None,
            open,
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.written.ends_with(b"\r\n\r\n{}") {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if std::mem::replace(&mut self.pause, true) {
            self.pause = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.script.reads.pop_front() {
            Some(piece) => into.put_slice(&piece),
            None if self.script.keep_alive => return Poll::Pending,
            None => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut size = bytes.len().min(self.script.write_size.unwrap_or(usize::MAX));
        if let Some(limit) = self.script.writes_until {
            size = size.min(limit - self.written.len());
            if size == 0 {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
        }
        self.written.extend_from_slice(&bytes[..size]);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(size))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) fn transport(clock: &Arc<Clock>, connector: Scripted) -> HttpTransport<Scripted> {
    HttpTransport::new(connector, Arc::new(Virtual(clock.clone())), HttpConfig::new())
}

/// Posts `{}` and reads the answer to its end.
pub(crate) async fn post(transport: &dyn Transport, uri: &str) -> Result<Bytes, TransportError> {
    let request = http::Request::post(uri).body(RequestBody::from("{}")).unwrap();
    transport
        .exchange(request)
        .await?
        .into_body()
        .collect(1 << 20)
        .await
}
