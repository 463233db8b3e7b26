//! How a lease comes to be held.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_core::error::{Error, ErrorKind, EtcdError, Result, Retry};
use etcd_core::machine::Backoff;
use etcd_core::message::{LeaseGrant, LeaseKeepAlive, Put};
use etcd_core::runtime::BoxFuture;

use super::revocation::Revocation;
use super::{Keeper, Lease, RegistrationCall};
use crate::call::CallOptions;
use crate::client::Shared;
use crate::group::renew_once;
use crate::{Client, exchange};

/// A lease that is granted when this is awaited, and then kept alive. Made by [`Client::lease`].
///
/// The client chooses the lease's id, a random one of 63 bits, unless it is given one. So a grant whose answer is lost
/// can be asked for again without granting a second lease.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a time that no server grants, and what ends
/// every [`Call`](crate::Call); with an id of your own, [`EtcdError::LeaseExists`] if it is taken.
///
/// # Cancel safety
///
/// Dropping the future revokes in the background what may have been granted; with [an id of your own](Self::id) only what
/// was granted for certain. Until then it may be somebody else's lease that has this id, so that one whose grant was under
/// way may live on for its time.
#[must_use = "a lease is granted when this is awaited"]
#[derive(Clone)]
pub struct LeaseCall {
    client: Client,
    ttl: Duration,
    id: Option<i64>,
    timeout: Option<Duration>,
}

impl LeaseCall {
    pub(crate) fn new(client: Client, ttl: Duration) -> Self {
        Self {
            client,
            ttl,
            id: None,
            timeout: None,
        }
    }

    /// Chooses the lease's id. A server refuses one that is taken. 0 lets the client choose.
    pub fn id(mut self, id: i64) -> Self {
        self.id = Some(id).filter(|id| *id != 0);
        self
    }

    /// How long the grant may take. Default: the client's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Puts keys under the lease, and again under a new lease whenever it is lost: the registration of a service that
    /// comes back by itself.
    ///
    /// The first time, the keys are put whoever has them: that of a former run of the same service may still be there.
    pub fn register(self, puts: impl IntoIterator<Item = Put>) -> RegistrationCall {
        RegistrationCall::new(self, puts.into_iter().collect())
    }

    pub(super) fn any_id(mut self) -> Self {
        self.id = None;
        self
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    async fn grant(self) -> Result<Lease> {
        let shared = &self.client.shared;
        let ttl = whole_seconds(self.ttl);
        let timeout = self.timeout.unwrap_or(shared.settings.timeout);
        let started = shared.runtime.now();
        let id = self.id.unwrap_or_else(|| random_id(shared));
        // An id of the caller's may be somebody else's as well: that one is neither taken for ours nor revoked.
        let mut is_ours = self.id.is_none();
        // Whether an answer has shown that it was granted.
        let mut is_granted = false;
        let mut granting = Granting {
            shared,
            revocation: Revocation::new(id, started, self.ttl),
            is_open: false,
            rounds: 0,
        };
        let mut backoff = Backoff::default();
        let request = LeaseGrant::new(ttl).id(id);
        let in_time = || {
            let passed = shared.runtime.now().saturating_duration_since(started);
            CallOptions {
                timeout: Some(timeout.saturating_sub(passed)),
                ..CallOptions::default()
            }
        };
        loop {
            granting.rounds += 1;
            let was_open = std::mem::replace(&mut granting.is_open, is_ours);
            let granted = match exchange::timed_unary(shared, &request, &in_time()).await {
                Ok((answer, sent_at)) => {
                    (is_ours, is_granted) = (true, true);
                    granting.is_open = true;
                    if is_fresh(shared, sent_at, answer.ttl) {
                        Ok((answer.ttl, sent_at))
                    } else {
                        self.renew(id, &in_time()).await
                    }
                }
                // An earlier attempt of ours got it; how much of its time is over, nobody knows.
                Err(error) if was_open && error.etcd() == Some(EtcdError::LeaseExists) => {
                    is_granted = true;
                    self.renew(id, &in_time()).await
                }
                Err(error) => Err(error),
            };
            match granted {
                Ok((ttl, sent_at)) => {
                    granting.is_open = false;
                    let key = Keeper::insert(shared, id, sent_at, ttl);
                    return Ok(Lease::new(self.client.clone(), key, id, ttl, true));
                }
                Err(error) if is_ours && may_mend(&error) => {
                    let pause = backoff.next_pause(shared.runtime.entropy());
                    shared.runtime.sleep_until(shared.runtime.now() + pause).await;
                }
                Err(error) => {
                    granting.is_open = was_open || is_granted || is_ours && error.is_outcome_unknown();
                    return Err(error);
                }
            }
        }
    }

    async fn renew(&self, id: i64, options: &CallOptions) -> Result<(i64, Instant)> {
        let renewal = LeaseKeepAlive::new(id);
        let (answer, sent_at) = renew_once(&self.client.shared, &renewal, options).await?;
        Ok((answer.ttl, sent_at))
    }
}

impl IntoFuture for LeaseCall {
    type Output = Result<Lease>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.grant())
    }
}

