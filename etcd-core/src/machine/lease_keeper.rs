//! The leases of a client, kept alive over one stream.
//!
//! # One lease
//!
//! ```text
//!                    an answer with time left
//!                 ┌─────────────────────────────┐
//!  handle_lease   ▼   its renewal failed        │
//!  ───────────▶ Alive ─────────────────────▶ Degraded
//!                 │                             │
//!                 └──────────────┬──────────────┘
//!                                ▼  the deadline has come; an answer without time left;
//!                              Lost   revoked; another cluster; closed: final
//! ```
//!
//! # The stream
//!
//! ```text
//!              poll_step: Open         handle_opened
//!    Closed ────────────────────▶ Opening ─────────▶ Open ──▶ poll_step: Renew, as leases fall due
//!     ▲  ▲                           │                │
//!     │  └── handle_open_failed ─────┘                │
//!     └───── handle_stream_failed; silence, or nothing left to renew (poll_step: Close)
//! ```
//!
//! Where streams do not open and single exchanges work (something on the way holds requests back until they are
//! complete), renewals are sent as exchanges of their own, `poll_step: RenewAlone`. After each failure to open a
//! stream what is due is tried that way. A lease whose renewal a server refuses is renewed alone as well: a refusal ends the stream
//! for all.
//!
//! # Why the deadline comes before the server's
//!
//! Let a renewal be handed out to be sent at the time *s*, on a clock that does not run backwards, and the server apply
//! it at *a*; then *s* ≤ *a*. The server lets the lease expire at *a* + TTL at the earliest (`Lease.refresh` in
//! `server/lease/lessor.go`). The deadline here is *s* + TTL − TTL / [`LeaseKeeper::MARGIN`], whenever the answer arrives. So it
//! comes first, by the time the request took and by the margin, which pays for clocks that run at different
//! speeds and for whoever is woken a little late. Further:
//!
//! - A grant counts like a renewal.
//! - A new leader gives every lease its full time, and an election timeout on top (`lessor.Promote`): that covers the
//!   renewals which its predecessor granted while it did not know that it was replaced. Newer servers do not even do
//!   that (`EtcdServer.ensureLeadership`).
//! - Nothing but an answer moves a deadline, and only that to a request which was sent later than the last one answered.
//! - Every method that is told the time first looks for deadlines that have come. **What is lost stays lost**, also if
//!   an answer arrives afterwards that shows the lease to be alive after all. Such an answer exists when the process
//!   slept with it in its buffers. Taking it would be safe for the lease and wrong for its holder, who may have been
//!   told in between that it is lost, and may have acted on it: whether he was must not depend on who looks first.
//! - [`LeaseKeeper::state`] compares with the time it is given, so that a holder who looks is right, even if nobody
//!   has driven the machine for an hour.
//!
//! It does not cover a client whose clock stands still: the machine it runs on was suspended, or stopped by a
//! hypervisor. (Linux does not count the time of a suspension, `CLOCK_MONOTONIC`.) Against that only a fencing token
//! helps: let each change be conditional on the key that the lease holds.
//!
//! # What it costs
//!
//! One deadline to wait for, whatever the number of leases. Those that fall due within [`LeaseKeeper::BATCH`] of each other are
//! renewed together, those with the least time left first, at most [`LeaseKeeper::MAX_IN_FLIGHT`] at once: members forward
//! renewals to the leader one by one, and time spent in a queue counts against the lease.

mod agenda;
mod in_flight;
mod kept;
mod state;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::agenda::{Agenda, Entry};
use self::in_flight::{InFlight, Sent};
use self::kept::{Kept, Renewal, later};
pub use self::state::LeaseState;
use super::Backoff;
use crate::error::{ClusterChanged, Error, ErrorKind, Fault, LostReason, Timeout, TimeoutPhase};

/// The shortest time an attempt gets while its lease has that much left.
const MIN_ATTEMPT: Duration = Duration::from_millis(100);

/// How often in a row a stream must fail to open where a single exchange works, until streams are given up.
const STREAM_DOUBTS: u32 = 2;

