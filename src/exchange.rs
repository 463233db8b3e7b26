//! Carries out what the core's machines decide about a call.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use etcd_core::codec::to_json;
use etcd_core::endpoint::Endpoint;
use etcd_core::error::{
    Error, ErrorKind, EtcdError, Fault, ProtocolError, Result, ServerError, Timeout, TimeoutPhase,
};
use etcd_core::gateway::{self, Metadata};
use etcd_core::machine::{CallStep, Session, UnaryCall};
use etcd_core::message::Authenticate;
use etcd_core::rpc::{Request, RetryClass, Rpc};
use etcd_core::transport::{Delivery, RequestBody, ResponseBody, SendMark, TransportErrorKind};
use futures_util::future::{Either, select};
use http::{HeaderValue, StatusCode};

use crate::call::CallOptions;
use crate::client::{Shared, lock};

/// Makes a call that is answered by one message.
pub(crate) async fn unary<R: Request>(
    shared: &Arc<Shared>,
    request: &R,
    options: &CallOptions,
) -> Result<R::Response> {
    let body = whole_body(shared, request, options).await?;
    let call = describe::<R>(request, body.endpoint);
    let response =
        gateway::unary_response::<R>(StatusCode::OK, &body.content).map_err(|kind| call(kind.into()))?;
    let seen_before = request.is_linearizable().then_some(body.seen_before);
    lock(&shared.guard)
        .handle_header(R::header(&response), seen_before)
        .map_err(|changed| call(changed.into()))?;
    Ok(response)
}

/// Makes a call and returns the body of its answer, whole.
pub(crate) async fn whole_body<R: Request>(
    shared: &Arc<Shared>,
    request: &R,
    options: &CallOptions,
) -> Result<Answer<Bytes>> {
    answered(shared, request, options, Reading::Whole)
        .await
        .map(|answer| answer.map(Body::into_whole))
}

/// Makes a call and returns the body of its answer as it arrives.
pub(crate) async fn streamed_body<R: Request>(
    shared: &Arc<Shared>,
    request: &R,
    options: &CallOptions,
) -> Result<Answer<ResponseBody>> {
    answered(shared, request, options, Reading::Streamed)
        .await
        .map(|answer| answer.map(Body::into_stream))
}

/// Adds to an error which call it ended, and where.
pub(crate) fn describe<R: Request>(request: &R, endpoint: Endpoint) -> impl Fn(Error) -> Error + use<R> {
    let class = request.retry_class();
    move |error| {
        error
            .with_rpc(R::RPC.name, class)
            .with_endpoint(&endpoint.to_string())
    }
}

/// A successful answer.
pub(crate) struct Answer<B> {
    pub(crate) content: B,
    /// Who gave it.
    pub(crate) endpoint: Endpoint,
    /// The highest revision that had been seen when the request was sent.
    pub(crate) seen_before: i64,
}

impl<B> Answer<B> {
    fn map<C>(self, change: impl FnOnce(B) -> C) -> Answer<C> {
        Answer {
            content: change(self.content),
            endpoint: self.endpoint,
            seen_before: self.seen_before,
        }
    }
}

/// How the body of an answer is read.
#[derive(Clone, Copy)]
enum Reading {
    /// By the attempt, which fails if the body does.
    Whole,
    /// By whoever made the call.
    Streamed,
}

enum Body {
    Whole(Bytes),
    Streamed(ResponseBody),
}

impl Body {
    fn into_whole(self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Streamed(_) => unreachable!("Reading::Whole reads the body"),
        }
    }

    fn into_stream(self) -> ResponseBody {
        match self {
            Self::Whole(bytes) => bytes.into(),
            Self::Streamed(body) => body,
        }
    }
}

