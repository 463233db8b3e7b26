//! Revocations nobody waits for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_core::error::EtcdError;
use etcd_core::machine::Backoff;
use etcd_core::message::LeaseRevoke;
use etcd_core::runtime::{BoxFuture, later};

use crate::call::CallOptions;
use crate::client::Shared;
use crate::exchange;

/// How many requests are under way at once.
pub(super) const MAX_AT_ONCE: usize = 16;

/// A lease to be revoked as well as possible. If that fails, it ends by itself, because nothing renews it any more.
#[derive(Clone, Debug)]
pub(super) struct Revocation {
    id: i64,
    /// When it has ended by itself, or is not worth the trouble any more.
    until: Instant,
    /// Until then the lease may be granted after a server has said that there is none.
    may_come_until: Option<Instant>,
    backoff: Backoff,
}

/// How long a revocation is worth trying.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long after nobody waits for it a grant may still be carried out: servers give a request up after 7 s (`ReqTimeout`
/// in etcd's `server/config/config.go`).
const GRANTS_MAY_TAKE: Duration = Duration::from_secs(10);

impl Revocation {
    pub(super) fn new(id: i64, now: Instant, ttl: Duration) -> Self {
        Self {
            id,
            until: now + ttl.min(PATIENCE),
            may_come_until: None,
            backoff: Backoff::default(),
        }
    }

    /// The same for a lease whose grant nobody waits for since `now`: the revocation, on another connection, may be ahead
    /// of it.
    pub(super) fn of_unanswered_grant(mut self, now: Instant) -> Self {
        self.may_come_until = Some(later(now, GRANTS_MAY_TAKE));
        self
    }

    /// Asks a server once, as a call does. Returns what is to be done once more, and when.
    pub(super) fn attempt(mut self, shared: &Arc<Shared>) -> BoxFuture<'static, Option<(Instant, Self)>> {
        let shared = shared.clone();
        Box::pin(async move {
            let runtime = &shared.runtime;
            let left = self.until.saturating_duration_since(runtime.now());
            if left == Duration::ZERO {
                return None;
            }
            let options = CallOptions {
                timeout: Some(left.min(shared.settings.timeout)),
                ..CallOptions::default()
            };
            let error = exchange::unary(&shared, &LeaseRevoke::new(self.id), &options)
                .await
                .err()?;
            let now = runtime.now();
            let is_unknown = error.etcd() == Some(EtcdError::LeaseNotFound);
            match self.may_come_until {
                Some(end) if is_unknown && now < end => {
                    let again_at = now + self.backoff.next_pause(runtime.entropy());
                    Some((again_at.min(end), self))
                }
                _ => {
                    tracing::debug!(lease = self.id, %error, "a dropped lease could not be revoked");
                    None
                }
            }
        })
    }
}
