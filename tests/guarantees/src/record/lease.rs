//! What the holder of a lease believed, and what the server did.

use std::time::Duration;

use super::Timed;

/// What a holder is told of its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HolderState {
    /// The lease is held, until `deadline` at least.
    Alive {
        /// When the holder has to take it for lost unless it hears otherwise before, since the beginning of the run.
        deadline: Duration,
    },
    /// The lease is held, but cannot be renewed at present; the deadline stands.
    Degraded,
    /// The lease is lost, or must be taken for lost.
    Lost,
}

/// How the server ended a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseEnd {
    /// Its time ran out.
    Expired,
    /// Someone revoked it, which its holder cannot foresee.
    Revoked,
}

/// Something about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseItem {
    /// What the holder believes from now on.
    Holder(HolderState),
    /// The server ended it.
    Ended(LeaseEnd),
}

/// A lease.
#[derive(Clone, Debug)]
pub struct LeaseRecord {
    /// What to call its holder.
    pub name: String,
    /// Its id.
    pub id: i64,
    /// The time to live that the server granted.
    pub ttl: Duration,
    /// How late the record of the holder's beliefs may be: nothing under virtual time.
    pub tolerance: Duration,
    /// What happened, in the order in which it was recorded.
    pub items: Vec<Timed<LeaseItem>>,
}
