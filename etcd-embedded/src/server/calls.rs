//! What goes into a call and what comes out, besides the messages.

use std::time::Duration;

use crate::{Response, Status};

/// A call in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) u64);

/// What a client says besides the message itself.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallOptions {
    /// The token, if it sent one.
    pub token: Option<String>,
    /// How long it waits (`Grpc-Timeout`).
    pub timeout: Option<Duration>,
    /// Whether it wants to be refused by a member that knows of no leader (`hasleader`).
    pub require_leader: bool,
}

impl CallOptions {
    /// No token and no timeout.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Adds the timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Demands a leader.
    #[must_use]
    pub fn require_leader(mut self) -> Self {
        self.require_leader = true;
        self
    }
}

impl std::fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "<secret>");
        f.debug_struct("CallOptions")
            .field("token", &token)
            .field("timeout", &self.timeout)
            .field("require_leader", &self.require_leader)
            .finish()
    }
}

/// Something for the client of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// The call.
    pub call: CallId,
    /// What it is.
    pub event: OutputEvent,
}

/// What the server has to say to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputEvent {
    /// A message.
    Message(Response),
    /// The end of the call; nothing follows.
    End(Result<(), Status>),
}
