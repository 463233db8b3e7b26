//! A lease that is lost.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::{ClusterChanged, Error, Fault};

/// A lease does not exist any more, or must be taken for gone, and with it every key attached to it.
#[derive(Clone, Debug)]
pub struct LeaseLost {
    id: i64,
    reason: LostReason,
}

/// Why a lease is lost.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LostReason {
    /// It could not be renewed in time. The servers may let it expire from now on; whether they have is unknown.
    Expired {
        /// What went wrong with the last attempt to renew it; `None` if there was no time for an attempt, as when the
        /// process slept.
        cause: Option<Arc<Error>>,
    },
    /// The servers know no such lease: it expired there, or somebody revoked it.
    NotFound,
    /// It was revoked by this client.
    Revoked,
    /// Nothing renews it any more: the runtime that the client ran on has shut down.
    Closed,
    /// Another cluster answered, or another history of the same one.
    ClusterChanged(ClusterChanged),
}

impl LeaseLost {
    /// The loss of the lease `id`.
    #[must_use]
    pub fn new(id: i64, reason: LostReason) -> Self {
        Self { id, reason }
    }

    /// The lease.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Why it is lost.
    #[must_use]
    pub fn reason(&self) -> &LostReason {
        &self.reason
    }

    /// Who has to change something for the next lease to live longer.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match &self.reason {
            LostReason::Expired { cause } => cause.as_ref().map_or(Fault::Network, |cause| cause.fault()),
            LostReason::NotFound | LostReason::Revoked | LostReason::Closed => Fault::Caller,
            LostReason::ClusterChanged(_) => Fault::Peer,
        }
    }
}

impl fmt::Display for LeaseLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lease {:x} is lost: {}", self.id, self.reason)
    }
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired { .. } => "it could not be renewed in time",
            Self::NotFound => "the servers do not know it (any more)",
            Self::Revoked => "it was revoked",
            Self::Closed => "the runtime that renewed it has shut down",
            Self::ClusterChanged(_) => "the cluster is not the one that granted it",
        })
    }
}

impl StdError for LeaseLost {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.reason {
            LostReason::Expired { cause: Some(cause) } => Some(&**cause),
            LostReason::ClusterChanged(changed) => Some(changed),
            _ => None,
        }
    }
}
