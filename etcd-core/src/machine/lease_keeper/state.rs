//! How it stands with a lease.

use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, LostReason};

/// How it stands with a lease.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LeaseState {
    /// It lives, and its renewals go through.
    Alive {
        /// Until when it lives for certain if no further renewal succeeds.
        deadline: Instant,
    },
    /// It lives, and renewing it fails at present.
    Degraded {
        /// When the renewal was begun that failed first.
        since: Instant,
        /// What went wrong last.
        cause: Arc<Error>,
        /// When it is lost unless a renewal succeeds before.
        deadline: Instant,
    },
    /// It is gone, or must be taken for gone. That is final.
    Lost {
        /// Why.
        reason: LostReason,
    },
}

impl LeaseState {
    /// Whether the lease is certain to exist: alive or degraded.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !matches!(self, Self::Lost { .. })
    }

    /// When it is lost if no renewal succeeds before; `None` once it is.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Alive { deadline } | Self::Degraded { deadline, .. } => Some(*deadline),
            Self::Lost { .. } => None,
        }
    }

    /// Why it is lost, if it is.
    #[must_use]
    pub fn lost(&self) -> Option<&LostReason> {
        match self {
            Self::Lost { reason } => Some(reason),
            _ => None,
        }
    }
}
