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

use super::{Backoff, EndpointRing, Session, TokenGeneration};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, EtcdError, Outcome, Retry, RetryClass, Timeout, TimeoutPhase};
use crate::rpc::Rpc;

/// How often one call logs in again. Once for a token that went stale, once more for a change of password or
/// roles in the same moment; a third refusal is an answer.
pub const MAX_LOGINS: u32 = 2;

/// What to do next for a call.
#[derive(Debug)]
#[must_use]
pub enum CallStep {
    /// Send the request to this endpoint, with the session's token.
    Send {
        /// Where to.
        endpoint: Endpoint,
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
        // A century stands for "never" where the sum is beyond what the clock can express.
        const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        let deadline = now
            .checked_add(timeout)
            .unwrap_or_else(|| now + NEVER.min(timeout));
        Self {
            rpc,
            class,
            started: now,
            deadline,
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
                self.state = State::Sent {
                    endpoint: endpoint.clone(),
                    token: session.token().0,
                };
                CallStep::Send {
                    endpoint,
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
        if another && self.class != RetryClass::Write && !self.rpc.waits {
            let attempt = now.checked_add(self.attempt_timeout).unwrap_or(self.deadline);
            return attempt.min(self.deadline);
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
mod tests {
    use super::*;
    use crate::error::{Code, ServerError};
    use crate::rpc::rows;
    use crate::transport::{Delivery, TransportError, TransportErrorKind};

    /// One call among endpoints and a session, under a clock of its own.
    struct Scenario {
        call: UnaryCall,
        ring: EndpointRing,
        session: Session,
        now: Instant,
        start: Instant,
    }

    impl Scenario {
        fn new(rpc: &'static Rpc, endpoints: u16) -> Self {
            let now = Instant::now();
            let endpoints = (1..=endpoints)
                .map(|port| format!("host:{port}").parse().unwrap())
                .collect();
            Self {
                call: UnaryCall::new(
                    rpc,
                    rpc.retry,
                    now,
                    Duration::from_secs(10),
                    Duration::from_secs(3),
                ),
                ring: EndpointRing::new(endpoints).unwrap(),
                session: Session::anonymous(),
                now,
                start: now,
            }
        }

        fn with_login(mut self) -> Self {
            self.session = Session::with_login();
            self.session.handle_login(&"token".into()).unwrap();
            self
        }

        /// Polls through pauses to the next attempt; the port it goes to.
        fn next_attempt(&mut self) -> Result<u16, Error> {
            loop {
                match self.call.poll_step(self.now, &self.ring, &self.session) {
                    CallStep::Send { endpoint, .. } => {
                        let port = endpoint.authority().rsplit(':').next().unwrap();
                        return Ok(port.parse().unwrap());
                    }
                    CallStep::Wait { until } => self.now = until,
                    CallStep::LogIn => {
                        self.session.handle_login(&"new".into()).unwrap();
                        self.call.handle_login(Ok(()));
                    }
                    CallStep::Fail(error) => return Err(error),
                }
            }
        }

        fn fail(&mut self, kind: impl Into<ErrorKind>) {
            self.call
                .handle_failure(self.now, kind.into(), 7, &mut self.ring, &mut self.session);
        }

        fn elapsed(&self) -> Duration {
            self.now - self.start
        }
    }

    fn refused() -> TransportError {
        TransportError::new(TransportErrorKind::Connect, Delivery::NotSent)
    }

    fn cut() -> TransportError {
        TransportError::new(TransportErrorKind::Closed, Delivery::MaybeSent)
    }

    fn server(code: Code, message: &str) -> ServerError {
        ServerError::new(code, message)
    }

    #[test]
    fn endpoints_are_tried_in_turn_and_a_pause_follows_each_round() {
        let mut scenario = Scenario::new(&rows::RANGE, 3);
        let mut ports = Vec::new();
        let mut pauses = 0;
        for _ in 0..7 {
            let before = scenario.now;
            ports.push(scenario.next_attempt().unwrap());
            pauses += u32::from(scenario.now > before);
            scenario.fail(refused());
        }
        assert_eq!((ports, pauses), (vec![1, 2, 3, 1, 2, 3, 1], 2));
    }

    #[test]
    fn a_read_is_repeated_after_any_loss_until_the_deadline_and_fails_with_the_last_reason() {
        let mut scenario = Scenario::new(&rows::RANGE, 1);
        let error = loop {
            match scenario.next_attempt() {
                Ok(_) => scenario.fail(cut()),
                Err(error) => break error,
            }
        };
        assert!(scenario.elapsed() > Duration::from_secs(8) && scenario.elapsed() <= Duration::from_secs(10));
        assert!(
            matches!(error.kind(), ErrorKind::Transport(error) if error.kind() == TransportErrorKind::Closed)
        );
        assert!(error.is_retry_safe() && !error.is_outcome_unknown());
        assert_eq!(
            (error.rpc(), error.endpoint()),
            (Some("KV/Range"), Some("http://host:1"))
        );
    }

    #[test]
    fn a_write_is_repeated_after_what_provably_was_not_applied() {
        for not_applied in [
            ErrorKind::from(refused()),
            server(Code::Unavailable, "etcdserver: no leader").into(),
            server(Code::ResourceExhausted, "etcdserver: too many requests").into(),
        ] {
            let mut scenario = Scenario::new(&rows::PUT, 2);
            scenario.next_attempt().unwrap();
            scenario.fail(not_applied);
            scenario.next_attempt().unwrap();
        }
    }

    #[test]
    fn a_write_is_never_repeated_after_what_may_have_been_applied() {
        for unknown in [
            ErrorKind::from(cut()),
            server(Code::Unavailable, "etcdserver: request timed out").into(),
            server(Code::Unavailable, "error reading from server: EOF").into(),
            server(Code::Unknown, "context deadline exceeded").into(),
            server(Code::Unavailable, "never heard of").into(),
            Timeout::new(TimeoutPhase::Response).into(),
        ] {
            let mut scenario = Scenario::new(&rows::PUT, 3);
            scenario.next_attempt().unwrap();
            scenario.fail(unknown);
            let error = scenario.next_attempt().unwrap_err();
            assert!(error.is_outcome_unknown() && !error.is_retry_safe(), "{error}");
            assert_eq!(scenario.elapsed(), Duration::ZERO);
        }
    }

    #[test]
    fn an_answer_that_no_attempt_changes_is_final() {
        let mut scenario = Scenario::new(&rows::RANGE, 3);
        scenario.next_attempt().unwrap();
        scenario.fail(server(
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted",
        ));
        let error = scenario.next_attempt().unwrap_err();
        assert_eq!(error.etcd(), Some(EtcdError::Compacted));
    }

    #[test]
    fn a_stale_token_is_replaced_even_for_a_write_but_not_for_ever() {
        let mut scenario = Scenario::new(&rows::PUT, 1).with_login();
        for _ in 0..=MAX_LOGINS {
            scenario.next_attempt().unwrap();
            scenario.fail(server(Code::Unauthenticated, "etcdserver: invalid auth token"));
        }
        let error = scenario.next_attempt().unwrap_err();
        assert_eq!(error.etcd(), Some(EtcdError::InvalidAuthToken));
        assert_eq!(scenario.session.token().1.unwrap(), "new");
    }

    #[test]
    fn without_credentials_a_stale_token_is_the_answer() {
        let mut scenario = Scenario::new(&rows::RANGE, 3);
        scenario.next_attempt().unwrap();
        scenario.fail(server(Code::InvalidArgument, "etcdserver: user name is empty"));
        assert_eq!(
            scenario.next_attempt().unwrap_err().etcd(),
            Some(EtcdError::UserEmpty)
        );
    }

    #[test]
    fn a_silent_member_is_left_in_time_to_ask_another_one_but_not_with_a_write() {
        let attempt = |rpc, endpoints| {
            let mut scenario = Scenario::new(rpc, endpoints);
            match scenario
                .call
                .poll_step(scenario.now, &scenario.ring, &scenario.session)
            {
                CallStep::Send { give_up_at, .. } => give_up_at - scenario.start,
                step => panic!("{step:?}"),
            }
        };
        assert_eq!(attempt(&rows::RANGE, 2), Duration::from_secs(3));
        assert_eq!(attempt(&rows::RANGE, 1), Duration::from_secs(10));
        assert_eq!(attempt(&rows::PUT, 2), Duration::from_secs(10));

        let mut scenario = Scenario::new(&rows::RANGE, 2);
        assert_eq!(scenario.next_attempt().unwrap(), 1);
        scenario.now += Duration::from_secs(3);
        let Scenario {
            call,
            ring,
            session,
            now,
            ..
        } = &mut scenario;
        call.handle_attempt_timeout(*now, TimeoutPhase::Response, 0, ring, session);
        assert_eq!(scenario.next_attempt().unwrap(), 2);
    }

    #[test]
    fn a_call_to_one_endpoint_stays_there() {
        let mut scenario = Scenario::new(&rows::STATUS, 3);
        scenario.call = scenario.call.only("host:3".parse().unwrap());
        for _ in 0..3 {
            assert_eq!(scenario.next_attempt().unwrap(), 3);
            scenario.fail(refused());
        }
        assert_eq!(scenario.ring.current().authority(), "host:1");
    }

    #[test]
    fn a_call_whose_time_is_up_before_it_began_says_so() {
        let mut scenario = Scenario::new(&rows::PUT, 1);
        scenario.now += Duration::from_secs(10);
        let error = scenario.next_attempt().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Timeout(timeout) if timeout.phase() == TimeoutPhase::Queue)
        );
        assert!(!error.is_outcome_unknown());
    }
}
