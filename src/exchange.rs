//! Carries out what the core's machines decide about a call.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use etcd_core::codec::to_json;
use etcd_core::endpoint::Endpoint;
use etcd_core::error::{Error, ErrorKind, Result, TimeoutPhase};
use etcd_core::gateway::{self, Metadata};
use etcd_core::machine::{CallStep, Session, TokenGeneration, UnaryCall};
use etcd_core::rpc::{Request, RetryClass, Rpc};
use etcd_core::transport::{Delivery, RequestBody, ResponseBody, SendMark, TransportErrorKind};
use futures_channel::mpsc::{UnboundedSender, unbounded};
use futures_util::future::{Either, select};
use http::{HeaderValue, StatusCode};

use crate::call::CallOptions;
use crate::client::{Shared, lock};
use crate::login::log_in;

/// Makes a call that is answered by one message.
pub(crate) async fn unary<R: Request>(
    shared: &Arc<Shared>,
    request: &R,
    options: &CallOptions,
) -> Result<R::Response> {
    timed_unary(shared, request, options)
        .await
        .map(|(response, _)| response)
}

/// Makes a call that is answered by one message; returns also when the request was sent that got the answer.
pub(crate) async fn timed_unary<R: Request>(
    shared: &Arc<Shared>,
    request: &R,
    options: &CallOptions,
) -> Result<(R::Response, Instant)> {
    let body = whole_body(shared, request, options).await?;
    let call = describe::<R>(request, body.endpoint);
    let response =
        gateway::unary_response::<R>(StatusCode::OK, &body.content).map_err(|kind| call(kind.into()))?;
    let seen_before = request.is_linearizable().then_some(body.seen_before);
    lock(&shared.guard)
        .handle_header(R::header(&response), seen_before)
        .map_err(|changed| call(changed.into()))?;
    Ok((response, body.sent_at))
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

/// Opens a stream with its first message, without which no server answers, and returns the ends of both directions.
pub(crate) async fn duplex<R: Request>(
    shared: &Arc<Shared>,
    first: &R,
    options: &CallOptions,
) -> Result<Answer<(UnboundedSender<Bytes>, ResponseBody)>> {
    answered(shared, first, options, Reading::Duplex)
        .await
        .map(|answer| answer.map(Body::into_duplex))
}

/// One message of a stream of requests, as the gateway takes it: a line.
pub(crate) fn line<R: Request>(request: &R) -> Bytes {
    let mut line = to_json(request);
    line.push(b'\n');
    line.into()
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
    /// The token the request carried.
    pub(crate) token: TokenGeneration,
    /// Not later than when the request was sent.
    pub(crate) sent_at: Instant,
    /// The highest revision that had been seen when the request was sent.
    pub(crate) seen_before: i64,
}

impl<B> Answer<B> {
    fn map<C>(self, change: impl FnOnce(B) -> C) -> Answer<C> {
        Answer {
            content: change(self.content),
            endpoint: self.endpoint,
            token: self.token,
            sent_at: self.sent_at,
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
    /// By whoever made the call, who goes on with the request's body too.
    Duplex,
}

enum Body {
    Whole(Bytes),
    Streamed(ResponseBody),
    Duplex(UnboundedSender<Bytes>, ResponseBody),
}

impl Body {
    fn into_whole(self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Streamed(_) | Self::Duplex(..) => unreachable!("Reading::Whole reads the body"),
        }
    }

    fn into_stream(self) -> ResponseBody {
        match self {
            Self::Whole(bytes) => bytes.into(),
            Self::Streamed(body) | Self::Duplex(_, body) => body,
        }
    }

    fn into_duplex(self) -> (UnboundedSender<Bytes>, ResponseBody) {
        match self {
            Self::Duplex(requests, body) => (requests, body),
            Self::Whole(_) | Self::Streamed(_) => unreachable!("Reading::Duplex reads neither"),
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
        message: match reading {
            Reading::Duplex => line(request),
            Reading::Whole | Reading::Streamed => to_json(request).into(),
        },
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
                    let mut shared_session;
                    let failure = match ended {
                        Ok(content) => {
                            return Ok(Answer {
                                content,
                                endpoint,
                                token: call.token_in_use().unwrap_or_default(),
                                sent_at: now,
                                seen_before,
                            });
                        }
                        Err(failure) => failure,
                    };
                    let (now, entropy) = (shared.runtime.now(), shared.runtime.entropy());
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
        let (mut request, requests) = self.request(endpoint, &metadata);
        // Only of a write does it matter whether an attempt that was given up had been sent.
        let mark = (self.class == RetryClass::Write).then(SendMark::default);
        if let Some(mark) = &mark {
            request.extensions_mut().insert(mark.clone());
        }
        let mut give_up = pin!(shared.deadlines.reached(give_up_at));
        let exchange = shared.transport.exchange(request);
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
        match (self.reading, requests) {
            (Reading::Streamed, _) if head.status == StatusCode::OK => return Ok(Body::Streamed(body)),
            (Reading::Duplex, Some(requests)) if head.status == StatusCode::OK => {
                return Ok(Body::Duplex(requests, body));
            }
            _ => {}
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

    /// The request of one attempt; of a stream, also where its further messages go.
    fn request(
        &self,
        endpoint: &Endpoint,
        metadata: &Metadata,
    ) -> (http::Request<RequestBody>, Option<UnboundedSender<Bytes>>) {
        if let Reading::Whole | Reading::Streamed = self.reading {
            let request = gateway::request(endpoint, self.rpc, self.message.clone(), metadata);
            return (request.map(RequestBody::Full), None);
        }
        let (requests, body) = unbounded();
        // Its receiver is alive: it is in the next line.
        let _ = requests.unbounded_send(self.message.clone());
        let head = gateway::stream_request_head(endpoint, self.rpc, metadata);
        (head.map(|()| RequestBody::stream(body)), Some(requests))
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
pub(crate) async fn race<F: Future + Unpin>(
    future: F,
    give_up: impl Future<Output = ()> + Unpin,
) -> Option<F::Output> {
    match select(future, give_up).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}
