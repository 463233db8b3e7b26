//! What is written: numbered revisions, each the work of one transaction.
//!
//! Number `n` puts `n/<n>`, if that is not there yet, and changes keys below `k/` with it. Whoever does not know whether a
//! transaction was applied may send it again: it is not applied twice. And since keys below `n/` are never written again,
//! their create revisions tell in the end which number became which revision, compacted or not.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::BuildHasher;
use std::ops::Range;

use anyetcd::{Compare, Delete, Get, KeyRange, Put, Txn, TxnOp, prefix};

use crate::dice;

/// How many keys change all the time.
const KEYS: usize = 50;

/// A key that is written once, at the end.
pub(crate) const QUIET: &str = "quiet";

/// The value of each number: a thousand revisions make a message that servers send in pieces to those who ask for that. They
/// do above 512 KiB and the most bytes of a request (`grpcOverheadBytes` in `server/etcdserver/api/v3rpc/grpc.go`).
pub(crate) const BALLAST: &str = match std::str::from_utf8(&[b'.'; 560]) {
    Ok(ballast) => ballast,
    Err(_) => "",
};

/// All revisions of a soak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// How many revisions. In the last but one all keys are deleted, in the last one all are put.
    pub(crate) revisions: usize,
}

/// What happens to one key.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put { key: String, value: String },
    Delete { key: String },
}

impl Plan {
    /// As the environment says, with a seed of its own otherwise. `share`: how much of the revisions of a whole soak.
    pub(crate) fn of_share(tenths: usize) -> Self {
        let number = |name| env::var(name).ok().map(|text: String| text.parse().expect(name));
        let revisions =
            number("SOAK_REVISIONS").map_or(20_000, |revisions: u64| revisions as usize) * tenths / 10;
        let by_chance = || RandomState::new().hash_one(0);
        Self {
            seed: number("SOAK_SEED").unwrap_or_else(by_chance),
            revisions,
        }
    }

    /// What number `number` changes beside its own key.
    pub(crate) fn changes(&self, number: usize) -> Vec<Change> {
        let value = number.to_string();
        let put = |key: String| Change::Put {
            key,
            value: value.clone(),
        };
        let delete = |key: String| Change::Delete { key };
        if number + 1 == self.revisions {
            let quiet = put(QUIET.to_owned());
            return (0..KEYS).map(key).map(put).chain([quiet]).collect();
        }
        if number + 2 == self.revisions {
            return (0..KEYS).map(key).map(delete).collect();
        }
        let chance = dice::mix(self.seed ^ number as u64);
        let first = key(number % KEYS);
        let second = || key((number + 1 + chance as usize / 10 % (KEYS - 1)) % KEYS);
        match chance % 10 {
            0 | 1 => vec![delete(first)],
            2 => vec![put(first), delete(second())],
            3 => vec![put(first), put(second())],
            _ => vec![put(first)],
        }
    }

    /// Whether number `number` may delete something.
    pub(crate) fn deletes(&self, number: usize) -> bool {
        let changes = self.changes(number);
        changes
            .iter()
            .any(|change| matches!(change, Change::Delete { .. }))
    }

    /// The transaction that writes number `number`, and otherwise reads what was written of it before.
    pub(crate) fn txn(&self, number: usize) -> Txn {
        let own = numbered(number);
        let changes = self.changes(number).into_iter().map(|change| match change {
            Change::Put { key, value } => TxnOp::Put(Put::new(key, value)),
            Change::Delete { key } => TxnOp::Delete(Delete::new(key)),
        });
        Txn::when([Compare::create_revision(&own).eq(0)])
            .then([Put::new(&own, BALLAST)])
            .then(changes)
            .otherwise([Get::new(own)])
    }
}

/// One of the keys that change all the time.
pub(crate) fn key(number: usize) -> String {
    format!("k/{:02}", number % KEYS)
}

/// All keys that change all the time.
pub(crate) fn keys() -> KeyRange {
    prefix("k/")
}

/// Those from one number to before another.
pub(crate) fn some_keys(numbers: Range<usize>) -> KeyRange {
    (key(numbers.start)..key(numbers.end)).into()
}

/// The key that stands for a number.
pub(crate) fn numbered(number: usize) -> String {
    format!("n/{number:07}")
}
