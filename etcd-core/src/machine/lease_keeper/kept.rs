//! One lease, and its times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{LeaseKeeper, LeaseState};
use crate::error::{Error, LostReason};
use crate::runtime::later;

/// A lease that is kept alive.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: i64,
    /// When the request was sent that last gave the lease its full time.
    pub(super) renewed_at: Instant,
    /// The time it was given, as the server said.
    ttl: Duration,
    pub(super) deadline: Instant,
    pub(super) renewal: Renewal,
    /// Whether it is kept off the stream, where it would end the renewals of the others.
    pub(super) is_suspect: bool,
    pub(super) trouble: Option<Trouble>,
    pub(super) lost: Option<LostReason>,
}

/// Where the next renewal of a lease is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// To be sent at this time.
    Due(Instant),
    /// To be sent as soon as possible.
    Ready,
    /// Sent on the stream, which is left if there is no answer by this time.
    OnStream(Instant),
    /// Sent as an exchange of its own, at this time.
    Alone(Instant),
}

/// What keeps a lease from being renewed.
#[derive(Debug)]
pub(super) struct Trouble {
    since: Instant,
    cause: Arc<Error>,
}

impl Kept {
    pub(super) fn new(id: i64, renewed_at: Instant, ttl: i64) -> Self {
        let ttl = seconds(ttl);
        Self {
            id,
            renewed_at,
            ttl,
            deadline: deadline(renewed_at, ttl),
            renewal: Renewal::Due(later(renewed_at, ttl / LeaseKeeper::RENEWALS_PER_TTL)),
            is_suspect: false,
            trouble: None,
            lost: None,
        }
    }

    pub(super) fn handle_renewed(&mut self, sent_at: Instant, ttl: i64) {
        self.is_suspect = false;
        self.trouble = None;
        // An answer to an older request than one already answered proves nothing new.
        if sent_at >= self.renewed_at {
            self.renewed_at = sent_at;
            self.ttl = seconds(ttl);
            self.deadline = deadline(sent_at, self.ttl);
        }
    }

    /// Takes note that a renewal begun at `since` has failed; whether that is news.
    pub(super) fn handle_trouble(&mut self, since: Instant, cause: &Arc<Error>) -> bool {
        let is_news = self.trouble.is_none();
        let since = self.trouble.as_ref().map_or(since, |trouble| trouble.since);
        self.trouble = Some(Trouble {
            since,
            cause: cause.clone(),
        });
        is_news
    }

    /// When the next renewal is to be sent.
    pub(super) fn due(&self) -> Instant {
        later(self.renewed_at, self.ttl / LeaseKeeper::RENEWALS_PER_TTL)
    }

    pub(super) fn cause(&self) -> Option<Arc<Error>> {
        self.trouble.as_ref().map(|trouble| trouble.cause.clone())
    }

    pub(super) fn state(&self, now: Instant) -> LeaseState {
        if let Some(reason) = &self.lost {
            let reason = reason.clone();
            return LeaseState::Lost { reason };
        }
        let deadline = self.deadline;
        if now >= deadline {
            let cause = self.cause();
            let reason = LostReason::Expired { cause };
            return LeaseState::Lost { reason };
        }
        match &self.trouble {
            None => LeaseState::Alive { deadline },
            Some(trouble) => LeaseState::Degraded {
                since: trouble.since,
                cause: trouble.cause.clone(),
                deadline,
            },
        }
    }
}

/// Until when a lease lives for certain whose full time was asked for at `sent_at`.
fn deadline(sent_at: Instant, ttl: Duration) -> Instant {
    later(sent_at, ttl - ttl / LeaseKeeper::MARGIN)
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(ttl.try_into().unwrap_or_default())
}
