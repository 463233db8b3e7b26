use etcd_core::key::KeyRange;
use etcd_core::machine::{EventBatch, ResumeToken};
use etcd_core::message::Event;

/// Events of whole revisions, in the order of their revisions, of one of the ranges that a [`Watch`](super::Watch) is
/// over.
///
/// A revision is never split: all that a transaction changed in the range is in one batch. Its events are slices of the
/// message they came in, which lives until the last of them is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchBatch {
    keys: KeyRange,
    cluster_id: u64,
    batch: EventBatch,
}

impl WatchBatch {
    pub(super) fn new(keys: KeyRange, cluster_id: u64, batch: EventBatch) -> Self {
        Self {
            keys,
            cluster_id,
            batch,
        }
    }

    /// The events. There are none if the batch is [progress](Self::is_progress).
    #[must_use]
    pub fn events(&self) -> &[Event] {
        self.batch.events()
    }

    /// The events, taken out of the batch.
    #[must_use]
    pub fn into_events(self) -> Vec<Event> {
        self.batch.into_events()
    }

    /// The range whose events these are.
    #[must_use]
    pub fn keys(&self) -> &KeyRange {
        &self.keys
    }

    /// The revision up to which everything that happened in the range is in this batch or in an earlier one.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.batch.position() - 1
    }

    /// Whether the batch only says how far the watch has got:
    /// [`WatchCall::progress_notify`](super::WatchCall::progress_notify).
    #[must_use]
    pub fn is_progress(&self) -> bool {
        self.batch.events().is_empty()
    }

    /// Whether only the last event of each key is left:
    /// [`BufferPolicy::Coalesce`](crate::BufferPolicy::Coalesce).
    #[must_use]
    pub fn is_coalesced(&self) -> bool {
        self.batch.is_coalesced()
    }

    /// Where a watch of the same range goes on that has dealt with this batch.
    #[must_use]
    pub fn resume_token(&self) -> ResumeToken {
        ResumeToken::new(self.cluster_id, self.batch.position())
    }
}
