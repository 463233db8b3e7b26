//! What came of it, for the leases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::kept::{Kept, Renewal};
use super::{LeaseKeeper, LeaseKey, Stream};
use crate::error::{Error, ErrorKind, Fault, LostReason};

impl LeaseKeeper {
    /// Loses the leases whose deadlines have come.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((deadline, key)) = self.agenda.deadlines.first().copied()
            && now >= deadline
        {
            let cause = self.leases.get(&key).and_then(Kept::cause);
            self.lose(key, LostReason::Expired { cause });
        }
    }

    pub(super) fn lose(&mut self, key: LeaseKey, reason: LostReason) {
        if self.change(key, |kept| kept.lost = Some(reason)) {
            self.changes.push_back(key);
        }
    }

    pub(super) fn lose_all(&mut self, now: Instant, reason: &LostReason) {
        self.expire(now);
        while let Some((_, key)) = self.agenda.deadlines.first().copied() {
            self.lose(key, reason.clone());
        }
    }

    /// Looks at the deadlines, and loses all leases if an error says that the cluster is not theirs.
    pub(super) fn check_cluster(&mut self, now: Instant, error: &Error) {
        self.expire(now);
        if let ErrorKind::ClusterChanged(changed) = error.kind() {
            self.lose_all(now, &LostReason::ClusterChanged(*changed));
        }
    }

    /// Takes the answer to a request; the next one is due later if the lease stands where `may_move` says.
    pub(super) fn renewed(
        &mut self,
        key: LeaseKey,
        sent_at: Instant,
        ttl: i64,
        may_move: impl Fn(Renewal) -> bool,
    ) {
        self.backoff.reset();
        self.silences = 0;
        if ttl <= 0 {
            return self.lose(key, LostReason::NotFound);
        }
        let mut is_news = false;
        self.change(key, |kept| {
            is_news = kept.trouble.is_some();
            kept.handle_renewed(sent_at, ttl);
            if may_move(kept.renewal) {
                kept.renewal = Renewal::Due(kept.due());
            }
        });
        if is_news {
            self.changes.push_back(key);
        }
    }

    /// Takes note that the stream is over, and with it what was sent on it.
    pub(super) fn fail_stream(&mut self, now: Instant, error: Error, not_before: Instant) {
        let refused = self
            .in_flight
            .oldest()
            .filter(|_| is_refusal(&error))
            .map(|sent| sent.key);
        let cause = Arc::new(error);
        for sent in self.in_flight.drain() {
            self.trouble(sent.key, sent.at, &cause);
            self.change(sent.key, |kept| {
                if let Renewal::OnStream(_) = kept.renewal {
                    kept.renewal = Renewal::Ready;
                }
                // A server answers in order: it is the oldest that it refused.
                kept.is_suspect |= refused == Some(sent.key);
            });
        }
        let waiting: Vec<_> = self.agenda.ready.iter().map(|(_, key)| *key).collect();
        for key in waiting {
            self.trouble(key, now, &cause);
        }
        self.stream = Stream::Closed {
            not_before: Some(not_before),
        };
        self.must_reopen = true;
    }

    /// Takes note that what was begun for a lease at `since` has failed.
    pub(super) fn trouble(&mut self, key: LeaseKey, since: Instant, cause: &Arc<Error>) {
        let mut is_news = false;
        self.change(key, |kept| is_news = kept.handle_trouble(since, cause));
        if is_news {
            self.changes.push_back(key);
        }
    }

    /// When to try again after a failure: soon enough for the lease that has the least time left.
    pub(super) fn pause(&mut self, now: Instant, entropy: u64) -> Instant {
        let pause = self.backoff.next_pause(entropy);
        let deadline = self.agenda.deadlines.first().map(|(deadline, _)| *deadline);
        let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(now));
        now + pause.min(left / 4)
    }

    /// Changes a lease and where it stands; `false` if it is lost, or not there.
    pub(super) fn change(&mut self, key: LeaseKey, change: impl FnOnce(&mut Kept)) -> bool {
        let Some(kept) = self.leases.get_mut(&key).filter(|kept| kept.lost.is_none()) else {
            return false;
        };
        self.agenda.remove(key, kept);
        change(kept);
        self.agenda.insert(key, kept);
        true
    }

    pub(super) fn forget_stream(&mut self) {
        self.in_flight.drain();
        self.stream = Stream::Closed { not_before: None };
        self.must_reopen = false;
        self.on_detour = false;
    }
}

/// Whether a server understood a renewal and will not do it, as opposed to one that cannot at present.
pub(super) fn is_refusal(error: &Error) -> bool {
    error
        .server()
        .is_some_and(|refusal| refusal.fault() == Fault::Caller)
}
