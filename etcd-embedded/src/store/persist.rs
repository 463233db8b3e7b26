//! The store in a snapshot.

use std::sync::Arc;

use super::{Change, ChangeKind, History, Store};
use crate::snapshot::{Reader, SnapshotError, Writer};

impl Store {
    pub(crate) fn write_snapshot(&self, writer: &mut Writer) {
        writer.number(self.revision);
        writer.number(self.compacted);
        writer.number(self.first_logged);
        // What the log no longer has: the versions that were current at the compaction.
        let base: Vec<_> = self
            .index
            .values()
            .flat_map(History::changes)
            .filter(|change| change.pair.mod_revision < self.first_logged)
            .collect();
        writer.list(base.into_iter(), |writer, change| writer.pair(&change.pair));
        writer.list(self.log.iter(), |writer, changes| {
            writer.list(changes.iter(), |writer, change| {
                writer.flag(change.kind == ChangeKind::Delete);
                writer.pair(&change.pair);
            });
        });
    }

    pub(crate) fn read_snapshot(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut store = Self::new();
        store.revision = reader.number()?;
        store.compacted = reader.number()?;
        store.first_logged = reader.number()?;
        let base = reader.list(Reader::pair)?;
        let log = reader.list(|reader| {
            reader.list(|reader| {
                let kind = if reader.flag()? {
                    ChangeKind::Delete
                } else {
                    ChangeKind::Put
                };
                let pair = Arc::new(reader.pair()?);
                Ok(Change { kind, pair })
            })
        })?;
        for pair in base {
            store.index_change(Change {
                kind: ChangeKind::Put,
                pair: Arc::new(pair),
            });
        }
        for change in log.iter().flatten() {
            // A deletion at the compacted revision is kept for those who watch from there, and by nobody else.
            let only_logged =
                change.kind == ChangeKind::Delete && change.pair.mod_revision <= store.compacted;
            if !only_logged {
                store.index_change(change.clone());
            }
        }
        store.log = log.into();
        let logged = i64::try_from(store.log.len()).unwrap_or(i64::MAX);
        if store.first_logged.checked_add(logged) != store.revision.checked_add(1) {
            return Err(SnapshotError::Corrupt);
        }
        Ok(store)
    }

    pub(super) fn index_change(&mut self, change: Change) {
        self.size += change.size();
        self.allocated = self.allocated.max(self.size);
        self.index
            .entry(change.pair.key.clone())
            .or_default()
            .push(change);
    }
}
