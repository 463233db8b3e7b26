//! Leases: keys that go when nobody asks for them to stay.
//!
//! # The life of a lease
//!
//! ```text
//!   grant ──▶ alive ──── deadline passes ────▶ expired ──▶ revoked, with its keys, at one revision
//!              │  ▲                                            ▲
//!              └──┘ keep_alive: deadline = now + TTL           │
//!              └────────────────── revoke ─────────────────────┘
//! ```
//!
//! Between its deadline and the moment the server revokes it, a lease still exists; a real server takes up to half
//! a second for that, the embedded one does it whenever it is told the time.
//!
//! Source: `server/lease/lessor.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_core::error::EtcdError;
use etcd_core::message::MAX_LEASE_TTL;

use crate::Status;

/// Why a lease could not be granted, found or revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// No lease has this id.
    #[error("lease not found")]
    NotFound,
    /// A lease with this id exists.
    #[error("lease already exists")]
    Exists,
    /// The time to live exceeds [`MAX_LEASE_TTL`].
    #[error("too large lease TTL")]
    TtlTooLarge,
}

impl From<LeaseError> for Status {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::NotFound => EtcdError::LeaseNotFound,
            LeaseError::Exists => EtcdError::LeaseExists,
            LeaseError::TtlTooLarge => EtcdError::LeaseTtlTooLarge,
        }
        .into()
    }
}

/// One lease.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Lease {
    /// The seconds it was granted for.
    pub ttl: i64,
    /// When it expires.
    pub deadline: Instant,
    /// The keys that go with it, in order.
    pub keys: BTreeSet<Bytes>,
}

impl Lease {
    /// The whole seconds left at `now`; below zero once they are over.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> i64 {
        match self.deadline.checked_duration_since(now) {
            Some(left) => i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            // Go rounds towards zero, and a lease in its last instant reports 0.
            None => -i64::try_from(now.duration_since(self.deadline).as_secs()).unwrap_or(i64::MAX),
        }
    }
}

/// All leases.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    leases: BTreeMap<i64, Lease>,
    deadlines: BTreeSet<(Instant, i64)>,
}

impl Leases {
    /// Grants a lease with the id `id` for `ttl` seconds, or for `min_ttl` if that is longer; returns the seconds granted.
    ///
    /// # Errors
    ///
    /// [`LeaseError::TtlTooLarge`], [`LeaseError::Exists`]; [`LeaseError::NotFound`] for the id 0.
    pub fn grant(&mut self, now: Instant, id: i64, ttl: i64, min_ttl: i64) -> Result<i64, LeaseError> {
        if id == 0 {
            return Err(LeaseError::NotFound);
        }
        if ttl > MAX_LEASE_TTL {
            return Err(LeaseError::TtlTooLarge);
        }
        if self.exists(id) {
            return Err(LeaseError::Exists);
        }
        let ttl = ttl.max(min_ttl);
        let deadline = deadline(now, ttl);
        self.deadlines.insert((deadline, id));
        self.leases.insert(
            id,
            Lease {
                ttl,
                deadline,
                keys: BTreeSet::new(),
            },
        );
        Ok(ttl)
    }

    /// Starts the time of a lease anew; returns the seconds it was granted for.
    ///
    /// # Errors
    ///
    /// [`LeaseError::NotFound`]
    pub fn keep_alive(&mut self, now: Instant, id: i64) -> Result<i64, LeaseError> {
        let lease = self.leases.get_mut(&id).ok_or(LeaseError::NotFound)?;
        self.deadlines.remove(&(lease.deadline, id));
        lease.deadline = deadline(now, lease.ttl);
        self.deadlines.insert((lease.deadline, id));
        Ok(lease.ttl)
    }

    /// Starts the time of every lease anew, as a member does that becomes the leader: it does not know what was left.
    pub(crate) fn promote(&mut self, now: Instant) {
        self.deadlines.clear();
        for (id, lease) in &mut self.leases {
            lease.deadline = deadline(now, lease.ttl);
            self.deadlines.insert((lease.deadline, *id));
        }
    }

    /// Ends a lease; returns the keys that have to go with it, in order.
    ///
    /// # Errors
    ///
    /// [`LeaseError::NotFound`]
    pub fn remove(&mut self, id: i64) -> Result<BTreeSet<Bytes>, LeaseError> {
        let lease = self.leases.remove(&id).ok_or(LeaseError::NotFound)?;
        self.deadlines.remove(&(lease.deadline, id));
        Ok(lease.keys)
    }

