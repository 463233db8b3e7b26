//! Transactions.

use etcd_core::message::{Put, Txn, TxnOp, TxnOpResponse, TxnResponse};

use super::compare::holds;
use super::{Store, StoreError, WriteTxn};
use crate::lease::Leases;

/// Whether a transaction holds nothing but reads at its own level.
///
/// One with a transaction inside counts as writing, whatever that one does (`IsTxnReadonly` in
/// `server/etcdserver/txn/txn.go`).
#[must_use]
pub fn is_read_only(txn: &Txn) -> bool {
    txn.success
        .iter()
        .chain(&txn.failure)
        .all(|operation| matches!(operation, TxnOp::Get(_)))
}

/// Which branch each transaction takes: this one, then those within its branch, in order.
struct Path {
    succeeded: bool,
    inner: Vec<Self>,
}

impl Store {
    /// Applies a transaction, all of it at one revision.
    ///
    /// All conditions, those of transactions within it too, are decided before anything is written, and everything
    /// that could fail is checked before; a transaction that fails has changed nothing.
    ///
    /// # Errors
    ///
    /// Whatever its operations could meet.
    pub fn txn(&mut self, leases: &mut Leases, txn: &Txn) -> Result<TxnResponse, StoreError> {
        let path = self.path(txn);
        self.check_path(leases, txn, &path)?;
        let mut write = self.write(leases);
        let mut response = run(&mut write, txn, &path)?;
        response.header.revision = write.revision();
        write.commit();
        Ok(response)
    }

    fn path(&self, txn: &Txn) -> Path {
        let succeeded = txn.compare.iter().all(|compare| holds(self, compare));
        let inner = branch(txn, succeeded)
            .iter()
            .filter_map(|operation| match operation {
                TxnOp::Txn(inner) => Some(self.path(inner)),
                _ => None,
            })
            .collect();
        Path { succeeded, inner }
    }

    /// All puts are checked before the first read is, those of transactions within it too.
    fn check_path(&self, leases: &Leases, txn: &Txn, path: &Path) -> Result<(), StoreError> {
        each_chosen(txn, path, &mut |operation| match operation {
            TxnOp::Put(put) => self.check_put_within(leases, put),
            _ => Ok(()),
        })?;
        each_chosen(txn, path, &mut |operation| match operation {
            TxnOp::Get(get) if get.revision != 0 => self.check_revision(get.revision),
            _ => Ok(()),
        })
    }

    /// As in a put by itself, in the other order (`checkRequestPut` in `server/etcdserver/apply.go` of 3.5).
    fn check_put_within(&self, leases: &Leases, put: &Put) -> Result<(), StoreError> {
        if (put.ignore_value || put.ignore_lease) && self.pair_at(&put.key, self.revision).is_none() {
            return Err(StoreError::KeyNotFound);
        }
        self.check_put(leases, put)
    }

    /// A revision below zero is a compacted one here, other than in a plain read (`checkRequestRange`).
    fn check_revision(&self, revision: i64) -> Result<(), StoreError> {
        if revision > self.revision {
            return Err(StoreError::FutureRevision {
                revision: self.revision,
            });
        }
        if revision < self.compacted {
            return Err(StoreError::Compacted {
                compact_revision: self.compacted,
            });
        }
        Ok(())
    }
}

/// Visits every operation that is going to run.
fn each_chosen(
    txn: &Txn,
    path: &Path,
    visit: &mut impl FnMut(&TxnOp) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut inner_paths = path.inner.iter();
    for operation in branch(txn, path.succeeded) {
        match operation {
            TxnOp::Txn(inner) => {
                if let Some(path) = inner_paths.next() {
                    each_chosen(inner, path, visit)?;
                }
            }
            other => visit(other)?,
        }
    }
    Ok(())
}

fn run(write: &mut WriteTxn<'_>, txn: &Txn, path: &Path) -> Result<TxnResponse, StoreError> {
    let mut inner_paths = path.inner.iter();
    let mut response = TxnResponse::default();
    response.succeeded = path.succeeded;
    for operation in branch(txn, path.succeeded) {
        response.responses.push(match operation {
            TxnOp::Get(get) => TxnOpResponse::Get(write.range(get)?),
            TxnOp::Put(put) => TxnOpResponse::Put(write.put(put)),
            TxnOp::Delete(delete) => TxnOpResponse::Delete(write.delete(delete)),
            TxnOp::Txn(inner) => match inner_paths.next() {
                Some(path) => TxnOpResponse::Txn(run(write, inner, path)?),
                None => TxnOpResponse::Unknown,
            },
            _ => TxnOpResponse::Unknown,
        });
    }
    Ok(response)
}

fn branch(txn: &Txn, succeeded: bool) -> &[TxnOp] {
    if succeeded { &txn.success } else { &txn.failure }
}
