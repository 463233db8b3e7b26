//! Forgetting the past.

use super::{ChangeKind, Store, StoreError};

impl Store {
    /// Forgets every version that is not needed to read at `revision` or later.
    ///
    /// `keep_deletions` says whether a watch that starts at `revision` itself still sees what that revision deleted.
    ///
    /// The cost follows the number of changes forgotten, not the number of keys.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`] if that was done already, [`StoreError::FutureRevision`].
    pub fn compact(&mut self, revision: i64, keep_deletions: bool) -> Result<(), StoreError> {
        if revision <= self.compacted {
            return Err(StoreError::Compacted {
                compact_revision: self.compacted,
            });
        }
        if revision > self.revision {
            return Err(StoreError::FutureRevision {
                revision: self.revision,
            });
        }
        self.compacted = revision;

        while self.first_logged < revision
            && let Some(changes) = self.log.pop_front()
        {
            self.first_logged += 1;
            for change in &changes {
                self.forget(&change.pair.key, revision);
            }
        }
        // The revision itself stays readable, and watchable as far as its versions live.
        if self.first_logged == revision
            && let Some(mut changes) = self.log.pop_front()
        {
            for change in &changes {
                self.forget(&change.pair.key, revision);
            }
            changes.retain(|change| match change.kind {
                ChangeKind::Put => self.pair_at(&change.pair.key, revision) == Some(&change.pair),
                ChangeKind::Delete => keep_deletions,
            });
            self.log.push_front(changes);
        }
        Ok(())
    }

    fn forget(&mut self, key: &[u8], revision: i64) {
        let Some(history) = self.index.get_mut(key) else {
            return;
        };
        self.size -= history.compact(revision);
        if history.is_empty() {
            self.index.remove(key);
        }
    }
}
