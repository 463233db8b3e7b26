//! What is refused before it reaches the store.
//!
//! Source: `server/etcdserver/api/v3rpc/key.go`.

use std::collections::BTreeSet;

use bytes::Bytes;
use etcd_core::error::EtcdError;
use etcd_core::message::{
    Compare, CompareResult, CompareTarget, Delete, Get, Put, SortOrder, SortTarget, Txn, TxnOp,
};

pub(crate) fn check_get(get: &Get) -> Result<(), EtcdError> {
    check_key(&get.key)
}

pub(crate) fn check_put(put: &Put) -> Result<(), EtcdError> {
    check_key(&put.key)?;
    if put.ignore_value && !put.value.is_empty() {
        return Err(EtcdError::ValueProvided);
    }
    if put.ignore_lease && put.lease != 0 {
        return Err(EtcdError::LeaseProvided);
    }
    Ok(())
}

/// Checks a transaction: the number of its operations, each of them, and that no key is written twice.
pub(crate) fn check_txn(txn: &Txn, max_ops: usize) -> Result<(), EtcdError> {
    check_operations(txn, max_ops)?;
    Writes::of(&txn.success)?;
    Writes::of(&txn.failure)?;
    Ok(())
}

fn check_key(key: &Bytes) -> Result<(), EtcdError> {
    if key.is_empty() {
        Err(EtcdError::EmptyKey)
    } else {
        Ok(())
    }
}

/// The longest of the three lists counts, and is taken off what transactions within may have.
fn check_operations(txn: &Txn, max_ops: usize) -> Result<(), EtcdError> {
    let operations = txn.compare.len().max(txn.success.len()).max(txn.failure.len());
    let left = max_ops.checked_sub(operations).ok_or(EtcdError::TooManyOps)?;
    for compare in &txn.compare {
        check_key(&compare.key)?;
    }
    for operation in txn.success.iter().chain(&txn.failure) {
        match operation {
            TxnOp::Get(get) => check_get(get)?,
            TxnOp::Put(put) => check_put(put)?,
            TxnOp::Delete(delete) => check_key(&delete.key)?,
            TxnOp::Txn(inner) => check_operations(inner, left)?,
            _ => return Err(EtcdError::KeyNotFound),
        }
    }
    Ok(())
}

/// What the operations of a branch write, as `checkIntervals` collects it.
///
/// Its gaps are etcd's: a deletion within a transaction is not held against a put within an earlier one, and a
/// range without an upper bound overlaps nothing, because the interval tree takes its end for a key.
#[derive(Default)]
struct Writes {
    puts: BTreeSet<Bytes>,
    deletes: Vec<(Bytes, Bytes)>,
}

impl Writes {
    fn of(operations: &[TxnOp]) -> Result<Self, EtcdError> {
        let mut writes = Self::default();
        for operation in operations {
            if let TxnOp::Delete(delete) = operation {
                writes
                    .deletes
                    .push((delete.key.clone(), delete.range_end.clone()));
            }
        }
        for operation in operations {
            if let TxnOp::Txn(inner) = operation {
                let then = Self::of(&inner.success)?;
                let otherwise = Self::of(&inner.failure)?;
                for key in &then.puts {
                    writes.add_put(key)?;
                }
                for key in &otherwise.puts {
                    // Only one of the two branches runs.
                    if then.puts.contains(key) {
                        continue;
                    }
                    writes.add_put(key)?;
                }
                writes.deletes.extend(then.deletes);
                writes.deletes.extend(otherwise.deletes);
            }
        }
        for operation in operations {
            if let TxnOp::Put(put) = operation {
                writes.add_put(&put.key)?;
            }
        }
        Ok(writes)
    }

    fn add_put(&mut self, key: &Bytes) -> Result<(), EtcdError> {
        let deleted = self.deletes.iter().any(|(start, end)| {
            if end.is_empty() {
                start == key
            } else {
                start <= key && key < end
            }
        });
        if deleted || !self.puts.insert(key.clone()) {
            return Err(EtcdError::DuplicateKey);
        }
        Ok(())
    }
}

