//! The HTTP face: JSON over HTTP, in the dialect of one's choice.
//!
//! # Driving it
//!
//! 1. Begin an exchange with [`Gateway::handle_request`]: the head of the request. The gateway names it with an
//!    [`ExchangeId`].
//! 2. Feed its body with [`Gateway::handle_body`], cut anywhere, and its end with [`Gateway::handle_end`].
//! 3. Report a client that went away with [`Gateway::handle_disconnect`].
//! 4. Let it say good-bye with [`Gateway::handle_shutdown`], as a server does that is asked to end.
//! 5. After each `handle_*`, take what [`Gateway::poll_output`] has: a head, then data, then the end. Arrange for
//!    [`Gateway::handle_timeout`] at the instant that [`Gateway::poll_timeout`] names.
//!
//! A head is not there before there is something to say: a lock that waits, or a watch whose client has not asked
//! for anything, has none.
//!
//! # States of an exchange
//!
//! ```text
//!   one request:  Collecting ── end of the body ──▶ Answering ── response ──▶ done
//!   stream of     Streaming ◀─┐ a message
//!   requests:         │  └────┘
//!                     ├── a message that cannot be read ──▶ Deaf: what was begun goes on, nothing new begins
//!                     └── the server ends it ──▶ done
//! ```
//!
//! Source: measured on servers of all dialects; grpc-gateway's `runtime/{errors,handler}.go`.

mod decode;
mod json;
mod reply;
mod route;
mod schema;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use etcd_core::error::Code;
use etcd_core::rpc::{Rpc, RpcKind, rows};
use http::{Request as HttpRequest, Response as HttpResponse};

use crate::server::{CallId, CallOptions, OutputEvent};
use crate::{Dialect, Response, Server, Status};
use decode::{Decoded, Undecodable};
use reply::Reply;
use route::Route;

/// An exchange in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(u64);

/// Something for the client of an exchange.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayOutput {
    /// The exchange.
    pub exchange: ExchangeId,
    /// What it is.
    pub event: GatewayEvent,
}

/// A part of a response, in this order.
#[derive(Clone, Debug)]
pub enum GatewayEvent {
    /// The head.
    Head(HttpResponse<()>),
    /// Some of the body. A line of a stream comes in one piece.
    Data(Bytes),
    /// The end of the body; nothing follows.
    End,
}

/// How much of a request is kept while it is incomplete. Real servers take more whitespace than that, and no more message.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// A [`Server`] behind its JSON gateway.
///
/// ```
/// use std::time::Instant;
/// use etcd_embedded::{Config, Gateway, GatewayEvent, Server};
///
/// let now = Instant::now();
/// let mut gateway = Gateway::new(Server::new(Config::new(), now, 42));
/// let request = http::Request::post("/v3/kv/put").body(())?;
/// let exchange = gateway.handle_request(now, &request);
/// gateway.handle_body(now, exchange, br#"{"key":"Zm9v","value":"YmFy"}"#);
/// gateway.handle_end(now, exchange);
///
/// let Some(GatewayEvent::Head(head)) = gateway.poll_output().map(|output| output.event) else { panic!() };
/// assert_eq!(head.status(), 200);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gateway {
    server: Server,
    exchanges: BTreeMap<ExchangeId, Exchange>,
    calls: BTreeMap<CallId, ExchangeId>,
    next_exchange: u64,
    is_shut_down: bool,
    outputs: VecDeque<GatewayOutput>,
}

#[derive(Clone, Debug)]
struct Exchange {
    rpc: &'static Rpc,
    options: CallOptions,
    phase: Phase,
    /// What has arrived and not been decoded.
    buffer: Vec<u8>,
    has_head: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Collecting,
    Answering(CallId),
    Streaming(CallId),
    Deaf(CallId),
}

