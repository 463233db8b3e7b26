//! The multi-version key-value store.
//!
//! An ordered map leads from a key to its versions; a log leads from a revision to what it changed. Both hold
//! the same pairs, so that a version is stored once. Reads at a revision are a walk over the map with one binary
//! search for each key; watches that catch up read the log.
//!
//! ```text
//!                 index: BTreeMap<key, versions>              log: VecDeque<changes>
//!                   "a" ─▶ 2 ── 4 ── 7✗ ── 9                    revision 8 ─▶ [put c]
//!                   "c" ─▶ 3 ── 8                               revision 9 ─▶ [put a]
//! ```
//!
//! All writes of a [`WriteTxn`] share one revision and become visible to its own reads at once. The store holds
//! nothing but what a cluster agrees on, so that two stores that apply the same requests are the same.
//!
//! Source of the rules: `server/storage/mvcc/{kvstore,kvstore_txn,index,key_index}.go`,
//! `server/etcdserver/txn/*.go`.

mod check;
mod compact;
mod compare;
mod hash;
mod history;
mod persist;
mod range;
mod txn;
mod write;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use etcd_core::error::EtcdError;
use etcd_core::message::{Get, GetResponse};

pub(crate) use check::{check_get, check_put, check_txn, encoded_size, put_cost, txn_cost};
use history::History;
pub use history::{Change, ChangeKind};
pub use txn::is_read_only;
pub use write::WriteTxn;

use crate::Status;
use crate::span::Span;

/// Why the store refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The revision asked for has been compacted.
    #[error("mvcc: required revision has been compacted")]
    Compacted {
        /// The oldest revision that can be read.
        compact_revision: i64,
    },
    /// The revision asked for does not exist yet.
    #[error("mvcc: required revision is a future revision")]
    FutureRevision {
        /// The newest revision.
        revision: i64,
    },
    /// A put that keeps the value or the lease of a key found no key.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// A put names a lease that does not exist.
    #[error("lease not found")]
    LeaseNotFound,
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Compacted { .. } => EtcdError::Compacted,
            StoreError::FutureRevision { .. } => EtcdError::FutureRevision,
            StoreError::KeyNotFound => EtcdError::KeyNotFound,
            StoreError::LeaseNotFound => EtcdError::LeaseNotFound,
        }
        .into()
    }
}

/// The revision of a store that was never written to.
const FIRST_REVISION: i64 = 1;
/// What the compacted revision is before the first compaction.
const NEVER_COMPACTED: i64 = -1;

/// The store.
///
/// ```
/// use etcd_core::message::{Get, Put};
/// use etcd_embedded::lease::Leases;
/// use etcd_embedded::store::Store;
///
/// let (mut store, mut leases) = (Store::new(), Leases::default());
/// store.put(&mut leases, &Put::new("k", "v"))?;
/// assert_eq!(store.revision(), 2);
/// assert_eq!(store.range(&Get::new("k"))?.kvs[0].value, "v");
/// # Ok::<(), etcd_embedded::store::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    index: BTreeMap<Bytes, History>,
    /// `log[i]` is what revision `first_logged + i` changed; it ends with the current revision.
    log: VecDeque<Vec<Change>>,
    first_logged: i64,
    revision: i64,
    compacted: i64,
    /// What the versions occupy, keys and values and an estimate of the rest.
    size: u64,
    /// The most that they have occupied since the last defragmentation.
    allocated: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store, at revision 1.
    #[must_use]
    pub fn new() -> Self {
        Self {
            index: BTreeMap::new(),
            log: VecDeque::new(),
            first_logged: FIRST_REVISION + 1,
            revision: FIRST_REVISION,
            compacted: NEVER_COMPACTED,
            size: 0,
            allocated: 0,
        }
    }

    /// The current revision.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision of the last compaction, -1 if there was none.
    #[must_use]
    pub fn compact_revision(&self) -> i64 {
        self.compacted
    }

    /// What all versions occupy, in bytes: an estimate.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What is set aside for versions, in bytes: compactions make room within it, and only
    /// [`defragment`](Self::defragment) gives it back.
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.allocated
    }

    /// Gives back what compactions have freed.
    pub fn defragment(&mut self) {
        self.allocated = self.size;
    }

    /// Reads, at the current revision or the one that `get` asks for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`], [`StoreError::FutureRevision`].
    pub fn range(&self, get: &Get) -> Result<GetResponse, StoreError> {
        self.range_at(self.revision, get)
    }

    /// What `revision` changed, in order; nothing if it is compacted or yet to come.
    #[must_use]
    pub fn changes(&self, revision: i64) -> &[Change] {
        usize::try_from(revision - self.first_logged)
            .ok()
            .and_then(|position| self.log.get(position))
            .map_or(&[], Vec::as_slice)
    }

    /// The pair of `key` as it was at `revision`, which must not be compacted.
    pub(crate) fn pair_at(
        &self,
        key: &[u8],
        revision: i64,
    ) -> Option<&std::sync::Arc<etcd_core::message::KeyValue>> {
        if revision < self.compacted {
            return None;
        }
        self.index.get(key)?.at(revision)
    }

    /// The keys of `span` that exist at `revision`, in order.
    fn keys_at(&self, span: &Span, revision: i64) -> Vec<Bytes> {
        let Some(bounds) = span.bounds() else {
            return Vec::new();
        };
        self.index
            .range::<Bytes, _>(bounds)
            .filter(|(_, history)| history.at(revision).is_some())
            .map(|(key, _)| key.clone())
            .collect()
    }
}