/// Names a lease among those that a keeper keeps.
///
/// Not its id: that may be kept twice, and be granted again after it was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseKey(u64);

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

/// Decides when and how each lease is renewed, and when it is lost.
#[derive(Debug)]
pub struct LeaseKeeper {
    patience: Duration,
    leases: BTreeMap<LeaseKey, Kept>,
    next_key: u64,
    agenda: Agenda,
    stream: Stream,
    in_flight: InFlight,
    /// Whether to open a stream even if nothing is due: the last one broke, and it is better to know now what that
    /// means for the leases.
    must_reopen: bool,
    backoff: Backoff,
    /// How many streams in a row were left because they kept silent.
    silences: u32,
    /// Whether what is ready goes alone for once, because a stream did not open.
    detour: Detour,
    /// How many streams in a row did not open although an exchange went through right after.
    doubts: u32,
    /// No stream before this time.
    alone_until: Option<Instant>,
    changes: VecDeque<LeaseKey>,
}

#[derive(Clone, Copy, Debug)]
enum Stream {
    Closed { not_before: Option<Instant> },
    Opening,
    Open { heard_at: Instant },
}

/// After a stream that did not open: what is ready is renewed alone, which also shows what is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detour {
    No,
    /// Under way, and nothing has come of it yet.
    Tried,
    /// Under way, and exchanges go through.
    Works,
}

impl LeaseKeeper {
    /// A lease is renewed every third of its time to live, as Go's client does (`client/v3/lease.go`).
    pub const RENEWALS_PER_TTL: u32 = 3;

    /// A lease is taken for lost this fraction of its time to live early: one hundredth.
    ///
    /// Clocks that are being adjusted differ by at most one thousandth (`adjtimex` limits each to 500 ppm); the rest is for
    /// late timers: 50 ms of a lease of 5 s.
    pub const MARGIN: u32 = 100;

    /// Renewals that fall due within this time of each other are sent together: 100 ms. Go looks every 500 ms.
    pub const BATCH: Duration = Duration::from_millis(100);

    /// How many renewals may be unanswered at once on a stream.
    pub const MAX_IN_FLIGHT: usize = 256;

    /// How many renewals may be under way as exchanges of their own.
    pub const MAX_ALONE: usize = 16;

    /// Where streams do not work, another attempt is made after this time.
    pub const STREAM_RETRY: Duration = Duration::from_secs(600);

