//! What a connection and those who use it say to each other: what a watch and its connection are asked to be, what is to
//! be done, and what there is to tell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::EventBatch;
use crate::error::Error;
use crate::message::{Get, Watch};

/// A watch of a connection. Never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub(super) u64);

/// Where a watch's start revision is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchOrigin {
    /// It was asked for, and may lie in the past or in the future.
    Given,
    /// It follows the revision of a read just made.
    Read,
    /// An earlier watch has seen everything before it.
    Resumed,
}

/// How the connection carries its watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchMode {
    /// Any number of them, created and cancelled while it lives.
    Duplex,
    /// One, which is named when the stream is opened and ends with it.
    Single,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchTimes {
    /// After hearing nothing for this time, the server is asked whether it is there.
    ///
    /// 10 s: Go's client does so only if told to; `etcdctl` does every 2 s.
    pub idle: Duration,
    /// How long it may take to answer that. 5 s, above what an election takes.
    pub patience: Duration,
    /// In [`WatchMode::Single`], where nothing can be asked, the stream is opened anew after hearing nothing for this
    /// time: 60 s.
    pub idle_single: Duration,
    /// How often the server is asked how far its watches have got, where it can be believed. A watch whose keys never
    /// change has to move on as well, or the history it would go on from is compacted some day: 60 s, less than any
    /// sensible retention (`--auto-compaction-retention`; Kubernetes compacts every five minutes).
    pub progress: Duration,
}

impl Default for WatchTimes {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10),
            patience: Duration::from_secs(5),
            idle_single: Duration::from_secs(60),
            progress: Duration::from_secs(60),
        }
    }
}

/// What to do next.
#[derive(Debug)]
#[must_use]
pub enum WatchStep {
    /// Open a stream, then [`handle_opened`](super::WatchConnection::handle_opened) once its head is there, or
    /// [`handle_closed`](super::WatchConnection::handle_closed).
    Open {
        /// What to send first.
        first: Watch,
        /// Whether the endpoint of the last stream should not be asked again if there is another.
        elsewhere: bool,
        /// Whether the token of the last stream was refused.
        stale_token: bool,
        /// Whether more is to be sent on it.
        mode: WatchMode,
    },
    /// Send this on the stream.
    Send(Watch),
    /// Close the stream. It is not to be reported as closed.
    Close,
    /// Make this read, then [`handle_read`](super::WatchConnection::handle_read).
    Read(Get),
    /// Carry each watch on a connection of its own, in [`WatchMode::Single`]:
    /// [`take_watches`](super::WatchConnection::take_watches).
    FallBack,
    /// Nothing, until something happens or this time comes.
    Wait {
        /// `None`: whatever the time.
        until: Option<Instant>,
    },
}

/// What there is to tell the consumers of watches.
#[derive(Debug)]
pub enum WatchOutput {
    /// The server has created the watch. Told once.
    Created,
    /// Events. If there is no room for them: [`handle_full`](super::WatchConnection::handle_full), before anything else.
    Batch(EventBatch),
    /// Everything before this position was seen.
    Position(i64),
    /// The watch has ended; nothing follows.
    Ended(Error),
    /// The watch that was [cancelled](super::WatchConnection::handle_cancel) is gone from the server.
    Left,
}

/// How the connection is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionStatus {
    /// There is none, and none is needed.
    Idle,
    /// It is being made.
    Connecting {
        /// Since when there has been none.
        since: Instant,
        /// Why the last one ended, or the last attempt failed.
        cause: Option<Arc<Error>>,
    },
    /// There is one.
    Connected {
        /// Since when.
        since: Instant,
    },
}