async fn answered<R: Request>(
    shared: &Arc<Shared>,
    request: &R,
    options: &CallOptions,
    reading: Reading,
) -> Result<Answer<Body>> {
    let settings = &shared.settings;
    request.validate(&settings.limits)?;
    let timeout = options.timeout.unwrap_or(if R::RPC.waits {
        settings.wait_timeout
    } else {
        settings.timeout
    });
    let now = shared.runtime.now();
    let class = request.retry_class();
    let mut call = UnaryCall::new(R::RPC, class, now, timeout, settings.attempt_timeout);
    if let Some(endpoint) = options.endpoint.clone() {
        call = call.only(endpoint?);
    }
    let attempts = Attempts {
        shared,
        rpc: R::RPC,
        class,
        message: to_json(request).into(),
        needs_leader: request.needs_leader(),
        anonymous: options.anonymous,
        reading,
    };
    attempts.run(call).await
}

/// The attempts of one call; apart from the message already encoded, whatever the request.
struct Attempts<'a> {
    shared: &'a Arc<Shared>,
    rpc: &'static Rpc,
    class: RetryClass,
    message: Bytes,
    needs_leader: bool,
    anonymous: bool,
    reading: Reading,
}

impl Attempts<'_> {
    async fn run(self, mut call: UnaryCall) -> Result<Answer<Body>> {
        let shared = self.shared;
        // A call that carries no token has a session of its own, which nothing can make stale.
        let mut anonymous = self.anonymous.then(Session::anonymous);
        loop {
            let now = shared.runtime.now();
            let step = {
                let ring = lock(&shared.ring);
                match &anonymous {
                    Some(session) => call.poll_step(now, &ring, session),
                    None => call.poll_step(now, &ring, &lock(&shared.session)),
                }
            };
            match step {
                CallStep::Send {
                    endpoint,
                    token,
                    give_up_at,
                } => {
                    let seen_before = lock(&shared.guard).revision();
                    let ended = self.attempt(&endpoint, token, give_up_at).await;
                    let (now, entropy) = (shared.runtime.now(), shared.runtime.entropy());
                    let mut shared_session;
                    let failure = match ended {
                        Ok(content) => {
                            return Ok(Answer {
                                content,
                                endpoint,
                                seen_before,
                            });
                        }
                        Err(failure) => failure,
                    };
                    let mut ring = lock(&shared.ring);
                    let session = match &mut anonymous {
                        Some(session) => session,
                        None => {
                            shared_session = lock(&shared.session);
                            &mut *shared_session
                        }
                    };
                    match failure {
                        Failure::Answer(kind) => {
                            tracing::debug!(rpc = self.rpc.name, %endpoint, error = %kind, "attempt failed");
                            call.handle_failure(now, kind, entropy, &mut ring, session);
                        }
                        Failure::Silence(phase) => {
                            tracing::debug!(rpc = self.rpc.name, %endpoint, ?phase, "attempt given up");
                            call.handle_attempt_timeout(now, phase, entropy, &mut ring, session);
                        }
                    }
                }
                CallStep::Wait { until } => shared.runtime.sleep_until(until).await,
                CallStep::LogIn => {
                    let login = log_in(shared, call.deadline()).await;
                    call.handle_login(login);
                }
                CallStep::Fail(error) => return Err(error),
            }
        }
    }

    async fn attempt(
        &self,
        endpoint: &Endpoint,
        token: Option<HeaderValue>,
        give_up_at: Instant,
    ) -> Result<Body, Failure> {
        let shared = self.shared;
        let metadata = self.metadata(token);
        let mut request = gateway::request(endpoint, self.rpc, self.message.clone(), &metadata);
        // Only of a write does it matter whether an attempt that was given up had been sent.
        let mark = (self.class == RetryClass::Write).then(SendMark::default);
        if let Some(mark) = &mark {
            request.extensions_mut().insert(mark.clone());
        }
        let mut give_up = pin!(shared.deadlines.reached(give_up_at));
        let exchange = shared.transport.exchange(request.map(RequestBody::Full));
        let response = match race(exchange, give_up.as_mut()).await {
            Some(response) => response.map_err(ErrorKind::from)?,
            None => {
                let unsent = mark.is_some_and(|mark| mark.delivery() == Delivery::NotSent);
                let phase = if unsent {
                    TimeoutPhase::Queue
                } else {
                    TimeoutPhase::Response
                };
                return Err(Failure::Silence(phase));
            }
        };
        let (head, body) = response.into_parts();
        if head.status == StatusCode::OK && matches!(self.reading, Reading::Streamed) {
            return Ok(Body::Streamed(body));
        }
        let limit = shared.settings.max_response_bytes;
        let content = match race(pin!(body.collect(limit)), give_up.as_mut()).await {
            Some(Ok(content)) => content,
            Some(Err(error)) if error.kind() == TransportErrorKind::BodyTooLarge => {
                return Err(ErrorKind::ResponseTooLarge { limit }.into());
            }
            Some(Err(error)) => return Err(ErrorKind::from(error).into()),
            None => return Err(Failure::Silence(TimeoutPhase::Body)),
        };
        match head.status {
            StatusCode::OK => Ok(Body::Whole(content)),
            status => Err(ErrorKind::from_response(status, &content).into()),
        }
    }

    fn metadata(&self, token: Option<HeaderValue>) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.token = token;
        metadata.user_agent = self.shared.settings.user_agent.clone();
        metadata.require_leader = self.needs_leader;
        metadata
    }
}

