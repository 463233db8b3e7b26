//! A transport and a runtime of one's own: the async client on plain threads and blocking sockets, counting as it goes.
//!
//! `Transport` carries HTTP, `Runtime` keeps time and runs tasks; the client asks for nothing else. Here an exchange is a
//! thread, a timer is a thread, and a future is driven by parking the thread that waits for it. Slow, and complete.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example own_transport
//! ```

mod blocking_http;
mod endpoints;

use std::collections::BTreeMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::net::{Shutdown, TcpStream};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use anyetcd::transport::{
    BodyFrame, Delivery, RequestBody, ResponseBody, TransportError, TransportErrorKind,
};
use anyetcd::{BoxFuture, Client, Runtime, Transport, prefix};
use bytes::Bytes;
use futures_channel::{mpsc, oneshot};
use futures_core::Stream;
use http::{Request, Response};

fn main() -> anyetcd::Result<()> {
    let transport = Arc::new(BlockingTransport::default());
    block_on(tour(transport.clone()))?;

    let counts = transport.counts.lock().unwrap_or_else(PoisonError::into_inner);
    for (path, count) in counts.iter() {
        println!("{count} x {path}");
    }
    Ok(())
}

async fn tour(transport: Arc<BlockingTransport>) -> anyetcd::Result<()> {
    let client = Client::builder()
        .endpoints(endpoints::from_env())
        .transport(Arc::new(Threads), transport)
        .connect()
        .await?;
    // What an interrupted run left behind.
    client.delete(prefix("own_transport/")).await?;
    for n in 0..3 {
        client.put(format!("own_transport/{n}"), "value").await?;
    }
    let count = client.get(prefix("own_transport/")).await?.count;
    println!("{count} keys read back");
    client.delete(prefix("own_transport/")).await?;
    Ok(())
}

/// One thread and one connection for each exchange.
#[derive(Debug, Default)]
struct BlockingTransport {
    /// How often each path was asked for.
    counts: Mutex<BTreeMap<String, u32>>,
}

impl Transport for BlockingTransport {
    fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        let path = request.uri().path().to_owned();
        *self
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(path)
            .or_default() += 1;
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // A transport says what it cannot do, before it sends anything. Unary calls are all whole.
            let RequestBody::Full(body) = body else {
                return Err(unsent(TransportErrorKind::Unsupported));
            };
            if head.uri.scheme() != Some(&http::uri::Scheme::HTTP) {
                return Err(unsent(TransportErrorKind::Unsupported));
            }
            exchange(Request::from_parts(head, body)).await
        })
    }
}

/// Blocks in a thread, and passes on what comes.
async fn exchange(request: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
    let (socket_sender, socket) = oneshot::channel();
    let (head_sender, head) = oneshot::channel();
    let (frame_sender, frames) = mpsc::unbounded();
    thread::spawn(move || {
        let authority = request
            .uri()
            .authority()
            .map_or("", |authority| authority.as_str());
        let stream = match TcpStream::connect(authority) {
            Ok(stream) => stream,
            Err(error) => {
                // Nobody listens if the call was abandoned meanwhile; here and below.
                let _ = socket_sender.send(Err(unsent(TransportErrorKind::Connect).with_source(error)));
                return;
            }
        };
        // Not a byte is sent before whoever can abandon the exchange has what it takes.
        let handed_over = stream
            .try_clone()
            .is_ok_and(|socket| socket_sender.send(Ok(Hangup(socket))).is_ok());
        if !handed_over {
            return;
        }
        match blocking_http::exchange(stream, request) {
            Err(error) => {
                let _ = head_sender.send(Err(broken(error)));
            }
            Ok(response) => {
                let (head, mut body) = response.into_parts();
                let _ = head_sender.send(Ok(head));
                loop {
                    let frame = match body.next_piece() {
                        Ok(Some(piece)) => Ok(BodyFrame::Data(piece)),
                        Ok(None) => return,
                        Err(error) => Err(broken(error)),
                    };
                    let is_last = frame.is_err();
                    if frame_sender.unbounded_send(frame).is_err() || is_last {
                        return;
                    }
                }
            }
        }
    });

    let shut_down = |_| unsent(TransportErrorKind::Shutdown);
    let hangup = socket.await.map_err(shut_down)??;
    let head = head.await.map_err(|_| broken("the thread ended"))??;
    let body = ResponseBody::new(Frames {
        frames,
        _hangup: hangup,
    });
    Ok(Response::from_parts(head, body))
}

/// Closes the connection when it is dropped: an exchange that nobody waits for any more must not linger.
struct Hangup(TcpStream);

impl Drop for Hangup {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

struct Frames {
    frames: mpsc::UnboundedReceiver<Result<BodyFrame, TransportError>>,
    _hangup: Hangup,
}

impl Stream for Frames {
    type Item = Result<BodyFrame, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.frames).poll_next(cx)
    }
}

fn unsent(kind: TransportErrorKind) -> TransportError {
    TransportError::new(kind, Delivery::NotSent)
}

/// When in doubt, a request may have arrived: a write must not be repeated on a guess.
fn broken(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TransportError {
    TransportError::new(TransportErrorKind::Io, Delivery::MaybeSent).with_source(source)
}

/// A thread for each task and each timer.
#[derive(Debug)]
struct Threads;

impl Runtime for Threads {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        thread::spawn(|| block_on(task));
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        let (sender, wake) = oneshot::channel::<()>();
        thread::spawn(move || {
            // In steps, to end soon after the timer was dropped: most deadlines never come.
            while !sender.is_canceled() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    let _ = sender.send(());
                    return;
                }
                thread::sleep(left.min(Duration::from_millis(100)));
            }
        });
        Box::pin(async {
            let _ = wake.await;
        })
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn entropy(&self) -> u64 {
        RandomState::new().hash_one(0)
    }
}

/// Drives a future by parking this thread until it is woken.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
