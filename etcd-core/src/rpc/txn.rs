//! What a transaction must keep to, and what it does as a whole.

use bytes::Bytes;

use super::request::{Limits, Request, key_given};
use crate::error::InvalidArgument;
use crate::message::{Get, Txn, TxnOp};

/// How deep transactions may lie within transactions.
///
/// Servers set no limit of their own; JSON parsers do (Go's at 10,000 levels, serde_json's at 128, of which a
/// level of a response takes four).
pub const MAX_TXN_DEPTH: usize = 24;

pub(super) fn validate(txn: &Txn, limits: &Limits) -> Result<(), InvalidArgument> {
    check_operations(txn, limits, 0, MAX_TXN_DEPTH)?;
    check_kept(&txn.success, None)?;
    check_kept(&txn.failure, None)?;
    Ok(())
}

/// Whether every operation, at every level, is a read that is `like` that.
pub(super) fn all_reads(txn: &Txn, like: fn(&Get) -> bool) -> bool {
    txn.success
        .iter()
        .chain(&txn.failure)
        .all(|operation| match operation {
            TxnOp::Get(get) => like(get),
            TxnOp::Txn(inner) => all_reads(inner, like),
            _ => false,
        })
}

/// Counts as the server does (`checkTxnRequest` in `server/etcdserver/api/v3rpc/key.go`): the longest of the
/// three lists, on top of those around it.
fn check_operations(txn: &Txn, limits: &Limits, around: usize, depth: usize) -> Result<(), InvalidArgument> {
    if depth == 0 {
        return Err(InvalidArgument::NestedTooDeep { limit: MAX_TXN_DEPTH });
    }
    let longest = txn.compare.len().max(txn.success.len()).max(txn.failure.len());
    let given = around + longest;
    if given > limits.max_txn_ops {
        return Err(InvalidArgument::TooManyOps {
            given,
            limit: limits.max_txn_ops,
        });
    }
    for compare in &txn.compare {
        key_given(&compare.key)?;
    }
    for operation in txn.success.iter().chain(&txn.failure) {
        match operation {
            TxnOp::Get(get) => get.validate(limits)?,
            TxnOp::Put(put) => put.validate(limits)?,
            TxnOp::Delete(delete) => delete.validate(limits)?,
            TxnOp::Txn(inner) => check_operations(inner, limits, given, depth - 1)?,
            TxnOp::Unknown => return Err(InvalidArgument::EmptyOperation),
        }
    }
    Ok(())
}

/// Refuses to keep the value or lease of a key that an earlier operation deletes from some key on: servers do not see
/// that the two overlap, apply the deletion, find nothing to keep, and end with `unexpected error during txn with writes`
/// (3.4.23, 3.5.1, 3.5.30).
///
/// Their check (`checkIntervals` in `server/etcdserver/api/v3rpc/key.go`) takes the zero byte of such a range for a key,
/// and refuses all other overlaps itself. `deleted_from` is the lowest key from which everything may be gone by then;
/// returned is the same for what comes after these operations.
fn check_kept(
    operations: &[TxnOp],
    mut deleted_from: Option<Bytes>,
) -> Result<Option<Bytes>, InvalidArgument> {
    for operation in operations {
        match operation {
            TxnOp::Delete(delete) if delete.range_end == "\0" => {
                deleted_from = lower(deleted_from, Some(delete.key.clone()));
            }
            TxnOp::Put(put)
                if (put.ignore_value || put.ignore_lease)
                    && deleted_from.as_ref().is_some_and(|from| *from <= put.key) =>
            {
                return Err(InvalidArgument::KeepsDeleted);
            }
            TxnOp::Txn(inner) => {
                let then = check_kept(&inner.success, deleted_from.clone())?;
                let otherwise = check_kept(&inner.failure, deleted_from)?;
                deleted_from = lower(then, otherwise);
            }
            _ => {}
        }
    }
    Ok(deleted_from)
}

fn lower(one: Option<Bytes>, other: Option<Bytes>) -> Option<Bytes> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
