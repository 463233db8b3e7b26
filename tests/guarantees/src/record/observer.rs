//! What an observer or a mirror was told.

use std::collections::BTreeMap;

use bytes::Bytes;
use etcd_core::key::KeyRange;
use etcd_core::message::{Event, KeyValue};

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
    /// What differs after a new list, as if it were events, in place of a past that is compacted.
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
    /// It says that it has caught up: what it has shown is what there is at this revision, or later.
    CaughtUp {
        /// The revision.
        revision: i64,
        /// The newest revision there was when it was asked.
        written: i64,
    },
    /// It says that it has been cut off since a certain moment, and so has been told nothing that is newer.
    CutOff {
        /// The newest revision that there was at that moment.
        newest: i64,
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
    /// Whether each event has to tell the pair before it.
    pub prev_kv: bool,
    /// What it was told, in order.
    pub items: Vec<Timed<ObserverItem>>,
}