impl fmt::Debug for LeaseCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseCall")
            .field("ttl", &self.ttl)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A grant that may have been applied without anybody knowing.
struct Granting<'a> {
    shared: &'a Arc<Shared>,
    revocation: Revocation,
    is_open: bool,
    /// How often it was asked for.
    rounds: u32,
}

impl Drop for Granting<'_> {
    fn drop(&mut self) {
        if self.is_open {
            let now = self.shared.runtime.now();
            let revocation = self.revocation.clone();
            Keeper::revoke(self.shared, revocation.of_unanswered_grant(now, self.rounds > 1));
        }
    }
}

/// A lease granted elsewhere that is renewed when this is awaited, and then kept alive. Made by [`Client::keep_alive`].
///
/// # Errors
///
/// [`EtcdError::LeaseNotFound`] if there is no such lease, and what ends every [`Call`](crate::Call).
///
/// Cancel safe.
#[must_use = "a lease is kept alive when this is awaited"]
#[derive(Clone)]
pub struct KeepAliveCall {
    client: Client,
    id: i64,
    timeout: Option<Duration>,
}

impl KeepAliveCall {
    pub(crate) fn new(client: Client, id: i64) -> Self {
        Self {
            client,
            id,
            timeout: None,
        }
    }

    /// How long the first renewal may take. Default: the client's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn adopt(self) -> Result<Lease> {
        let shared = &self.client.shared;
        let options = CallOptions {
            timeout: self.timeout,
            ..CallOptions::default()
        };
        let (answer, sent_at) = renew_once(shared, &LeaseKeepAlive::new(self.id), &options).await?;
        let key = Keeper::insert(shared, self.id, sent_at, answer.ttl);
        Ok(Lease::new(self.client.clone(), key, self.id, answer.ttl, false))
    }
}

impl IntoFuture for KeepAliveCall {
    type Output = Result<Lease>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.adopt())
    }
}

impl fmt::Debug for KeepAliveCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAliveCall")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A positive number, as the servers' own ids are.
fn random_id(shared: &Shared) -> i64 {
    let id = (shared.runtime.entropy() >> 1).cast_signed();
    id.max(1)
}

/// Rounded up: a lease lives for no less than was asked for.
fn whole_seconds(ttl: Duration) -> i64 {
    let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// Whether a lease has most of its time ahead of it, if it was granted as soon as it was asked for.
fn is_fresh(shared: &Shared, sent_at: Instant, ttl: i64) -> bool {
    let passed = shared.runtime.now().saturating_duration_since(sent_at);
    passed < Duration::from_secs(ttl.try_into().unwrap_or_default()) / 2
}

/// Whether it is worth asking for the same lease again: the answer was lost, or the lease was over before it arrived.
fn may_mend(error: &Error) -> bool {
    let is_over = error.etcd() == Some(EtcdError::LeaseNotFound);
    let is_lost = error.is_outcome_unknown() && matches!(error.retry(), Retry::Elsewhere | Retry::Later);
    (is_over || is_lost) && !matches!(error.kind(), ErrorKind::Timeout(_))
}
