//! Revocations nobody waits for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_core::message::LeaseRevoke;
use etcd_core::runtime::BoxFuture;

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
}

/// How long a revocation is worth trying.
const PATIENCE: Duration = Duration::from_secs(600);

impl Revocation {
    pub(super) fn new(id: i64, now: Instant, ttl: Duration) -> Self {
        let until = now + ttl.min(PATIENCE);
        Self { id, until }
    }

    pub(super) fn carry_out(self, shared: &Arc<Shared>) -> BoxFuture<'static, ()> {
        let left = self.until.saturating_duration_since(shared.runtime.now());
        let shared = shared.clone();
        let options = CallOptions {
            timeout: Some(left.min(shared.settings.timeout)),
            ..CallOptions::default()
        };
        Box::pin(async move {
            if left == Duration::ZERO {
                return;
            }
            if let Err(error) = exchange::unary(&shared, &LeaseRevoke::new(self.id), &options).await {
                tracing::debug!(lease = self.id, %error, "a dropped lease could not be revoked");
            }
        })
    }
}
