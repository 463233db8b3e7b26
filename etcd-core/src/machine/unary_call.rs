//! One unary call, from its first attempt to its last.
//!
//! ```text
//!              poll_step: Send                    success: the driver is done
//!    Ready ─────────────────────────▶ Sent ─────────────────────────────────▶
//!      ▲                                │ handle_failure, handle_attempt_timeout
//!      │  poll_step: Wait, time passed  │
//!      ├────────────────── Pausing ◀────┤ may succeed later, or elsewhere after all were tried
//!      │  handle_login                  │
//!      ├────────────────── LoggingIn ◀──┤ its token is stale
//!      │                                │
//!      ├────────────────────────────────┤ may succeed elsewhere, and not all were tried
//!      │                                ▼
//!      └─ deadline ────────────────▶ Failed: poll_step: Fail
//! ```
//!
//! A write is sent again only after an attempt that provably was not applied ([`Outcome::NotApplied`]); a
//! read, or what may be repeated, after any failure that another attempt can mend. The deadline ends all.
//!
//! [`Outcome::NotApplied`]: crate::error::Outcome::NotApplied

use std::time::{Duration, Instant};

use http::HeaderValue;

use super::{Backoff, EndpointRing, Session, TokenGeneration};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, EtcdError, Outcome, Retry, RetryClass, Timeout, TimeoutPhase};
use crate::rpc::{Rpc, RpcKind};
use crate::runtime::later;

/// How often one call logs in again. Once for a token that went stale, once more for a change of password or
/// roles in the same moment; a third refusal is an answer.
pub const MAX_LOGINS: u32 = 2;

/// What to do next for a call.
#[derive(Debug)]
#[must_use]
pub enum CallStep {
    /// Send the request.
    Send {
        /// Where to.
        endpoint: Endpoint,
        /// The token it carries. Not to be asked of the session again: another call may have changed it since, and
        /// what the server says of this one would be held against the other.
        token: Option<HeaderValue>,
        /// When to give this attempt up and say so with [`UnaryCall::handle_attempt_timeout`].
        give_up_at: Instant,
    },
    /// Poll again at this time.
    Wait {
        /// When.
        until: Instant,
    },
    /// Log in, tell the session, then [`UnaryCall::handle_login`].
    LogIn,
    /// The call has failed.
    Fail(Error),
}

/// Decides the attempts of one unary call.
#[derive(Debug)]
pub struct UnaryCall {
    rpc: &'static Rpc,
    class: RetryClass,
    started: Instant,
    deadline: Instant,
    attempt_timeout: Duration,
    only: Option<Endpoint>,
    backoff: Backoff,
    failed_in_round: usize,
    logins: u32,
    last_error: Option<Error>,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready,
    Sent {
        endpoint: Endpoint,
        token: TokenGeneration,
    },
    Pausing {
        until: Instant,
    },
    LoggingIn,
    Failed(Error),
    /// The failure was handed out.
    Over,
}

impl UnaryCall {
    /// A call that starts now and must be over after `timeout`.
    ///
    /// An attempt of a read is given up after `attempt_timeout` if there is another endpoint to try.
    #[must_use]
    pub fn new(
        rpc: &'static Rpc,
        class: RetryClass,
        now: Instant,
        timeout: Duration,
        attempt_timeout: Duration,
    ) -> Self {
        Self {
            rpc,
            class,
            started: now,
            deadline: later(now, timeout),
            attempt_timeout,
            only: None,
            backoff: Backoff::default(),
            failed_in_round: 0,
            logins: 0,
            last_error: None,
            state: State::Ready,
        }
    }

    /// Keeps the call to one endpoint, whichever the ring has in use.
    #[must_use]
    pub fn only(mut self, endpoint: Endpoint) -> Self {
        self.only = Some(endpoint);
        self
    }

    /// When the call is over, whatever happens.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The token that the attempt under way carries, for what is said of it after the call: a stream goes on when
    /// the call that opened it has succeeded.
    #[must_use]
    pub fn token_in_use(&self) -> Option<TokenGeneration> {
        match &self.state {
            State::Sent { token, .. } => Some(*token),
            _ => None,
        }
    }

    /// What to do next.
    ///
    /// While an attempt is under way there is nothing to ask: handle how it ends first.
    pub fn poll_step(&mut self, now: Instant, ring: &EndpointRing, session: &Session) -> CallStep {
        match &mut self.state {
            State::Failed(_) => self.fail_with_its_error(),
            _ if now >= self.deadline => self.fail_at_deadline(),
            State::Pausing { until } if now < *until => CallStep::Wait { until: *until },
            _ if session.needs_login() => {
                self.state = State::LoggingIn;
                CallStep::LogIn
            }
            _ => {
                let endpoint = self.only.clone().unwrap_or_else(|| ring.current().clone());
                let (generation, token) = session.token();
                self.state = State::Sent {
                    endpoint: endpoint.clone(),
                    token: generation,
                };
                CallStep::Send {
                    endpoint,
                    token,
                    give_up_at: self.attempt_deadline(now, ring),
                }
            }
        }
    }

