//! The task that renews a client's leases: carries out what the core's machine decides.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use etcd_core::error::{Error, EtcdError, Result, Retry};
use etcd_core::machine::{KeeperStep, LeaseKeeper, LeaseKey};
use etcd_core::message::LeaseKeepAlive;
use etcd_core::runtime::BoxFuture;
use futures_core::Stream;
use futures_util::stream::FuturesUnordered;

use super::revocation::{self, Revocation};
use crate::alarm::Alarm;
use crate::call::CallOptions;
use crate::client::Shared;
use crate::duplex::Duplex;
use crate::group::renew_once;

/// Runs while a client has leases to renew or to revoke, and ends when there are none.
pub(super) struct KeepAlive {
    shared: Arc<Shared>,
    opening: Option<BoxFuture<'static, Result<Duplex<LeaseKeepAlive>>>>,
    stream: Option<Duplex<LeaseKeepAlive>>,
    alone: FuturesUnordered<BoxFuture<'static, Renewed>>,
    revoking: FuturesUnordered<BoxFuture<'static, Option<(Instant, Revocation)>>>,
    /// Revocations that wait for the time to be tried again.
    postponed: FuturesUnordered<BoxFuture<'static, Revocation>>,
    alarm: Alarm,
    /// Whether there are futures that were not polled yet.
    has_started: bool,
    has_ended: bool,
}

/// What came of a renewal by an exchange of its own.
struct Renewed {
    key: LeaseKey,
    sent_at: Instant,
    ttl: Result<i64>,
}

