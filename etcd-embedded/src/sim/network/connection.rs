//! One exchange, and the connection that carries it.
//!
//! # States
//!
//! ```text
//!   client   Connecting ── accepted ──▶ Open ── end of the response, or it broke ──▶ Over
//!                 └── refused, or nobody answers ─────────────────────────────────────▲
//!   server   nothing ── request arrives ──▶ serves the exchange ── its end, or it learns that the client has gone ──▶ done
//! ```
//!
//! The two ends are apart: either may be over long before the other learns of it.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;
use etcd_core::transport::{SendMark, TransportErrorKind};

use crate::{ExchangeId, GatewayEvent};

/// Names a connection, in the order in which they were opened.
pub(crate) type ConnectionId = u64;

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: usize,
    pub(crate) node: usize,
    pub(crate) path: String,
    /// Absent once it has been sent.
    pub(crate) request: Option<Outgoing>,
    pub(crate) fate: Fate,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,

    pub(crate) phase: Phase,
    pub(crate) inbox: VecDeque<Arrived>,
    pub(crate) reader: Option<Waker>,
    /// The task that sends a streamed request body.
    pub(crate) upload: Option<Waker>,
    pub(crate) mark: Option<SendMark>,
    /// The head of the response is on its way.
    pub(crate) is_answered: bool,
    /// What the server writes from now on leads nowhere.
    pub(crate) is_broken: bool,
    /// Nobody reads any more what arrives.
    pub(crate) is_abandoned: bool,

    /// Which life of the member accepted it.
    pub(crate) incarnation: u64,
    pub(crate) exchange: Option<ExchangeId>,
    /// The server has nothing more to do with it.
    pub(crate) is_served: bool,
    /// What the server has written and not been sent yet.
    pub(crate) outgoing: Vec<GatewayEvent>,
}

/// A request that has not been sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) head: Box<http::Request<()>>,
    /// `None` for a body that is a stream.
    pub(crate) body: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    Open,
    /// The client has been told how it ended.
    Over,
}

/// What becomes of an exchange, decided when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Good,
    Refused,
    Unreachable,
    RequestLost,
    ResponseLost,
    /// Nothing arrives at the server.
    BlackHoleUp,
    /// Nothing arrives at the client.
    BlackHoleDown,
}

/// One direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pipe {
    /// Nothing arrives before what was sent before it.
    pub(crate) free_at: Instant,
    pub(crate) is_black_hole: bool,
}

impl Pipe {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            free_at: now,
            is_black_hole: false,
        }
    }

    /// When something arrives that would by itself at `at`.
    pub(crate) fn arrival(&mut self, at: Instant) -> Instant {
        self.free_at = self.free_at.max(at);
        self.free_at
    }
}

/// What has arrived at the client.
#[derive(Debug)]
pub(crate) enum Arrived {
    Head(Box<http::Response<()>>),
    Data(Bytes),
    End,
    Failure(Failure),
}

/// Why an exchange broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: TransportErrorKind,
    pub(crate) is_sent: bool,
}

/// What arrives at the server.
#[derive(Debug)]
pub(crate) enum ToServer {
    Request(Outgoing),
    Body(Bytes),
    End,
    /// The client has closed the connection.
    Gone,
}
