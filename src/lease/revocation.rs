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

/// How many are under way at once.
pub(super) const MAX_AT_ONCE: usize = 16;

/// A lease to be revoked as well as possible. If that fails, it ends by itself, because nothing renews it any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Revocation {
    id: i64,
    /// When it has ended by itself, or is not worth the trouble any more.
    until: Instant,
    /// Whether the lease may be granted only after this: nobody has waited for the answer to the grant.
    may_be_ahead: bool,
}

/// How long a revocation is worth trying.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long after nobody waits for it a grant may still be carried out: servers give a request up after 7 s (`ReqTimeout`
/// in etcd's `server/config/config.go`).
const GRANTS_MAY_TAKE: Duration = Duration::from_secs(10);

impl Revocation {
    pub(super) fn new(id: i64, now: Instant, ttl: Duration) -> Self {
        let until = now + ttl.min(PATIENCE);
        Self {
            id,
            until,
            may_be_ahead: false,
        }
    }

    /// The same for a lease that may be granted only after this, on another connection.
    pub(super) fn of_unanswered_grant(mut self) -> Self {
        self.may_be_ahead = true;
        self
    }

    pub(super) fn carry_out(self, shared: &Arc<Shared>) -> BoxFuture<'static, ()> {
        let shared = shared.clone();
        Box::pin(async move {
            let runtime = &shared.runtime;
            let ahead_until = later(runtime.now(), GRANTS_MAY_TAKE);
            let mut backoff = Backoff::default();
            loop {
                let left = self.until.saturating_duration_since(runtime.now());
                if left == Duration::ZERO {
                    return;
                }
                let options = CallOptions {
                    timeout: Some(left.min(shared.settings.timeout)),
                    ..CallOptions::default()
                };
                let Err(error) = exchange::unary(&shared, &LeaseRevoke::new(self.id), &options).await else {
                    return;
                };
                let is_unknown = error.etcd() == Some(EtcdError::LeaseNotFound);
                let again_at = runtime.now() + backoff.next_pause(runtime.entropy());
                if !is_unknown || !self.may_be_ahead || again_at >= ahead_until {
                    tracing::debug!(lease = self.id, %error, "a dropped lease could not be revoked");
                    return;
                }
                runtime.sleep_until(again_at).await;
            }
        })
    }
}