impl KeepAlive {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            alarm: Alarm::new(shared.runtime.clone()),
            shared,
            opening: None,
            stream: None,
            alone: FuturesUnordered::new(),
            revoking: FuturesUnordered::new(),
            postponed: FuturesUnordered::new(),
            has_started: false,
            has_ended: false,
        }
    }

    /// Hands on what has happened.
    fn poll_inputs(&mut self, cx: &mut Context<'_>) {
        if let Some(opening) = &mut self.opening
            && let Poll::Ready(opened) = opening.as_mut().poll(cx)
        {
            self.opening = None;
            match opened {
                Ok(stream) => {
                    tracing::debug!(endpoint = %stream.endpoint(), "keeping leases alive");
                    self.stream = Some(stream);
                    self.tell(LeaseKeeper::handle_opened);
                }
                Err(error) => self.tell_failure(error, LeaseKeeper::handle_open_failed),
            }
        }
        while let Some(stream) = &mut self.stream
            && let Poll::Ready(answer) = stream.poll_next(cx)
        {
            match answer {
                Ok(answer) => self.tell(|keeper, now| keeper.handle_answer(now, answer.id, answer.ttl)),
                Err(error) => self.handle_stream_failed(error),
            }
        }
        while let Poll::Ready(Some(renewed)) = Pin::new(&mut self.alone).poll_next(cx) {
            let Renewed { key, sent_at, ttl } = renewed;
            match ttl {
                Ok(ttl) => self.tell(|keeper, now| keeper.handle_renewed(now, key, sent_at, ttl)),
                Err(error) => self.tell_failure(error, |keeper, now, error, entropy| {
                    keeper.handle_renewal_failed(now, key, error, entropy);
                }),
            }
        }
        while let Poll::Ready(Some(left)) = Pin::new(&mut self.revoking).poll_next(cx) {
            if let Some((again_at, revocation)) = left {
                let shared = self.shared.clone();
                self.postponed.push(Box::pin(async move {
                    shared.runtime.sleep_until(again_at).await;
                    revocation
                }));
            }
        }
        while let Poll::Ready(Some(revocation)) = Pin::new(&mut self.postponed).poll_next(cx) {
            self.shared.keeper.lock().revocations.push_back(revocation);
        }
    }

    /// Does what is to be done; returns when to look again, and `None` if there is nothing left to do.
    fn carry_out_steps(&mut self, cx: &Context<'_>) -> Option<Option<Instant>> {
        let shared = self.shared.clone();
        let mut observers = Vec::new();
        let next = loop {
            let mut kept = shared.keeper.lock();
            let now = shared.runtime.now();
            while self.revoking.len() < revocation::MAX_AT_ONCE
                && let Some(revocation) = kept.revocations.pop_front()
            {
                self.revoking.push(revocation.attempt(&shared));
                self.has_started = true;
            }
            let step = kept.machine.poll_step(now);
            observers.extend(kept.changed());
            match step {
                KeeperStep::Open { first, give_up_at } => {
                    drop(kept);
                    self.opening = Some(Box::pin(open(shared.clone(), first, give_up_at - now)));
                    self.has_started = true;
                }
                KeeperStep::Renew { id } => {
                    drop(kept);
                    if let Some(stream) = &self.stream {
                        stream.send(&LeaseKeepAlive::new(id));
                    }
                }
                KeeperStep::RenewAlone { key, id, give_up_at } => {
                    drop(kept);
                    let options = CallOptions {
                        timeout: Some(give_up_at - now),
                        ..CallOptions::default()
                    };
                    self.alone
                        .push(Box::pin(renew(shared.clone(), key, id, now, options)));
                    self.has_started = true;
                }
                KeeperStep::Close { is_silent } => {
                    drop(kept);
                    self.opening = None;
                    if let Some(stream) = self.stream.take()
                        && is_silent
                    {
                        tracing::debug!(endpoint = %stream.endpoint(), "no answer to renewals");
                        stream.handle_endpoint_failed();
                    }
                }
                KeeperStep::Wait { until } => {
                    if !kept.has_work() && self.revoking.is_empty() && self.postponed.is_empty() {
                        kept.handle_task_ended();
                        self.has_ended = true;
                        break None;
                    }
                    kept.handle_task_waits(cx);
                    break Some(until);
                }
            }
        };
        observers.into_iter().for_each(Waker::wake);
        next
    }

    fn handle_stream_failed(&mut self, error: Error) {
        if let Some(stream) = self.stream.take() {
            tracing::debug!(endpoint = %stream.endpoint(), %error, "renewals are interrupted");
            match error.retry() {
                Retry::Elsewhere => stream.handle_endpoint_failed(),
                Retry::AfterLogin => stream.handle_stale_token(),
                _ => {}
            }
        }
        self.tell_failure(error, LeaseKeeper::handle_stream_failed);
    }

    fn tell_failure(&self, error: Error, tell: impl FnOnce(&mut LeaseKeeper, Instant, Error, u64)) {
        let entropy = self.shared.runtime.entropy();
        self.tell(|keeper, now| tell(keeper, now, error, entropy));
    }

    fn tell(&self, tell: impl FnOnce(&mut LeaseKeeper, Instant)) {
        let observers = {
            let mut kept = self.shared.keeper.lock();
            tell(&mut kept.machine, self.shared.runtime.now());
            kept.changed()
        };
        observers.into_iter().for_each(Waker::wake);
    }
}

impl Future for KeepAlive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.poll_inputs(cx);
            match self.carry_out_steps(cx) {
                Some(_) if std::mem::take(&mut self.has_started) => {}
                None => return Poll::Ready(()),
                Some(Some(until)) if self.alarm.poll(until, cx).is_ready() => {}
                Some(_) => return Poll::Pending,
            }
        }
    }
}

impl Drop for KeepAlive {
    /// A runtime that shuts down drops its tasks: whoever holds a lease must know.
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let observers = {
            let mut kept = self.shared.keeper.lock();
            kept.machine.handle_closed(self.shared.runtime.now());
            kept.revocations.clear();
            kept.handle_task_ended();
            kept.changed()
        };
        observers.into_iter().for_each(Waker::wake);
    }
}

async fn open(shared: Arc<Shared>, first: i64, timeout: Duration) -> Result<Duplex<LeaseKeepAlive>> {
    Duplex::open(&shared, &LeaseKeepAlive::new(first), timeout).await
}

async fn renew(
    shared: Arc<Shared>,
    key: LeaseKey,
    id: i64,
    sent_at: Instant,
    options: CallOptions,
) -> Renewed {
    let ttl = match renew_once(&shared, &LeaseKeepAlive::new(id), &options).await {
        Ok((answer, _)) => Ok(answer.ttl),
        Err(error) if error.etcd() == Some(EtcdError::LeaseNotFound) => Ok(0),
        Err(error) => Err(error),
    };
    Renewed { key, sent_at, ttl }
}
