use etcd_core::key::KeyRange;
use etcd_core::machine::{EventBatch, ResumeToken};
use etcd_core::message::Event;

/// Events of whole revisions, in the order of their revisions, of one of the ranges that a [`Watch`](super::Watch) is
/// over.
///
/// A revision is never split: all that a transaction changed in the range is in one batch. Its events are slices of the
/// message they came in, which lives until the last of them is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyetcd::Result<()> {
/// # let client = anyetcd::Client::embedded()?;
/// let mut watch = client.watch(anyetcd::prefix("config/")).prev_kv().await?;
/// client.put("config/mode", "fast").await?;
/// if let Some(batch) = watch.try_next().await? {
///     for event in &batch {
///         assert!(event.is_create() && event.prev_kv.is_none());
///         assert_eq!(event.kv.key_str(), Some("config/mode"));
///     }
///     assert_eq!(watch.resume_token(), batch.resume_token()); // to be stored, if this process may end
/// }
/// # Ok(())
/// # }
/// ```
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

impl IntoIterator for WatchBatch {
    type Item = Event;
    type IntoIter = std::vec::IntoIter<Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_events().into_iter()
    }
}

impl<'b> IntoIterator for &'b WatchBatch {
    type Item = &'b Event;
    type IntoIter = std::slice::Iter<'b, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.events().iter()
    }
}
