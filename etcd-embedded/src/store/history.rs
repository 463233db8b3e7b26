//! The versions of one key.

use std::sync::Arc;

use etcd_core::message::KeyValue;

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was written.
    Put,
    /// It was deleted.
    Delete,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The pair after a put; for a deletion, the key and the revision that deleted it.
    pub pair: Arc<KeyValue>,
}

/// What a version occupies besides its key and value: a guess at etcd's encoding and page overhead.
const VERSION_OVERHEAD: u64 = 64;

impl Change {
    pub(super) fn size(&self) -> u64 {
        VERSION_OVERHEAD + (self.pair.key.len() + self.pair.value.len()) as u64
    }
}

/// The versions of one key, oldest first. A deletion ends a life of the key; the next put begins another.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    changes: Vec<Change>,
}

impl History {
    /// The pair at `revision`, `None` if the key does not exist then.
    pub(super) fn at(&self, revision: i64) -> Option<&Arc<KeyValue>> {
        let last = self.changes.last()?;
        let change = if last.pair.mod_revision <= revision {
            last
        } else {
            let until = self
                .changes
                .partition_point(|change| change.pair.mod_revision <= revision);
            &self.changes[until.checked_sub(1)?]
        };
        (change.kind == ChangeKind::Put).then_some(&change.pair)
    }

    pub(super) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Forgets what is not needed to read at `revision` or later, and returns the bytes freed.
    pub(super) fn compact(&mut self, revision: i64) -> u64 {
        let until = self
            .changes
            .partition_point(|change| change.pair.mod_revision <= revision);
        let Some(last) = until.checked_sub(1) else {
            return 0;
        };
        let keep_from = match self.changes[last].kind {
            ChangeKind::Put => last,
            ChangeKind::Delete => until,
        };
        self.changes.drain(..keep_from).map(|change| change.size()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }
}