/// How an attempt failed.
enum Failure {
    /// With an answer, or a broken connection.
    Answer(ErrorKind),
    /// With nothing by the time it had.
    Silence(TimeoutPhase),
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self::Answer(kind)
    }
}

/// What `future` returns, `None` if `give_up` is ready first.
async fn race<F: Future + Unpin>(future: F, give_up: impl Future<Output = ()> + Unpin) -> Option<F::Output> {
    match select(future, give_up).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}

/// Logs in, once for all calls that wait for it.
async fn log_in(shared: &Arc<Shared>, deadline: Instant) -> Result<()> {
    let Some(credentials) = &shared.settings.credentials else {
        return Ok(());
    };
    let refusals_before = lock(&shared.refusals).count;
    let mut give_up = pin!(shared.deadlines.reached(deadline));
    let timeout = || Error::from(Timeout::new(TimeoutPhase::Queue));
    let Some(_turn) = race(shared.login.lock(), give_up.as_mut()).await else {
        return Err(timeout());
    };
    if !lock(&shared.session).needs_login() {
        return Ok(());
    }
    // A wrong password is wrong for all that waited: a server takes long over each.
    if let Some(refusal) = lock(&shared.refusals).since(refusals_before) {
        return Err(Error::from(refusal).with_rpc(Authenticate::RPC.name, Authenticate::RPC.retry));
    }
    let options = CallOptions {
        timeout: Some(deadline.saturating_duration_since(shared.runtime.now())),
        anonymous: true,
        ..CallOptions::default()
    };
    let request = Authenticate::new(credentials.name.clone(), credentials.password.clone());
    // Boxed, because a login is itself a call.
    let login = Box::pin(unary(shared, &request, &options)).await;
    let mut session = lock(&shared.session);
    match login {
        Ok(response) => session.handle_login(&response.token).map_err(|_| {
            let expected = Authenticate::RPC.name;
            ProtocolError::Malformed { expected, offset: 0 }.into()
        }),
        Err(error) if error.etcd() == Some(EtcdError::AuthNotEnabled) => {
            session.handle_auth_disabled();
            Ok(())
        }
        Err(error) => {
            let refusal = error.server().filter(|refusal| refusal.fault() == Fault::Caller);
            lock(&shared.refusals).note(refusal);
            Err(error)
        }
    }
}

/// Logins that servers refused.
#[derive(Default)]
pub(crate) struct Refusals {
    count: u64,
    last: Option<ServerError>,
}

impl Refusals {
    fn note(&mut self, refusal: Option<&ServerError>) {
        if let Some(refusal) = refusal {
            self.count += 1;
            self.last = Some(refusal.clone());
        }
    }

    /// What was refused while somebody waited who knew of `count` refusals.
    fn since(&self, count: u64) -> Option<ServerError> {
        self.last.clone().filter(|_| self.count > count)
    }
}
