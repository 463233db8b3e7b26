//! What a writer did.

use std::time::Duration;

use bytes::Bytes;
use etcd_core::key::KeyRange;
use etcd_core::message::{Delete, Put, Txn, TxnOp};

/// A change that a write makes if it is applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// One of the keys (of the one key, as a rule) is written.
    Put {
        /// Where.
        keys: KeyRange,
        /// The value, `None` for whatever it is.
        value: Option<Bytes>,
    },
    /// Those of the keys that exist are deleted.
    Delete {
        /// Which.
        keys: KeyRange,
    },
}

/// What became of a write, as the client said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was acknowledged, and changed something.
    Applied {
        /// The revision of the answer.
        revision: i64,
    },
    /// It was acknowledged, and there was nothing to change: a deletion of nothing, a branch that only reads.
    Unchanged {
        /// The revision of the answer.
        revision: i64,
    },
    /// It failed, and was definitely not applied.
    NotApplied,
    /// It failed or was given up, and may have been applied, or may yet be.
    Unknown,
}

/// A write.
#[derive(Clone, Debug)]
pub struct WriteRecord {
    /// What to call it.
    pub name: String,
    /// What it may do: the changes of one of these branches.
    pub branches: Vec<Vec<Effect>>,
    /// When it began, since the beginning of the run.
    pub invoked: Duration,
    /// When it ended; `None` if nobody knows.
    pub returned: Option<Duration>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Effect {
    /// A single key is written.
    #[must_use]
    pub fn put(key: impl Into<KeyRange>, value: impl Into<Bytes>) -> Self {
        Self::Put {
            keys: key.into(),
            value: Some(value.into()),
        }
    }

    /// Keys are deleted.
    #[must_use]
    pub fn delete(keys: impl Into<KeyRange>) -> Self {
        Self::Delete { keys: keys.into() }
    }
}

impl From<&Put> for Effect {
    fn from(put: &Put) -> Self {
        Self::Put {
            keys: KeyRange::single(&put.key),
            value: (!put.ignore_value).then(|| put.value.clone()),
        }
    }
}

impl From<&Delete> for Effect {
    fn from(delete: &Delete) -> Self {
        Self::Delete {
            keys: KeyRange::from_parts(delete.key.clone(), delete.range_end.clone()),
        }
    }
}

/// What can become of a transaction: each branch, with each branch of the transactions in it.
pub(crate) fn branches(txn: &Txn) -> Vec<Vec<Effect>> {
    let mut all = branches_of(&txn.success);
    all.extend(branches_of(&txn.failure));
    all
}

fn branches_of(operations: &[TxnOp]) -> Vec<Vec<Effect>> {
    let mut all = vec![Vec::new()];
    for operation in operations {
        let choices = match operation {
            TxnOp::Put(put) => vec![vec![put.into()]],
            TxnOp::Delete(delete) => vec![vec![delete.into()]],
            TxnOp::Txn(inner) => branches(inner),
            _ => continue,
        };
        all = all
            .iter()
            .flat_map(|done| choices.iter().map(move |next| [&done[..], &next[..]].concat()))
            .collect();
    }
    all
}
