//! Writing: all that happens at one revision.

use std::sync::Arc;

use bytes::Bytes;
use etcd_core::message::{Delete, DeleteResponse, Get, GetResponse, KeyValue, Put, PutResponse};

use super::{Change, ChangeKind, Store, StoreError};
use crate::lease::Leases;
use crate::span::Span;

/// Writes that share one revision.
///
/// The revision is taken by the first write; a transaction that writes nothing takes none. What was written is in
/// the store at once: there is no way back, so whoever writes checks first.
#[derive(Debug)]
pub struct WriteTxn<'a> {
    store: &'a mut Store,
    leases: &'a mut Leases,
    changes: Vec<Change>,
}

impl Store {
    /// Begins to write.
    pub fn write<'a>(&'a mut self, leases: &'a mut Leases) -> WriteTxn<'a> {
        WriteTxn {
            store: self,
            leases,
            changes: Vec::new(),
        }
    }

    /// Writes one pair.
    ///
    /// # Errors
    ///
    /// [`StoreError::LeaseNotFound`], [`StoreError::KeyNotFound`].
    pub fn put(&mut self, leases: &mut Leases, put: &Put) -> Result<PutResponse, StoreError> {
        self.check_put(leases, put)?;
        let mut txn = self.write(leases);
        let response = txn.put(put);
        txn.commit();
        Ok(response)
    }

    /// Deletes what is in a range.
    pub fn delete(&mut self, leases: &mut Leases, delete: &Delete) -> DeleteResponse {
        let mut txn = self.write(leases);
        let response = txn.delete(delete);
        txn.commit();
        response
    }

    /// Whether `put` can be applied to the store as it is.
    pub(super) fn check_put(&self, leases: &Leases, put: &Put) -> Result<(), StoreError> {
        if put.lease != 0 && !leases.exists(put.lease) {
            return Err(StoreError::LeaseNotFound);
        }
        if (put.ignore_value || put.ignore_lease) && self.pair_at(&put.key, self.revision).is_none() {
            return Err(StoreError::KeyNotFound);
        }
        Ok(())
    }
}

impl WriteTxn<'_> {
    /// The newest revision that reads of this transaction see.
    pub(super) fn revision(&self) -> i64 {
        self.store.revision + i64::from(!self.changes.is_empty())
    }

    pub(super) fn range(&self, get: &Get) -> Result<GetResponse, StoreError> {
        self.store.range_at(self.revision(), get)
    }

    /// Writes a pair that [`Store::check_put`] let pass.
    pub(super) fn put(&mut self, put: &Put) -> PutResponse {
        let before = self.store.pair_at(&put.key, self.revision()).cloned();
        let mut pair = KeyValue::default();
        pair.key = put.key.clone();
        pair.value = match &before {
            Some(before) if put.ignore_value => before.value.clone(),
            _ => put.value.clone(),
        };
        pair.lease = match &before {
            Some(before) if put.ignore_lease => before.lease,
            _ => put.lease,
        };
        pair.mod_revision = self.store.revision + 1;
        pair.create_revision = before
            .as_ref()
            .map_or(pair.mod_revision, |before| before.create_revision);
        pair.version = before.as_ref().map_or(0, |before| before.version) + 1;

        let old_lease = before.as_ref().map_or(0, |before| before.lease);
        if old_lease != pair.lease {
            self.leases.detach(old_lease, &pair.key);
            self.leases.attach(pair.lease, &pair.key);
        }
        self.push(ChangeKind::Put, pair);

        let mut response = PutResponse::default();
        response.header.revision = self.store.revision + 1;
        if put.prev_kv {
            response.prev_kv = before.as_deref().cloned();
        }
        response
    }

    pub(super) fn delete(&mut self, delete: &Delete) -> DeleteResponse {
        let span = Span::new(&delete.key, &delete.range_end);
        let mut response = DeleteResponse::default();
        for key in self.store.keys_at(&span, self.revision()) {
            let before = self.delete_existing(key);
            response.deleted += 1;
            if delete.prev_kv {
                response.prev_kvs.extend(before.as_deref().cloned());
            }
        }
        response.header.revision = self.revision();
        response
    }

    /// Deletes a key that exists; returns what it held.
    pub(crate) fn delete_existing(&mut self, key: Bytes) -> Option<Arc<KeyValue>> {
        let before = self.store.pair_at(&key, self.revision()).cloned();
        if let Some(before) = &before {
            self.leases.detach(before.lease, &key);
            let mut tombstone = KeyValue::default();
            tombstone.key = key;
            tombstone.mod_revision = self.store.revision + 1;
            self.push(ChangeKind::Delete, tombstone);
        }
        before
    }

    /// Ends the transaction; returns the revision it took, if it wrote.
    pub fn commit(self) -> Option<i64> {
        if self.changes.is_empty() {
            return None;
        }
        self.store.revision += 1;
        self.store.log.push_back(self.changes);
        Some(self.store.revision)
    }

    fn push(&mut self, kind: ChangeKind, pair: KeyValue) {
        let change = Change {
            kind,
            pair: Arc::new(pair),
        };
        self.store.index_change(change.clone());
        self.changes.push(change);
    }
}