    /// The lease with this id.
    #[must_use]
    pub fn get(&self, id: i64) -> Option<&Lease> {
        self.leases.get(&id)
    }

    /// Whether there is a lease with this id.
    #[must_use]
    pub fn exists(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    /// All ids, those first that expire first.
    pub fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.deadlines.iter().map(|(_, id)| *id)
    }

    /// A lease that has expired at `now`, the one that did so first.
    #[must_use]
    pub fn expired(&self, now: Instant) -> Option<i64> {
        let (deadline, id) = self.deadlines.first()?;
        (*deadline <= now).then_some(*id)
    }

    /// When the next lease expires.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Deadlines and ids, those first that expire first.
    pub(crate) fn by_deadline(&self) -> impl Iterator<Item = (Instant, i64)> + '_ {
        self.deadlines.iter().copied()
    }

    /// Every lease with its id, in the order of ids.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (i64, &Lease)> {
        self.leases.iter().map(|(id, lease)| (*id, lease))
    }

    pub(crate) fn attach(&mut self, id: i64, key: &Bytes) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.keys.insert(key.clone());
        }
    }

    pub(crate) fn detach(&mut self, id: i64, key: &Bytes) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.keys.remove(key);
        }
    }
}

/// A deadline that cannot be expressed lies so far ahead that the farthest one that can serves as well.
fn deadline(now: Instant, ttl: i64) -> Instant {
    let seconds = u64::try_from(ttl).unwrap_or_default();
    now.checked_add(Duration::from_secs(seconds))
        .or_else(|| now.checked_add(Duration::from_secs(u64::from(u32::MAX))))
        .unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lease_lives_for_at_least_the_minimum() {
        let (now, mut leases) = (Instant::now(), Leases::default());
        assert_eq!(leases.grant(now, 1, 1, 2), Ok(2));
        assert_eq!(leases.grant(now, 2, -5, 2), Ok(2));
        assert_eq!(leases.grant(now, 3, 3, 2), Ok(3));
    }

    #[test]
    fn a_lease_expires_at_its_deadline_and_not_before() {
        let (now, mut leases) = (Instant::now(), Leases::default());
        leases.grant(now, 7, 5, 2).unwrap();
        assert_eq!(leases.poll_timeout(), Some(now + 5 * SECOND));
        assert_eq!(leases.expired(now + 4 * SECOND), None);
        assert_eq!(leases.expired(now + 5 * SECOND), Some(7));
    }

    #[test]
    fn keeping_alive_starts_the_time_anew() {
        let (now, mut leases) = (Instant::now(), Leases::default());
        leases.grant(now, 7, 5, 2).unwrap();
        assert_eq!(leases.keep_alive(now + 4 * SECOND, 7), Ok(5));
        assert_eq!(leases.expired(now + 8 * SECOND), None);
        assert_eq!(leases.expired(now + 9 * SECOND), Some(7));
        assert_eq!(leases.keep_alive(now, 8), Err(LeaseError::NotFound));
    }

    #[test]
    fn ids_come_in_the_order_in_which_they_expire() {
        let (now, mut leases) = (Instant::now(), Leases::default());
        for (id, ttl) in [(1, 30), (2, 10), (3, 20)] {
            leases.grant(now, id, ttl, 2).unwrap();
        }
        assert_eq!(leases.ids().collect::<Vec<_>>(), [2, 3, 1]);
        leases.remove(3).unwrap();
        assert_eq!(leases.ids().collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn a_grant_is_refused_for_an_id_in_use_and_a_ttl_out_of_range() {
        let (now, mut leases) = (Instant::now(), Leases::default());
        leases.grant(now, 7, MAX_LEASE_TTL, 2).unwrap();
        assert_eq!(leases.grant(now, 7, 5, 2), Err(LeaseError::Exists));
        assert_eq!(
            leases.grant(now, 8, MAX_LEASE_TTL + 1, 2),
            Err(LeaseError::TtlTooLarge)
        );
        assert_eq!(leases.grant(now, 0, 5, 2), Err(LeaseError::NotFound));
    }
}