    /// A keeper without leases. A stream that owes an answer and says nothing for `patience` is left; earlier if a
    /// lease has little time left, and later if others before it said nothing either.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self {
            patience: patience.max(MIN_ATTEMPT),
            leases: BTreeMap::new(),
            next_key: 0,
            agenda: Agenda::default(),
            stream: Stream::Closed { not_before: None },
            in_flight: InFlight::default(),
            must_reopen: false,
            backoff: Backoff::default(),
            silences: 0,
            detour: Detour::No,
            doubts: 0,
            alone_until: None,
            changes: VecDeque::new(),
        }
    }

    /// Keeps the lease `id` alive, which was given `ttl` seconds by a request sent at `sent_at`.
    pub fn handle_lease(&mut self, id: i64, sent_at: Instant, ttl: i64) -> LeaseKey {
        let key = LeaseKey(self.next_key);
        self.next_key += 1;
        let kept = Kept::new(id, sent_at, ttl);
        self.agenda.insert(key, &kept);
        self.leases.insert(key, kept);
        key
    }

    /// Lets go of a lease: it is not renewed any more, and its state is forgotten.
    pub fn handle_removed(&mut self, key: LeaseKey) {
        if let Some(kept) = self.leases.remove(&key) {
            self.agenda.remove(key, &kept);
        }
    }

    /// Takes note that this client revoked a lease, or began to.
    pub fn handle_revoked(&mut self, now: Instant, key: LeaseKey) {
        self.expire(now);
        self.lose(key, LostReason::Revoked);
    }

    /// Takes note that the cluster is another one than the one that granted the leases.
    pub fn handle_cluster_changed(&mut self, now: Instant, changed: ClusterChanged) {
        self.lose_all(now, &LostReason::ClusterChanged(changed));
    }

    /// Takes note that nobody drives this machine any more. It can be driven again, with new leases.
    pub fn handle_closed(&mut self, now: Instant) {
        self.lose_all(now, &LostReason::Closed);
        self.forget_stream();
    }

    /// Takes note that the stream is open: its first message was sent, and the answer has begun.
    pub fn handle_opened(&mut self, now: Instant) {
        self.expire(now);
        if let Stream::Opening = self.stream {
            self.stream = Stream::Open { heard_at: now };
            self.must_reopen = false;
            self.doubts = 0;
        }
    }

    /// Takes note that the stream could not be opened.
    pub fn handle_open_failed(&mut self, now: Instant, error: Error, entropy: u64) {
        self.expire(now);
        if let Stream::Opening = self.stream {
            if let ErrorKind::Timeout(_) = error.kind() {
                self.silences += 1;
            }
            let not_before = self.pause(now, entropy);
            if error.server().is_none() {
                self.detour = Detour::Tried;
            }
            self.fail_stream(now, error, not_before);
        }
    }

    /// Takes an answer from the stream: the lease `id` now has `ttl` seconds, or does not exist if that is none.
    ///
    /// An answer that nothing was sent for is ignored, whatever it says.
    pub fn handle_answer(&mut self, now: Instant, id: i64, ttl: i64) {
        self.expire(now);
        let Stream::Open { heard_at } = &mut self.stream else {
            return;
        };
        *heard_at = now;
        if let Some(sent) = self.in_flight.take(id) {
            self.renewed(sent.key, sent.at, ttl, |renewal| {
                matches!(renewal, Renewal::OnStream(_))
            });
            self.expire(now);
        }
    }

    /// Takes note that the stream ended: with an error, or with none although nobody had closed it.
    pub fn handle_stream_failed(&mut self, now: Instant, error: Error, entropy: u64) {
        self.expire(now);
        if let Stream::Open { .. } = self.stream {
            let not_before = self.pause(now, entropy);
            self.fail_stream(now, error, not_before);
        }
    }

    /// Takes the answer to [`KeeperStep::RenewAlone`], sent at `sent_at`.
    pub fn handle_renewed(&mut self, now: Instant, key: LeaseKey, sent_at: Instant, ttl: i64) {
        self.expire(now);
        if self.detour == Detour::Tried {
            self.detour = Detour::Works;
            self.doubts += 1;
            if self.doubts >= STREAM_DOUBTS {
                self.alone_until = Some(later(now, Self::STREAM_RETRY));
            }
        }
        self.renewed(key, sent_at, ttl, |renewal| matches!(renewal, Renewal::Alone(_)));
        self.expire(now);
    }

    /// Takes note that [`KeeperStep::RenewAlone`] failed.
    pub fn handle_renewal_failed(&mut self, now: Instant, key: LeaseKey, error: Error, entropy: u64) {
        self.expire(now);
        if !is_refusal(&error) {
            self.detour = Detour::No;
        }
        let Some(kept) = self.leases.get(&key) else {
            return;
        };
        let is_suspect = is_refusal(&error);
        // Others may be renewed all the while, so that the common pauses would stay short.
        let refused_until = now + (kept.deadline.saturating_duration_since(now) / 4).max(MIN_ATTEMPT);
        let since = match kept.renewal {
            Renewal::Alone(since) => since,
            _ => now,
        };
        let retry_at = if is_suspect {
            refused_until
        } else {
            self.pause(now, entropy)
        };
        self.trouble(key, since, &Arc::new(error));
        self.change(key, |kept| {
            kept.is_suspect = is_suspect;
            kept.renewal = Renewal::Due(retry_at);
        });
    }

    /// Takes note that the application itself renewed a lease, by a request sent at `sent_at`.
    pub fn handle_refreshed(&mut self, now: Instant, key: LeaseKey, sent_at: Instant, ttl: i64) {
        self.expire(now);
        // A renewal that is under way goes on.
        let waits = |renewal| matches!(renewal, Renewal::Due(_) | Renewal::Ready);
        self.renewed(key, sent_at, ttl, waits);
        self.expire(now);
    }

    /// How it stands with a lease at `now`; `None` for one that was removed.
    #[must_use]
    pub fn state(&self, key: LeaseKey, now: Instant) -> Option<LeaseState> {
        self.leases.get(&key).map(|kept| kept.state(now))
    }

    /// Whether there is no lease left to renew.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.agenda.deadlines.is_empty()
    }

    /// A lease that became alive again, degraded, or lost, and was not handed out since.
    #[must_use]
    pub fn poll_change(&mut self) -> Option<LeaseKey> {
        self.changes.pop_front()
    }

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
}

