//! A deadline that passed.

use std::fmt;
use std::time::Duration;

use super::Outcome;

/// What a call was waiting for when its deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutPhase {
    /// For its turn: a connection, an endpoint that is reachable, a pause before a retry. Nothing was sent.
    Queue,
    /// For the head of the response, or, of a request that changes nothing, for anything before it.
    Response,
    /// For the rest of the response.
    Body,
}

/// A deadline that passed before the call was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    phase: TimeoutPhase,
    limit: Option<Duration>,
}

impl Timeout {
    /// A deadline that passed in this phase.
    #[must_use]
    pub const fn new(phase: TimeoutPhase) -> Self {
        Self { phase, limit: None }
    }

    /// Adds the time the call was given.
    #[must_use]
    pub const fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// What the call was waiting for.
    #[must_use]
    pub const fn phase(&self) -> TimeoutPhase {
        self.phase
    }

    /// The time the call was given.
    #[must_use]
    pub const fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Whether a write may have been applied: not before its first byte was sent.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self.phase {
            TimeoutPhase::Queue => Outcome::NotApplied,
            TimeoutPhase::Response | TimeoutPhase::Body => Outcome::Unknown,
        }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out ")?;
        if let Some(limit) = self.limit {
            write!(f, "after {limit:?} ")?;
        }
        f.write_str(match self.phase {
            TimeoutPhase::Queue => "before the request could be sent",
            TimeoutPhase::Response => "waiting for the response",
            TimeoutPhase::Body => "while receiving the response",
        })
    }
}

impl std::error::Error for Timeout {}
