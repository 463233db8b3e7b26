//! Revocations nobody waits for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_core::error::{Error, EtcdError, Retry};
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
    /// How long it is worth trying.
    lasts: Duration,
    /// When it has ended by itself, or is not worth the trouble any more.
    until: Instant,
    unanswered: Option<Unanswered>,
    /// Between attempts that failed.
    backoff: Backoff,
}

/// A grant that nobody waits for.
#[derive(Clone, Debug)]
struct Unanswered {
    /// Until then the lease may be granted after a server has said that there is none.
    may_come_until: Instant,
    /// Whether it was asked for more than once, so that it may be granted again after it was revoked.
    is_repeated: bool,
    /// Between looks for it.
    backoff: Backoff,
}

/// How long a revocation is worth trying.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long after nobody waits for it a grant may still be carried out: servers give a request up after 7 s (`ReqTimeout`
/// in etcd's `server/config/config.go`).
const GRANTS_MAY_TAKE: Duration = Duration::from_secs(10);

/// How much longer the pauses between looks for a grant are than those after failures: each look is a proposal to the
/// whole cluster. The first is at most 250 ms long, and with eight looks the time is over.
const LOOKS_ARE_RARER: u32 = 10;

impl Revocation {
    pub(super) fn new(id: i64, now: Instant, ttl: Duration) -> Self {
        let lasts = ttl.min(PATIENCE);
        Self {
            id,
            lasts,
            until: later(now, lasts),
            unanswered: None,
            backoff: Backoff::default(),
        }
    }

    /// The same for a lease whose grant nobody waits for since `now`: the revocation, on another connection, may be ahead
    /// of it, or, if it `is_repeated`, between two of them.
    pub(super) fn of_unanswered_grant(mut self, now: Instant, is_repeated: bool) -> Self {
        let may_come_until = later(now, GRANTS_MAY_TAKE);
        // It lives from when it is granted.
        self.until = self.until.max(later(may_come_until, self.lasts));
        self.unanswered = Some(Unanswered {
            may_come_until,
            is_repeated,
            backoff: Backoff::default(),
        });
        self
    }

    /// Asks a server once, as a call does. Returns what is to be done once more, and when.
    pub(super) fn attempt(mut self, shared: &Arc<Shared>) -> BoxFuture<'static, Option<(Instant, Self)>> {
        let shared = shared.clone();
        Box::pin(async move {
            let left = self.until.saturating_duration_since(shared.runtime.now());
            if left == Duration::ZERO {
                return None;
            }
            let options = CallOptions {
                timeout: Some(left.min(shared.settings.timeout)),
                ..CallOptions::default()
            };
            let revoked = exchange::unary(&shared, &LeaseRevoke::new(self.id), &options).await;
            let (now, entropy) = (shared.runtime.now(), shared.runtime.entropy());
            let again_at = self.again_at(now, entropy, revoked.err())?;
            Some((again_at, self))
        })
    }

    /// When to try again after an attempt that succeeded, or ended with an error.
    fn again_at(&mut self, now: Instant, entropy: u64, error: Option<Error>) -> Option<Instant> {
        let is_unknown = |error: &Error| error.etcd() == Some(EtcdError::LeaseNotFound);
        match (error, &mut self.unanswered) {
            (Some(error), unanswered) if !is_unknown(&error) => {
                if !matches!(error.retry(), Retry::Elsewhere | Retry::Later) {
                    tracing::debug!(lease = self.id, %error, "a dropped lease could not be revoked");
                    return None;
                }
                // The grant may be where this was lost: in the buffers of a member that is stopped.
                if let Some(grant) = unanswered {
                    grant.may_come_until = grant.may_come_until.max(later(now, GRANTS_MAY_TAKE));
                }
                Some(now + self.backoff.next_pause(entropy))
            }
            (error, Some(grant)) if now < grant.may_come_until && (error.is_some() || grant.is_repeated) => {
                let pause = grant.backoff.next_pause(entropy) * LOOKS_ARE_RARER;
                Some((now + pause).min(grant.may_come_until))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use etcd_core::error::{Code, ErrorKind, ServerError, Timeout, TimeoutPhase};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn not_found() -> Error {
        let text = EtcdError::LeaseNotFound.to_string();
        ErrorKind::from(ServerError::new(Code::NotFound, &text)).into()
    }

    #[test]
    fn what_is_revoked_is_looked_for_again_only_if_it_may_be_granted_once_more() {
        let now = Instant::now();
        let mut held = Revocation::new(7, now, 60 * SECOND);
        assert_eq!(held.again_at(now, 0, None), None);
        assert_eq!(held.again_at(now, 0, Some(not_found())), None);

        let mut once = held.clone().of_unanswered_grant(now, false);
        assert_eq!(once.again_at(now, 0, None), None);
        let mut twice = held.of_unanswered_grant(now, true);
        assert!(twice.again_at(now, 0, None).is_some_and(|at| at > now));
        assert_eq!(twice.again_at(now + GRANTS_MAY_TAKE, 0, None), None);
    }

    #[test]
    fn looks_for_a_grant_are_few() {
        let start = Instant::now();
        for entropy in [0, u64::MAX / 3, u64::MAX] {
            let mut revocation = Revocation::new(7, start, 60 * SECOND).of_unanswered_grant(start, false);
            let (mut now, mut looks) = (start, 1);
            while let Some(at) = revocation.again_at(now, entropy, Some(not_found())) {
                (now, looks) = (at, looks + 1);
            }
            assert_eq!(now, start + GRANTS_MAY_TAKE, "the last one when the time is over");
            assert!((5..=9).contains(&looks), "{looks}");
        }
    }

    #[test]
    fn the_time_of_a_grant_counts_from_the_first_answer() {
        let now = Instant::now();
        let mut revocation = Revocation::new(7, now, 600 * SECOND).of_unanswered_grant(now, false);
        let now = now + 20 * SECOND;
        let silence = Timeout::new(TimeoutPhase::Response).into();
        assert!(revocation.again_at(now, 0, Some(silence)).is_some());
        assert!(revocation.again_at(now, 0, Some(not_found())).is_some());
        assert!(revocation.until >= now + 580 * SECOND);
    }

    #[test]
    fn times_of_every_length_are_kept() {
        let now = Instant::now();
        let revocation = Revocation::new(7, now, Duration::MAX).of_unanswered_grant(now, true);
        assert_eq!(revocation.until, now + PATIENCE + GRANTS_MAY_TAKE);
    }
}