/// The steps.
impl LeaseKeeper {
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
        if next.is_none() && self.goes_alone() {
            next = self.agenda.ready.first();
            if next.is_none() && self.agenda.alone == 0 {
                self.detour = Detour::No;
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

    /// Whether what is ready is renewed alone.
    fn goes_alone(&self) -> bool {
        // Nobody waits for a stream that most likely does not open.
        let is_doubtful = self.doubts >= STREAM_DOUBTS && matches!(self.stream, Stream::Opening);
        self.alone_until.is_some() || self.detour != Detour::No || is_doubtful
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
            first = self.agenda.deadlines.iter().rev().find(may_go);
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

/// What the steps led to.
impl LeaseKeeper {
    /// Loses the leases whose deadlines have come.
    fn expire(&mut self, now: Instant) {
        while let Some((deadline, key)) = self.agenda.deadlines.first().copied()
            && now >= deadline
        {
            let cause = self.leases.get(&key).and_then(Kept::cause);
            self.lose(key, LostReason::Expired { cause });
        }
    }

    fn lose(&mut self, key: LeaseKey, reason: LostReason) {
        if self.change(key, |kept| kept.lost = Some(reason)) {
            self.changes.push_back(key);
        }
    }

    fn lose_all(&mut self, now: Instant, reason: &LostReason) {
        self.expire(now);
        while let Some((_, key)) = self.agenda.deadlines.first().copied() {
            self.lose(key, reason.clone());
        }
    }

    /// Takes the answer to a request; the next one is due later if the lease stands where `may_move` says.
    fn renewed(&mut self, key: LeaseKey, sent_at: Instant, ttl: i64, may_move: impl Fn(Renewal) -> bool) {
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
    fn fail_stream(&mut self, now: Instant, error: Error, not_before: Instant) {
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
    fn trouble(&mut self, key: LeaseKey, since: Instant, cause: &Arc<Error>) {
        let mut is_news = false;
        self.change(key, |kept| is_news = kept.handle_trouble(since, cause));
        if is_news {
            self.changes.push_back(key);
        }
    }

    /// When to try again after a failure: soon enough for the lease that has the least time left.
    fn pause(&mut self, now: Instant, entropy: u64) -> Instant {
        let pause = self.backoff.next_pause(entropy);
        let deadline = self.agenda.deadlines.first().map(|(deadline, _)| *deadline);
        let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(now));
        now + pause.min(left / 4)
    }

    /// Changes a lease and where it stands; `false` if it is lost, or not there.
    fn change(&mut self, key: LeaseKey, change: impl FnOnce(&mut Kept)) -> bool {
        let Some(kept) = self.leases.get_mut(&key).filter(|kept| kept.lost.is_none()) else {
            return false;
        };
        self.agenda.remove(key, kept);
        change(kept);
        self.agenda.insert(key, kept);
        true
    }

    fn forget_stream(&mut self) {
        self.in_flight.drain();
        self.stream = Stream::Closed { not_before: None };
        self.must_reopen = false;
        self.detour = Detour::No;
    }
}

/// When an attempt is to be given up that began at `from`: after half the time that its lease has left, so that there is
/// time for another.
fn half_way(from: Instant, deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(from);
    from + (left / 2).max(MIN_ATTEMPT.min(left))
}

/// Whether a server understood a renewal and will not do it, as opposed to one that cannot at present.
fn is_refusal(error: &Error) -> bool {
    error
        .server()
        .is_some_and(|refusal| refusal.fault() == Fault::Caller)
}

#[cfg(test)]
mod tests;