impl Gateway {
    /// Puts a gateway in front of `server`, in the server's dialect.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self {
            server,
            exchanges: BTreeMap::new(),
            calls: BTreeMap::new(),
            next_exchange: 1,
            is_shut_down: false,
            outputs: VecDeque::new(),
        }
    }

    /// The server behind it, to look at.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The server behind it, to act on. What it says then is passed on by [`pump`](Self::pump).
    pub(crate) fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Begins anew, as a member does that crashed.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.is_shut_down = false;
        self.exchanges.clear();
        self.calls.clear();
        self.outputs.clear();
        self.is_shut_down = false;
        self.server.restart(now);
    }

    /// The number of exchanges in progress.
    #[must_use]
    pub fn exchange_count(&self) -> usize {
        self.exchanges.len()
    }

    /// Begins an exchange.
    pub fn handle_request<B>(&mut self, now: Instant, request: &HttpRequest<B>) -> ExchangeId {
        let id = ExchangeId(self.next_exchange);
        self.next_exchange += 1;
        if self.is_shut_down {
            let reply = Reply::error(self.dialect(), &shut_down(self.dialect()));
            self.reply(id, reply);
            return id;
        }
        match route::route(self.dialect(), &self.server, request) {
            Route::Reply(reply) => self.reply(id, reply),
            Route::Call(rpc, options)
                if rpc.kind == RpcKind::Bidirectional
                    && options.timeout.is_some_and(|timeout| timeout.is_zero()) =>
            {
                self.reply(id, Reply::too_late(self.dialect()));
            }
            Route::Call(rpc, options) => {
                let phase = if rpc.kind == RpcKind::Bidirectional {
                    let call = self.server.handle_open(now, rpc, options.clone());
                    self.calls.insert(call, id);
                    Phase::Streaming(call)
                } else {
                    Phase::Collecting
                };
                let exchange = Exchange {
                    rpc,
                    options,
                    phase,
                    buffer: Vec::new(),
                    has_head: false,
                };
                self.exchanges.insert(id, exchange);
                self.pump();
            }
        }
        id
    }

    /// Takes some of the body of a request.
    pub fn handle_body(&mut self, now: Instant, id: ExchangeId, data: &[u8]) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        match exchange.phase {
            Phase::Collecting | Phase::Streaming(_) => {
                if exchange.buffer.len() + data.len() > MAX_BODY_BYTES {
                    return self.refuse_body(now, id);
                }
                exchange.buffer.extend_from_slice(data);
            }
            Phase::Answering(_) | Phase::Deaf(_) => return,
        }
        self.take_messages(now, id, false);
        self.pump();
    }

    /// Takes note that the body of a request is complete.
    pub fn handle_end(&mut self, now: Instant, id: ExchangeId) {
        match self.exchanges.get(&id).map(|exchange| exchange.phase) {
            Some(Phase::Collecting) => self.call(now, id),
            Some(Phase::Streaming(call)) => {
                self.take_messages(now, id, true);
                self.server.handle_half_close(now, call);
            }
            Some(Phase::Answering(_) | Phase::Deaf(_)) | None => {}
        }
        self.pump();
    }

    /// Takes note that the client of an exchange has gone away.
    pub fn handle_disconnect(&mut self, now: Instant, id: ExchangeId) {
        if let Some(exchange) = self.exchanges.remove(&id)
            && let Some(call) = exchange.call()
        {
            self.calls.remove(&call);
            self.server.handle_disconnect(now, call);
        }
        self.outputs.retain(|output| output.exchange != id);
        self.pump();
    }

    /// Ends every exchange as a server does that was asked to end (SIGTERM): streams with an error as their last line,
    /// calls that wait with an error. Whatever comes later gets the same answer.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.is_shut_down = true;
        for id in self.exchanges.keys().copied().collect::<Vec<_>>() {
            self.shut_down(now, id);
        }
        self.pump();
    }

    /// Does what has become due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.server.handle_timeout(now);
        self.pump();
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout()
    }

    /// What is to be sent next.
    #[must_use = "an output that is not sent is lost"]
    pub fn poll_output(&mut self) -> Option<GatewayOutput> {
        self.outputs.pop_front()
    }

    fn dialect(&self) -> Dialect {
        self.server.config().dialect
    }

    /// Ends an exchange whose client sends without end.
    fn refuse_body(&mut self, now: Instant, id: ExchangeId) {
        let status = Status::new(Code::InvalidArgument, "http: request body too large");
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        if let Some(call) = exchange.call() {
            self.server.handle_disconnect(now, call);
        }
        if exchange.has_head {
            self.end_stream(id, Err(status));
        } else {
            self.reply(id, Reply::error(self.dialect(), &status));
        }
    }

    /// Ends an exchange because the server ends.
    fn shut_down(&mut self, now: Instant, id: ExchangeId) {
        let dialect = self.dialect();
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let is_unary = match exchange.rpc.kind {
            RpcKind::Unary => true,
            // Gateways 1.x wait for a head from behind them before they begin a stream of answers.
            RpcKind::ServerStream => dialect != Dialect::G2 && !exchange.has_head,
            _ => false,
        };
        if let Some(call) = exchange.call() {
            self.server.handle_disconnect(now, call);
        }
        let status = shut_down(dialect);
        if is_unary {
            self.reply(id, Reply::error(dialect, &status));
        } else {
            self.end_stream(id, Err(status));
        }
    }

    /// Decodes the one request of an exchange and makes the call.
    fn call(&mut self, now: Instant, id: ExchangeId) {
        let dialect = self.dialect();
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let buffer = std::mem::take(&mut exchange.buffer);
        let rpc = exchange.rpc;
        // What follows the first document is not looked at.
        let request = match decode::decode(dialect, rpc, &buffer) {
            Ok(Decoded::Request(request, _)) => Ok(request),
            Ok(Decoded::Nothing) => decode::empty(rpc),
            Ok(Decoded::Incomplete) => Err(Undecodable("unexpected EOF".into())),
            Err(undecodable) => Err(undecodable),
        };
        match request {
            Ok(_) if exchange.options.timeout.is_some_and(|timeout| timeout.is_zero()) => {
                self.reply(id, Reply::too_late(dialect));
            }
            Ok(request) => {
                let call = self.server.handle_call(now, request, exchange.options.clone());
                exchange.phase = Phase::Answering(call);
                self.calls.insert(call, id);
            }
            Err(Undecodable(message)) => {
                let status = Status::new(Code::InvalidArgument, message);
                self.reply(id, Reply::error(dialect, &status));
            }
        }
    }

    /// Passes on the messages of a stream that have arrived; at the `end`, what is left has to be nothing.
    fn take_messages(&mut self, now: Instant, id: ExchangeId, end: bool) {
        let dialect = self.dialect();
        while let Some(exchange) = self.exchanges.get_mut(&id)
            && let Phase::Streaming(call) = exchange.phase
        {
            let undecodable = match decode::decode(dialect, exchange.rpc, &exchange.buffer) {
                Ok(Decoded::Request(request, length)) => {
                    exchange.buffer.drain(..length);
                    self.server.handle_message(now, call, request);
                    self.pump();
                    continue;
                }
                Ok(Decoded::Nothing) => {
                    exchange.buffer.clear();
                    return;
                }
                Ok(Decoded::Incomplete) if end => Undecodable("unexpected EOF".into()),
                Ok(Decoded::Incomplete) => return,
                Err(undecodable) => undecodable,
            };
            self.turn_deaf(now, id, call, undecodable);
        }
    }

    /// A message of a stream cannot be read. Gateways 1.x say so if it is the first one; otherwise nobody is told.
    fn turn_deaf(&mut self, now: Instant, id: ExchangeId, call: CallId, undecodable: Undecodable) {
        let dialect = self.dialect();
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        if dialect != Dialect::G2 && !exchange.has_head {
            self.calls.remove(&call);
            self.server.handle_disconnect(now, call);
            let status = Status::new(Code::Unknown, undecodable.0);
            return self.reply(id, Reply::error(dialect, &status));
        }
        exchange.phase = Phase::Deaf(call);
        exchange.buffer = Vec::new();
        if exchange.rpc.name == rows::LEASE_KEEP_ALIVE.name {
            self.server.handle_half_close(now, call);
        }
    }

    /// Passes on what the server has to say.
    pub(crate) fn pump(&mut self) {
        while let Some(output) = self.server.poll_output() {
            let Some(id) = self.calls.get(&output.call).copied() else {
                continue;
            };
            let unary = self
                .exchanges
                .get(&id)
                .is_some_and(|exchange| exchange.rpc.kind == RpcKind::Unary);
            match output.event {
                OutputEvent::Message(response) if unary => {
                    self.reply(id, Reply::message(&response));
                }
                OutputEvent::End(Err(status)) if unary => {
                    self.reply(id, Reply::error(self.dialect(), &status));
                }
                OutputEvent::Message(response) => self.send_line(id, &response),
                OutputEvent::End(result) => self.end_stream(id, result),
            }
        }
    }

    fn send_line(&mut self, id: ExchangeId, response: &Response) {
        self.ensure_head(id, reply::stream_head(http::StatusCode::OK));
        self.push(id, GatewayEvent::Data(reply::line(response)));
    }

    fn end_stream(&mut self, id: ExchangeId, result: Result<(), Status>) {
        let dialect = self.dialect();
        match result {
            Ok(()) => self.ensure_head(id, reply::silent_stream_head(dialect)),
            Err(status) => {
                self.ensure_head(id, reply::stream_head(reply::http_status(dialect, status.code())));
                self.push(id, GatewayEvent::Data(reply::error_line(dialect, &status)));
            }
        }
        self.push(id, GatewayEvent::End);
        self.forget(id);
    }

    fn ensure_head(&mut self, id: ExchangeId, head: HttpResponse<()>) {
        if let Some(exchange) = self.exchanges.get_mut(&id)
            && !std::mem::replace(&mut exchange.has_head, true)
        {
            self.push(id, GatewayEvent::Head(head));
        }
    }

    fn reply(&mut self, id: ExchangeId, reply: Reply) {
        self.push(id, GatewayEvent::Head(reply.head));
        if !reply.body.is_empty() {
            self.push(id, GatewayEvent::Data(reply.body));
        }
        self.push(id, GatewayEvent::End);
        self.forget(id);
    }

    fn push(&mut self, exchange: ExchangeId, event: GatewayEvent) {
        self.outputs.push_back(GatewayOutput { exchange, event });
    }

    fn forget(&mut self, id: ExchangeId) {
        if let Some(call) = self.exchanges.remove(&id).and_then(|exchange| exchange.call()) {
            self.calls.remove(&call);
        }
    }
}

impl Exchange {
    fn call(&self) -> Option<CallId> {
        match self.phase {
            Phase::Collecting => None,
            Phase::Answering(call) | Phase::Streaming(call) | Phase::Deaf(call) => Some(call),
        }
    }
}

/// What the connection behind the gateway says when the server ends (grpc-go's words; seen on servers of each dialect).
fn shut_down(dialect: Dialect) -> Status {
    let message = match dialect {
        Dialect::G1_6 => "transport is closing",
        Dialect::G1_16 | Dialect::G2 => "error reading from server: EOF",
    };
    Status::new(Code::Unavailable, message)
}
