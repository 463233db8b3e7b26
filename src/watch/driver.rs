//! The task of a connection: it has the stream, the timer and the reads, and does what the machine decides.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use etcd_core::endpoint::Endpoint;
use etcd_core::error::{Error, Result};
use etcd_core::machine::{TokenGeneration, WatchMode, WatchStep};
use etcd_core::message::{Get, Watch, WatchResponse};
use etcd_core::runtime::BoxFuture;
use etcd_core::transport::{Delivery, TransportError, TransportErrorKind};

use super::connection::Connection;
use crate::alarm::Alarm;
use crate::call::CallOptions;
use crate::client::{Shared, lock};
use crate::duplex::Duplex;
use crate::exchange;
use crate::messages::Messages;

/// A stream must have its head after this time: 2.5 s. A server answers the question it begins with at once, and a way that
/// carries no streams is to be found out within the time of a call ([`DEFAULT_TIMEOUT`](crate::DEFAULT_TIMEOUT)).
const OPEN_TIMEOUT: Duration = Duration::from_millis(2500);

/// How many steps are taken before others get their turn.
const STEPS_A_TURN: u32 = 256;

pub(super) struct Driver {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    io: Io,
    /// Who was at the other end last, and which token that was told.
    last: Option<(Endpoint, TokenGeneration)>,
    read: Option<BoxFuture<'static, Result<i64>>>,
    alarm: Alarm,
    is_over: bool,
}

enum Io {
    None,
    Opening(BoxFuture<'static, Result<Stream>>),
    Open(Box<Stream>),
}

enum Stream {
    Duplex(Duplex<Watch>),
    Single {
        messages: Messages<Watch>,
        token: TokenGeneration,
    },
}

impl Stream {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<WatchResponse>> {
        match self {
            Self::Duplex(stream) => stream.poll_next(cx),
            Self::Single { messages, .. } => messages.poll_endless(cx),
        }
    }

    fn received(&self) -> u64 {
        match self {
            Self::Duplex(stream) => stream.received(),
            Self::Single { messages, .. } => messages.received(),
        }
    }

    fn peer(&self) -> (Endpoint, TokenGeneration) {
        match self {
            Self::Duplex(stream) => (stream.endpoint().clone(), stream.token()),
            Self::Single { messages, token } => (messages.endpoint().clone(), *token),
        }
    }
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, connection: Arc<Connection>) -> Self {
        Self {
            alarm: Alarm::new(shared.runtime.clone()),
            shared,
            connection,
            io: Io::None,
            last: None,
            read: None,
            is_over: false,
        }
    }

    /// Takes one piece of news, if there is one.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll_read(cx) || self.poll_stream(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(read) = &mut self.read else { return false };
        let Poll::Ready(result) = read.as_mut().poll(cx) else {
            return false;
        };
        self.read = None;
        let (now, entropy) = (self.shared.runtime.now(), self.shared.runtime.entropy());
        self.connection
            .handle(|machine| machine.handle_read(now, result, entropy));
        true
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> bool {
        let runtime = self.shared.runtime.clone();
        match &mut self.io {
            Io::None => false,
            Io::Opening(opening) => {
                let Poll::Ready(opened) = opening.as_mut().poll(cx) else {
                    return false;
                };
                let now = runtime.now();
                match opened {
                    Ok(stream) => {
                        self.last = Some(stream.peer());
                        self.io = Io::Open(Box::new(stream));
                        self.connection.handle(|machine| machine.handle_opened(now));
                    }
                    Err(error) => self.handle_closed(error),
                }
                true
            }
            Io::Open(stream) => {
                let before = stream.received();
                let news = stream.poll_next(cx);
                let received = stream.received();
                let now = runtime.now();
                match news {
                    Poll::Ready(Ok(message)) => {
                        let entropy = runtime.entropy();
                        self.connection
                            .handle(|machine| machine.handle_message(now, message, entropy));
                        true
                    }
                    Poll::Ready(Err(error)) => {
                        self.handle_closed(error);
                        true
                    }
                    Poll::Pending => {
                        if received > before {
                            self.connection.handle(|machine| machine.handle_activity(now));
                        }
                        false
                    }
                }
            }
        }
    }

    fn handle_closed(&mut self, error: Error) {
        tracing::debug!(%error, "a watch stream ended");
        self.io = Io::None;
        let (now, entropy) = (self.shared.runtime.now(), self.shared.runtime.entropy());
        self.connection
            .handle(|machine| machine.handle_closed(now, error, entropy));
    }

    fn open(&mut self, first: Watch, elsewhere: bool, stale_token: bool, mode: WatchMode) {
        if let Some((endpoint, token)) = &self.last {
            if elsewhere {
                lock(&self.shared.ring).handle_failure(endpoint);
            }
            if stale_token {
                lock(&self.shared.session).handle_stale(*token);
            }
        }
        let shared = self.shared.clone();
        self.io = Io::Opening(Box::pin(async move {
            match mode {
                WatchMode::Duplex => Duplex::open(&shared, &first, OPEN_TIMEOUT)
                    .await
                    .map(Stream::Duplex),
                WatchMode::Single => {
                    let options = CallOptions {
                        timeout: Some(OPEN_TIMEOUT),
                        ..CallOptions::default()
                    };
                    let answer = exchange::streamed_body(&shared, &first, &options).await?;
                    let messages = Messages::new(shared, answer.endpoint, answer.content);
                    let token = answer.token;
                    Ok(Stream::Single { messages, token })
                }
            }
        }));
    }

    fn begin_read(&mut self, get: Get) {
        let shared = self.shared.clone();
        self.read = Some(Box::pin(async move {
            let response = exchange::unary(&shared, &get, &CallOptions::default()).await?;
            Ok(response.header.revision)
        }));
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..STEPS_A_TURN {
            let has_news = this.poll_news(cx);
            let (now, entropy) = (this.shared.runtime.now(), this.shared.runtime.entropy());
            let is_at_rest = matches!(this.io, Io::None);
            let turn = this.connection.turn(now, entropy, cx.waker(), is_at_rest);
            if turn.is_over {
                this.is_over = true;
                return Poll::Ready(());
            }
            match turn.step {
                WatchStep::Open {
                    first,
                    elsewhere,
                    stale_token,
                    mode,
                } => this.open(first, elsewhere, stale_token, mode),
                WatchStep::Send(message) => {
                    if let Io::Open(stream) = &this.io
                        && let Stream::Duplex(stream) = &**stream
                    {
                        stream.send(&message);
                    }
                }
                WatchStep::Close => this.io = Io::None,
                WatchStep::Read(get) => this.begin_read(get),
                WatchStep::FallBack => {
                    tracing::warn!("streams get no answer here: one request for each watch from now on");
                    this.connection.fall_back(&this.shared);
                }
                WatchStep::Wait { until } if !has_news => match until {
                    Some(until) if this.alarm.poll(until, cx).is_ready() => {}
                    _ => return Poll::Pending,
                },
                WatchStep::Wait { .. } => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.is_over {
            let shutdown = TransportError::new(TransportErrorKind::Shutdown, Delivery::MaybeSent);
            self.connection.abandon(&shutdown.into());
        }
    }
}
