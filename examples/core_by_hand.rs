//! The core without async: `etcd-core` over a blocking `std::net::TcpStream`.
//!
//! Messages, their encoding, and every decision about a call (where to send it, whether to send it again, when to give
//! up) are values and functions in the core. All it needs is somebody who carries bytes and looks at the clock, which is
//! what this program does.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example core_by_hand
//! ```

mod blocking_http;
mod endpoints;

use std::io;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_core::codec::to_json;
use etcd_core::endpoint::Endpoint;
use etcd_core::error::{Error, ErrorKind, InvalidArgument, ProtocolError, Result};
use etcd_core::gateway::{self, Metadata, StreamDecoder};
use etcd_core::key::prefix;
use etcd_core::machine::{CallStep, EndpointRing, Session, UnaryCall};
use etcd_core::message::{Delete, Get, Put, Watch, WatchCreate};
use etcd_core::rpc::{Limits, Request, Rpc};
use etcd_core::transport::{Delivery, TransportError, TransportErrorKind};

const TIMEOUT: Duration = Duration::from_secs(10);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

fn main() -> Result<()> {
    let mut client = BlockingClient::new(&endpoints::from_env())?;
    // What an interrupted run left behind.
    client.call(&Delete::new(prefix("core_by_hand/")))?;

    let first = client
        .call(&Put::new("core_by_hand/greeting", "hello"))?
        .header
        .revision;
    client.call(&Put::new("core_by_hand/greeting", "hello again"))?;
    for kv in client.call(&Get::new(prefix("core_by_hand/")))?.kvs {
        println!("{:?} = {:?}, written {} times", kv.key, kv.value, kv.version);
    }

    // A stream: the events since the first write, until both have come.
    let mut seen = 0;
    client.watch(
        WatchCreate::new("core_by_hand/greeting").start_revision(first),
        |value| {
            println!("event: {value:?}");
            seen += 1;
            seen < 2
        },
    )?;

    // An error is the same typed value that the async client returns.
    match client.call(&Put::new("core_by_hand/none", "").ignore_value()) {
        Err(error) => println!("as it should be: {:?}", error.etcd()),
        Ok(answer) => println!("unexpectedly {answer:?}"),
    }

    let deleted = client.call(&Delete::new(prefix("core_by_hand/")))?.deleted;
    println!("{deleted} key deleted");
    Ok(())
}

struct BlockingClient {
    ring: EndpointRing,
    session: Session,
}

impl BlockingClient {
    fn new(urls: &[String]) -> Result<Self> {
        let endpoints = urls
            .iter()
            .map(Endpoint::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        let ring = EndpointRing::new(endpoints).ok_or(InvalidArgument::EmptyList { what: "endpoint" })?;
        Ok(Self {
            ring,
            session: Session::anonymous(),
        })
    }

    /// Makes a call that is answered by one message: does what the machine says, and tells it how that went.
    fn call<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        request.validate(&Limits::default())?;
        let message = Bytes::from(to_json(request));
        let mut call = UnaryCall::new(
            R::RPC,
            request.retry_class(),
            Instant::now(),
            TIMEOUT,
            ATTEMPT_TIMEOUT,
        );
        loop {
            match call.poll_step(Instant::now(), &self.ring, &self.session) {
                CallStep::Send {
                    endpoint, give_up_at, ..
                } => {
                    let answer = send(&endpoint, R::RPC, message.clone(), give_up_at).and_then(|response| {
                        let (head, body) = response.into_parts();
                        let body = whole(body)?;
                        gateway::unary_response::<R>(head.status, &body)
                    });
                    match answer {
                        Ok(answer) => return Ok(answer),
                        Err(failure) => {
                            let (ring, session) = (&mut self.ring, &mut self.session);
                            call.handle_failure(Instant::now(), failure, entropy(), ring, session);
                        }
                    }
                }
                CallStep::Wait { until } => {
                    thread::sleep(until.saturating_duration_since(Instant::now()));
                }
                // Only a session with a login asks for one.
                CallStep::LogIn => call.handle_login(Ok(())),
                CallStep::Fail(error) => return Err(error),
            }
        }
    }

    /// Passes each value that is written to `handle`, until that has seen enough.
    fn watch(&mut self, watch: WatchCreate, mut handle: impl FnMut(&Bytes) -> bool) -> Result<()> {
        let message = Bytes::from(to_json(&Watch::Create(watch)));
        let endpoint = self.ring.current().clone();
        let mut body = send(&endpoint, Watch::RPC, message, Instant::now() + TIMEOUT)?.into_body();
        // The body is cut anywhere; a message is a line.
        let mut decoder = StreamDecoder::<Watch>::new();
        while let Some(piece) = body.next_piece().map_err(broken)? {
            decoder.handle_chunk(piece);
            while let Some(message) = decoder.poll_message() {
                for event in message?.events {
                    if !handle(&event.kv.value) {
                        return Ok(());
                    }
                }
            }
        }
        Err(Error::from(ProtocolError::Truncated))
    }
}

/// Sends a message to an endpoint, on a connection of its own.
fn send(
    endpoint: &Endpoint,
    rpc: &Rpc,
    message: Bytes,
    give_up_at: Instant,
) -> Result<http::Response<blocking_http::Body>, ErrorKind> {
    let request = gateway::request(endpoint, rpc, message, &Metadata::default());
    // Nothing was sent yet, so that a failure here does not keep a write from being tried again.
    let stream = TcpStream::connect(endpoint.authority()).map_err(|error| {
        TransportError::new(TransportErrorKind::Connect, Delivery::NotSent).with_source(error)
    })?;
    // Counts for each read on its own, which will do here. Zero would mean "for ever".
    let left = give_up_at
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1));
    stream.set_read_timeout(Some(left)).map_err(broken)?;
    blocking_http::exchange(stream, request).map_err(broken)
}

/// The whole of a body, within bounds: what a peer sends must not decide how much memory is used.
fn whole(mut body: blocking_http::Body) -> Result<Vec<u8>, ErrorKind> {
    let mut whole = Vec::new();
    while let Some(piece) = body.next_piece().map_err(broken)? {
        if whole.len() + piece.len() > MAX_RESPONSE_BYTES {
            return Err(ErrorKind::ResponseTooLarge {
                limit: MAX_RESPONSE_BYTES,
            });
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// The request may have arrived.
fn broken(error: io::Error) -> ErrorKind {
    TransportError::new(TransportErrorKind::Io, Delivery::MaybeSent)
        .with_source(error)
        .into()
}

/// For the jitter of pauses: the core has no randomness of its own. The clock's last digits are random enough here.
fn entropy() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |since| since.as_nanos() as u64)
}