    /// Takes note that the attempt under way failed.
    pub fn handle_failure(
        &mut self,
        now: Instant,
        kind: ErrorKind,
        entropy: u64,
        ring: &mut EndpointRing,
        session: &mut Session,
    ) {
        let State::Sent { endpoint, token } = std::mem::replace(&mut self.state, State::Ready) else {
            debug_assert!(false, "a failure without an attempt");
            return;
        };
        let retry = kind.retry();
        let may_repeat = self.class != RetryClass::Write || kind.outcome() == Outcome::NotApplied;
        let error = self
            .describe(Error::new(kind))
            .with_endpoint(&endpoint.to_string());
        if !may_repeat {
            // It is not for this call to try again, but the next one should not run into the same wall.
            if retry == Retry::Elsewhere {
                ring.handle_failure(&endpoint);
            }
            self.state = State::Failed(error);
            return;
        }
        match retry {
            Retry::AfterLogin if session.can_log_in() && self.logins < MAX_LOGINS => {
                session.handle_stale(token);
                self.last_error = Some(error);
            }
            Retry::Elsewhere => {
                ring.handle_failure(&endpoint);
                self.failed_in_round += 1;
                let round = if self.only.is_some() { 1 } else { ring.len() };
                let settled = [EtcdError::NotSupportedForLearner, EtcdError::NotLeader];
                if round == 1 && error.etcd().is_some_and(|kind| settled.contains(&kind)) {
                    // There is no elsewhere, and this member stays what it is.
                    self.state = State::Failed(error);
                    return;
                }
                if self.failed_in_round >= round {
                    self.failed_in_round = 0;
                    self.pause(now, error, entropy);
                } else {
                    self.last_error = Some(error);
                }
            }
            Retry::Later => self.pause(now, error, entropy),
            _ => self.state = State::Failed(error),
        }
    }

    /// Takes note that the attempt under way was given up at its time, in this phase.
    pub fn handle_attempt_timeout(
        &mut self,
        now: Instant,
        phase: TimeoutPhase,
        entropy: u64,
        ring: &mut EndpointRing,
        session: &mut Session,
    ) {
        let limit = now.saturating_duration_since(self.started);
        let timeout = Timeout::new(phase).with_limit(limit);
        self.handle_failure(now, timeout.into(), entropy, ring, session);
    }

    /// Takes note of how the login went that the call was waiting for.
    pub fn handle_login(&mut self, result: Result<(), Error>) {
        debug_assert!(matches!(self.state, State::LoggingIn), "a login nobody waits for");
        self.logins += 1;
        self.state = match result {
            Ok(()) => State::Ready,
            Err(error) => State::Failed(error),
        };
    }

    /// Adds to an error which call it ended.
    #[must_use]
    pub fn describe(&self, error: Error) -> Error {
        error.with_rpc(self.rpc.name, self.class)
    }

    fn attempt_deadline(&self, now: Instant, ring: &EndpointRing) -> Instant {
        let another = self.only.is_none() && ring.len() > 1;
        // A bidirectional stream answers its first message at once, however long the rest takes.
        let answers_soon = !self.rpc.waits || self.rpc.kind == RpcKind::Bidirectional;
        if another && self.class != RetryClass::Write && answers_soon {
            return later(now, self.attempt_timeout).min(self.deadline);
        }
        self.deadline
    }

    /// Pauses; or fails at once with the reason, if the deadline comes before the end of the pause.
    fn pause(&mut self, now: Instant, error: Error, entropy: u64) {
        let until = now + self.backoff.next_pause(entropy);
        if until >= self.deadline {
            self.state = State::Failed(error);
        } else {
            self.last_error = Some(error);
            self.state = State::Pausing { until };
        }
    }

    fn fail_with_its_error(&mut self) -> CallStep {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Failed(error) => CallStep::Fail(error),
            _ => self.fail_at_deadline(),
        }
    }

    /// What went wrong before says more than that there is no time left to try again.
    fn fail_at_deadline(&mut self) -> CallStep {
        self.state = State::Over;
        let error = self.last_error.take().unwrap_or_else(|| {
            let limit = self.deadline.saturating_duration_since(self.started);
            self.describe(Timeout::new(TimeoutPhase::Queue).with_limit(limit).into())
        });
        CallStep::Fail(error)
    }
}

#[cfg(test)]
mod tests;
