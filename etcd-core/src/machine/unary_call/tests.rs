//! Calls among endpoints, under a clock of their own.

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
    assert!(matches!(error.kind(), ErrorKind::Timeout(timeout) if timeout.phase() == TimeoutPhase::Queue));
    assert!(!error.is_outcome_unknown());
}

#[test]
fn a_token_that_another_call_replaced_meanwhile_is_not_held_against_the_new_one() {
    let mut scenario = Scenario::new(&rows::RANGE, 1).with_login();
    let step = scenario
        .call
        .poll_step(scenario.now, &scenario.ring, &scenario.session);
    assert!(matches!(step, CallStep::Send { token: Some(token), .. } if token == "token"));
    scenario.session.handle_login(&"newer".into()).unwrap();
    scenario.fail(server(Code::Unauthenticated, "etcdserver: invalid auth token"));
    let step = scenario
        .call
        .poll_step(scenario.now, &scenario.ring, &scenario.session);
    assert!(matches!(step, CallStep::Send { token: Some(token), .. } if token == "newer"));
}
