//! What a watch was asked for, and what it was told.

use etcd_core::key::KeyRange;
use etcd_core::message::{Event, WatchFilter};

use super::Timed;

/// What a watch was asked for.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// The keys at the beginning.
    pub keys: KeyRange,
    /// The events to leave out.
    pub filters: Vec<WatchFilter>,
    /// Whether events carry the previous pair.
    pub prev_kv: bool,
    /// Whether every event arrives.
    pub policy: Policy,
}

/// Whether every event arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Every single one.
    Every,
    /// Within a batch, an event may be left out for a later one of the same key.
    Coalesced,
}

impl WatchRequest {
    /// All events of `keys`, without the previous pairs.
    #[must_use]
    pub fn new(keys: impl Into<KeyRange>) -> Self {
        Self {
            keys: keys.into(),
            filters: Vec::new(),
            prev_kv: false,
            policy: Policy::Every,
        }
    }

    /// Leaves events out.
    #[must_use]
    pub fn filter(mut self, filter: WatchFilter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Asks for the previous pairs.
    #[must_use]
    pub fn prev_kv(mut self) -> Self {
        self.prev_kv = true;
        self
    }

    /// Lets later events of a key replace earlier ones within a batch.
    #[must_use]
    pub fn coalesced(mut self) -> Self {
        self.policy = Policy::Coalesced;
        self
    }
}

/// What a watch was told, or did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WatchItem {
    /// It begins, or begins anew after [`Compacted`](Self::Compacted): it promises the events from here on.
    Started {
        /// The first revision.
        revision: i64,
    },
    /// Events arrived together.
    Batch {
        /// The events in their order.
        events: Vec<Event>,
    },
    /// Everything up to here has arrived.
    Progress {
        /// The last revision.
        revision: i64,
    },
    /// The connection was lost and the watch goes on.
    Reopened {
        /// The start revision that the server was asked for.
        revision: i64,
    },
    /// It watches more keys.
    KeysAdded {
        /// The keys.
        keys: KeyRange,
        /// The first revision of interest.
        revision: i64,
    },
    /// It no longer watches these keys, which it began with or added.
    KeysRemoved {
        /// The keys.
        keys: KeyRange,
    },
    /// It ended because its next revision is compacted.
    Compacted {
        /// The first revision that still exists.
        compact_revision: i64,
    },
    /// It ended because its reader was too slow.
    Lagged {
        /// From where a new watch misses nothing.
        resume_revision: i64,
    },
    /// It ended.
    Ended {
        /// Why.
        reason: String,
    },
    /// A statement of the test: by now, everything up to here must have arrived.
    Due {
        /// The last revision.
        revision: i64,
    },
}

/// A watch.
#[derive(Clone, Debug)]
pub struct WatchRecord {
    /// What to call it.
    pub name: String,
    /// What it was asked for.
    pub request: WatchRequest,
    /// What it was told, in order.
    pub items: Vec<Timed<WatchItem>>,
}
