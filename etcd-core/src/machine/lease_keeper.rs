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
//! stream what is due is tried that way, until one answer shows that it is streams that fail. A lease whose renewal a
//! server refuses is renewed alone as well: a refusal ends the stream for all.
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
mod outcome;
mod state;
mod step;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::agenda::Agenda;
use self::in_flight::InFlight;
use self::kept::{Kept, Renewal};
use self::outcome::is_refusal;
pub use self::state::LeaseState;
pub use self::step::KeeperStep;
use self::step::MIN_ATTEMPT;
use super::Backoff;
use crate::error::{Error, ErrorKind, LostReason};
use crate::runtime::later;

/// How often in a row a stream must fail to open where a single exchange works, until streams are given up.
const STREAM_DOUBTS: u32 = 2;

/// Names a lease among those that a keeper keeps.
///
/// Not its id: that may be kept twice, and be granted again after it was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseKey(u64);

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
    /// Whether what is ready goes alone, because a stream did not open: until one exchange shows what is to blame.
    on_detour: bool,
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
            on_detour: false,
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

    /// Takes note that the stream could not be opened. This and the other failures end all leases if the error says that
    /// the cluster is another one than the one that granted them, [`ErrorKind::ClusterChanged`].
    pub fn handle_open_failed(&mut self, now: Instant, error: Error, entropy: u64) {
        self.check_cluster(now, &error);
        if let Stream::Opening = self.stream {
            if let ErrorKind::Timeout(_) = error.kind() {
                self.silences += 1;
            }
            let not_before = self.pause(now, entropy);
            if error.server().is_none() {
                self.on_detour = true;
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
        self.check_cluster(now, &error);
        if let Stream::Open { .. } = self.stream {
            let not_before = self.pause(now, entropy);
            self.fail_stream(now, error, not_before);
        }
    }

    /// Takes the answer to [`KeeperStep::RenewAlone`], sent at `sent_at`.
    pub fn handle_renewed(&mut self, now: Instant, key: LeaseKey, sent_at: Instant, ttl: i64) {
        self.expire(now);
        if self.on_detour {
            // Not until all are renewed: of many there are always some that wait.
            self.on_detour = false;
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
        self.check_cluster(now, &error);
        if !is_refusal(&error) {
            self.on_detour = false;
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
}

#[cfg(test)]
mod tests;
