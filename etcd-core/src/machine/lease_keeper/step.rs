//! What is to be done next.

use std::time::{Duration, Instant};

use super::agenda::Entry;
use super::in_flight::Sent;
use super::kept::Renewal;
use super::{LeaseKeeper, LeaseKey, STREAM_DOUBTS, Stream};
use crate::error::{Timeout, TimeoutPhase};
use crate::runtime::later;

/// The shortest time an attempt gets while its lease has that much left.
pub(super) const MIN_ATTEMPT: Duration = Duration::from_millis(100);

/// What to do next for the leases.
#[derive(Debug)]
#[must_use]
pub enum KeeperStep {
    /// Open a stream whose first message renews this lease; then [`LeaseKeeper::handle_opened`], or
    /// [`LeaseKeeper::handle_open_failed`] at the latest at `give_up_at`.
    Open {
        /// The id of the lease.
        first: i64,
        /// When to give it up.
        give_up_at: Instant,
    },
    /// Send a renewal of this lease on the open stream.
    Renew {
        /// The id of the lease.
        id: i64,
    },
    /// Renew this lease by an exchange of its own; then [`LeaseKeeper::handle_renewed`], or
    /// [`LeaseKeeper::handle_renewal_failed`] at the latest at `give_up_at`.
    RenewAlone {
        /// Names the lease in what is handled.
        key: LeaseKey,
        /// The id of the lease.
        id: i64,
        /// When to give it up.
        give_up_at: Instant,
    },
    /// Close the stream.
    Close {
        /// Whether it kept silent, so that the next one should be opened elsewhere.
        is_silent: bool,
    },
    /// Poll again at this time, or after the next `handle_*` if there is none.
    Wait {
        /// When.
        until: Option<Instant>,
    },
}

impl LeaseKeeper {
    /// What to do next.
    pub fn poll_step(&mut self, now: Instant) -> KeeperStep {
        self.expire(now);
        if self.is_idle() {
            return self.rest();
        }
        if self.silent_at().is_some_and(|at| now >= at) {
            self.silences += 1;
            let silence = Timeout::new(TimeoutPhase::Response);
            self.fail_stream(now, silence.into(), now);
            return KeeperStep::Close { is_silent: true };
        }
        if self.alone_until.is_some_and(|until| now >= until) {
            self.alone_until = None;
        }
        self.make_ready(now);
        let step = self.renew_alone(now).or_else(|| match self.stream {
            Stream::Open { .. } => self.renew(now),
            Stream::Closed { not_before } if not_before.is_none_or(|at| now >= at) => self.open(now),
            Stream::Closed { .. } | Stream::Opening => None,
        });
        step.unwrap_or_else(|| self.wait(now))
    }

    fn rest(&mut self) -> KeeperStep {
        let was_closed = matches!(self.stream, Stream::Closed { .. });
        self.forget_stream();
        if was_closed {
            KeeperStep::Wait { until: None }
        } else {
            KeeperStep::Close { is_silent: false }
        }
    }

    /// Moves what is due to where it is sent from.
    fn make_ready(&mut self, now: Instant) {
        if self.agenda.due.first().is_none_or(|(due, _)| now < *due) {
            return;
        }
        let horizon = later(now, Self::BATCH);
        while let Some((due, key)) = self.agenda.due.first().copied()
            && due <= horizon
        {
            self.change(key, |kept| kept.renewal = Renewal::Ready);
        }
    }

    fn renew_alone(&mut self, now: Instant) -> Option<KeeperStep> {
        if self.agenda.alone >= Self::MAX_ALONE {
            return None;
        }
        let mut next = self.agenda.ready_alone.first();
        let is_overdue = self.rescue_at().is_some_and(|at| now >= at);
        if next.is_none() && (is_overdue || self.goes_alone()) {
            next = self.agenda.ready.first();
            if next.is_none() && self.agenda.alone == 0 {
                self.on_detour = false;
            }
        }
        let (deadline, key) = *next?;
        self.change(key, |kept| kept.renewal = Renewal::Alone(now));
        Some(KeeperStep::RenewAlone {
            key,
            id: self.leases.get(&key)?.id,
            give_up_at: self.attempt_until(now, deadline),
        })
    }