/// What a put counts against the quota besides its key and value (`kvOverhead` in `server/storage/quota.go`).
const PUT_OVERHEAD: u64 = 256;

/// What a put may add to the database, in bytes.
pub(crate) fn put_cost(put: &Put) -> u64 {
    PUT_OVERHEAD + (put.key.len() + put.value.len()) as u64
}

/// What a transaction may add: the puts of its costlier branch. Those within transactions do not count.
pub(crate) fn txn_cost(txn: &Txn) -> u64 {
    let cost = |operations: &[TxnOp]| -> u64 {
        operations
            .iter()
            .map(|operation| match operation {
                TxnOp::Put(put) => put_cost(put),
                _ => 0,
            })
            .sum()
    };
    cost(&txn.success).max(cost(&txn.failure))
}

/// The size of a write as protobuf, which is what etcd's limits count: exact for puts, close for the rest.
pub(crate) trait EncodedSize {
    fn encoded_size(&self) -> usize;
}

pub(crate) fn encoded_size(message: &impl EncodedSize) -> usize {
    message.encoded_size()
}

impl EncodedSize for Put {
    fn encoded_size(&self) -> usize {
        use crate::protobuf::{bytes_field, flag_field, int_field};
        bytes_field(&self.key)
            + bytes_field(&self.value)
            + int_field(self.lease)
            + flag_field(self.prev_kv)
            + flag_field(self.ignore_value)
            + flag_field(self.ignore_lease)
    }
}

impl EncodedSize for Delete {
    fn encoded_size(&self) -> usize {
        use crate::protobuf::{bytes_field, flag_field};
        bytes_field(&self.key) + bytes_field(&self.range_end) + flag_field(self.prev_kv)
    }
}

impl EncodedSize for Get {
    fn encoded_size(&self) -> usize {
        use crate::protobuf::{bytes_field, flag_field, int_field};
        let numbers = [
            self.limit,
            self.revision,
            self.min_mod_revision,
            self.max_mod_revision,
            self.min_create_revision,
            self.max_create_revision,
        ];
        bytes_field(&self.key)
            + bytes_field(&self.range_end)
            + numbers.into_iter().map(int_field).sum::<usize>()
            + flag_field(self.sort_order != SortOrder::default())
            + flag_field(self.sort_target != SortTarget::default())
            + flag_field(self.serializable)
            + flag_field(self.keys_only)
            + flag_field(self.count_only)
    }
}

impl EncodedSize for Compare {
    fn encoded_size(&self) -> usize {
        use crate::protobuf::{bytes_field, delimited, flag_field, int_field};
        // A member of a `oneof` is written even if it is zero, and the range end's number takes a byte more.
        let union = [self.version, self.create_revision, self.mod_revision, self.lease];
        bytes_field(&self.key)
            + bytes_field(&self.range_end)
            + usize::from(!self.range_end.is_empty())
            + self.value.as_ref().map_or(0, |value| delimited(value.len()))
            + union
                .into_iter()
                .flatten()
                .map(|number| int_field(number).max(2))
                .sum::<usize>()
            + flag_field(self.result != CompareResult::default())
            + flag_field(self.target != CompareTarget::default())
    }
}

impl EncodedSize for Txn {
    fn encoded_size(&self) -> usize {
        use crate::protobuf::delimited;
        let operation = |operation: &TxnOp| {
            delimited(delimited(match operation {
                TxnOp::Get(get) => get.encoded_size(),
                TxnOp::Put(put) => put.encoded_size(),
                TxnOp::Delete(delete) => delete.encoded_size(),
                TxnOp::Txn(txn) => txn.encoded_size(),
                _ => 0,
            }))
        };
        self.compare
            .iter()
            .map(|compare| delimited(compare.encoded_size()))
            .sum::<usize>()
            + self
                .success
                .iter()
                .chain(&self.failure)
                .map(operation)
                .sum::<usize>()
    }
}
