//! What an observation tells, what it asks for, and how it is doing.

use std::sync::Arc;
use std::time::Instant;

use crate::error::Error;
use crate::message::{Event, Get, KeyValue};

/// What an observer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observed {
    /// All pairs of the range at one revision. The first that is told, and told once.
    Snapshot {
        /// The revision.
        revision: i64,
        /// The pairs, in the order of their keys.
        kvs: Vec<KeyValue>,
    },
    /// What changed since: the events of whole revisions.
    Changes {
        /// The revision up to which everything is told now.
        revision: i64,
        /// What changed, in the order of revisions.
        events: Vec<Event>,
        /// Whether these events stand for a history that was compacted: the difference between what had been told and
        /// what the range holds at this revision, in the order of keys. What was overwritten in between is not told, and of a
        /// deletion the revision is that of the list that shows it.
        is_synthetic: bool,
    },
    /// Nothing changed up to this revision.
    Progress {
        /// The revision.
        revision: i64,
    },
}

impl Observed {
    /// The revision up to which everything has been told with this.
    #[must_use]
    pub fn revision(&self) -> i64 {
        match self {
            Self::Snapshot { revision, .. }
            | Self::Changes { revision, .. }
            | Self::Progress { revision } => *revision,
        }
    }
}

/// What to do next for an observation.
#[derive(Debug)]
#[must_use]
pub enum ObservationStep {
    /// Make this read, then [`handle_page`] or [`handle_list_failed`].
    ///
    /// [`handle_page`]: super::Observation::handle_page
    /// [`handle_list_failed`]: super::Observation::handle_list_failed
    List(Get),
    /// Watch the range, starting with the events of this revision; then [`handle_watching`], [`handle_events`], and
    /// [`handle_compacted`] or [`handle_watch_failed`] when it ends.
    ///
    /// [`handle_watching`]: super::Observation::handle_watching
    /// [`handle_events`]: super::Observation::handle_events
    /// [`handle_compacted`]: super::Observation::handle_compacted
    /// [`handle_watch_failed`]: super::Observation::handle_watch_failed
    Watch {
        /// The first revision.
        start_revision: i64,
    },
    /// Poll again at this time.
    Wait {
        /// When.
        until: Instant,
    },
    /// Nothing, until what is under way has come to something.
    Idle,
    /// It is over.
    Fail(Error),
}

/// How an observation is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ObservationStatus {
    /// The range is being read: for the first time, or again.
    Listing,
    /// Changes are told as they happen.
    Following,
    /// Nothing can be told at present; it is being tried again.
    Interrupted {
        /// Since when: what is told is at least that old.
        since: Instant,
        /// What went wrong last.
        cause: Arc<Error>,
    },
    /// It is over.
    Over,
}