    /// When a lease has waited long enough for a stream that is being opened, and is renewed alone.
    fn rescue_at(&self) -> Option<Instant> {
        let Stream::Opening = self.stream else {
            return None;
        };
        let (deadline, key) = self.agenda.ready.first()?;
        Some(half_way(self.leases.get(key)?.due(), *deadline))
    }

    /// Whether what is ready is renewed alone.
    fn goes_alone(&self) -> bool {
        // Nobody waits for a stream that most likely does not open.
        let is_doubtful = self.doubts >= STREAM_DOUBTS && matches!(self.stream, Stream::Opening);
        self.alone_until.is_some() || self.on_detour || is_doubtful
    }

    fn renew(&mut self, now: Instant) -> Option<KeeperStep> {
        if self.in_flight.len() >= Self::MAX_IN_FLIGHT {
            return None;
        }
        let (_, key) = self.agenda.ready.first().copied()?;
        let id = self.send(key, now)?;
        Some(KeeperStep::Renew { id })
    }

    fn open(&mut self, now: Instant) -> Option<KeeperStep> {
        if self.goes_alone() {
            return None;
        }
        // Of those that are due, the most urgent. If none is: of those that may go on a stream, and if that is likely
        // to fail, the one that can best afford it.
        let may_go = |(_, key): &&Entry| {
            let kept = self.leases.get(key);
            kept.is_some_and(|kept| matches!(kept.renewal, Renewal::Due(_)) && !kept.is_suspect)
        };
        let mut first = self.agenda.ready.first();
        if self.doubts >= STREAM_DOUBTS {
            // What failed to open the last stream is ready, and must not wait for another to become due.
            let can_afford_it = self.agenda.deadlines.iter().rev().find(may_go);
            first = can_afford_it.or(first);
        } else if first.is_none() && self.must_reopen {
            first = self.agenda.deadlines.iter().find(may_go);
        }
        let (deadline, key) = first.copied()?;
        let id = self.send(key, now)?;
        self.stream = Stream::Opening;
        Some(KeeperStep::Open {
            first: id,
            give_up_at: self.attempt_until(now, deadline),
        })
    }

    /// Notes that a renewal goes out on the stream.
    fn send(&mut self, key: LeaseKey, now: Instant) -> Option<i64> {
        let id = self.leases.get(&key)?.id;
        self.change(key, |kept| {
            kept.renewal = Renewal::OnStream(half_way(now, kept.deadline));
        });
        self.in_flight.push(Sent { key, id, at: now });
        Some(id)
    }

    fn wait(&self, now: Instant) -> KeeperStep {
        let opens_at = match self.stream {
            Stream::Closed { not_before } => self.alone_until.or(not_before),
            Stream::Opening | Stream::Open { .. } => None,
        };
        let times = [
            self.agenda.deadlines.first().map(|(deadline, _)| *deadline),
            self.agenda.due.first().map(|(due, _)| *due),
            self.silent_at(),
            self.rescue_at().filter(|at| now < *at),
            opens_at.filter(|at| now < *at),
        ];
        KeeperStep::Wait {
            until: times.into_iter().flatten().min(),
        }
    }

    /// When the open stream is to be left: it has said nothing for too long, or not what a lease waits for.
    fn silent_at(&self) -> Option<Instant> {
        let Stream::Open { heard_at } = self.stream else {
            return None;
        };
        let owes_since = self.in_flight.oldest()?.at.max(heard_at);
        let urgent = self.agenda.on_stream.first().map(|(give_up_at, _)| *give_up_at);
        let silence = later(owes_since, self.limit());
        Some(urgent.map_or(silence, |urgent| urgent.min(silence)))
    }

    /// Until when an attempt may last that begins now.
    fn attempt_until(&self, now: Instant, deadline: Instant) -> Instant {
        half_way(now, deadline).min(later(now, self.limit()))
    }

    /// How long an attempt may last, whatever time its lease has left.
    fn limit(&self) -> Duration {
        self.patience.saturating_mul(1 << self.silences.min(2))
    }
}

/// When an attempt is to be given up that began at `from`: after half the time that its lease has left, so that there is
/// time for another.
fn half_way(from: Instant, deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(from);
    from + (left / 2).max(MIN_ATTEMPT.min(left))
}
