//! What an observer or a mirror was told.

use bytes::Bytes;
use etcd_core::key::KeyRange;
use etcd_core::message::{Event, KeyValue};
use std::collections::BTreeMap;

use super::Timed;

/// What an observer was told, or a mirror held.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ObserverItem {
    /// All pairs at a revision; what came before no longer counts.
    Snapshot {
        /// The revision.
        revision: i64,
        /// The pairs.
        pairs: Vec<KeyValue>,
    },
    /// Events of a watch.
    Changes {
        /// The events of whole revisions.
        events: Vec<Event>,
    },
    /// What differs after a new list, as if it were events.
    Difference {
        /// The revision of the list.
        revision: i64,
        /// Synthetic puts and deletions.
        events: Vec<Event>,
    },
    /// Everything up to here has arrived.
    Progress {
        /// The last revision.
        revision: i64,
    },
    /// What a mirror shows.
    View {
        /// The revision that it says to be at.
        revision: i64,
        /// The pairs.
        pairs: BTreeMap<Bytes, KeyValue>,
    },
    /// A statement of the test: by now, everything up to here must have arrived.
    Due {
        /// The last revision.
        revision: i64,
    },
}

/// An observer or a mirror.
#[derive(Clone, Debug)]
pub struct ObserverRecord {
    /// What to call it.
    pub name: String,
    /// Its keys.
    pub keys: KeyRange,
    /// What it was told, in order.
    pub items: Vec<Timed<ObserverItem>>,
}
