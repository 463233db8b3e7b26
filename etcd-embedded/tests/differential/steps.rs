//! What is asked of both.

use bytes::Bytes;
use etcd_core::codec::{Message, to_json};
use etcd_core::message::*;
use etcd_core::rpc::Request;

use super::generator::Generator;

pub struct Step {
    pub path: &'static str,
    pub body: String,
}

/// Takes the limit off reads that sort by what several keys can have in common: which of them comes first is up to the
/// release of Go that the server was built with.
fn without_ties(mut txn: Txn) -> Txn {
    for operation in txn.success.iter_mut().chain(&mut txn.failure) {
        match operation {
            TxnOp::Get(get) => *get = without_tie(std::mem::take(get)),
            TxnOp::Txn(inner) => *inner = without_ties(std::mem::take(inner)),
            _ => {}
        }
    }
    txn
}

fn without_tie(mut get: Get) -> Get {
    if get.sort_target != SortTarget::Key {
        get.limit = 0;
    }
    get
}

impl Step {
    fn of<R: Request>(request: &R) -> Self {
        Self::at(R::RPC.paths[0], request)
    }

    fn at(path: &'static str, message: &impl Message) -> Self {
        let body = String::from_utf8(to_json(message)).unwrap();
        Self { path, body }
    }

    pub fn generate(generator: &mut Generator, revision: i64) -> Self {
        match generator.below(40) {
            0..=9 => Self::of(&without_tie(generator.get(revision))),
            10..=16 => Self::of(&generator.put()),
            17..=20 => Self::of(&generator.delete()),
            21..=29 => loop {
                let txn = generator.txn(revision, 2);
                if !kills_servers(&txn) {
                    break Self::of(&without_ties(txn));
                }
            },
            30 => {
                let at = u64::try_from(revision).unwrap() + 2;
                let mut compact = Compact::new(generator.small(at));
                if generator.one_in(2) {
                    // Close to the present, so that there is history to go.
                    compact.revision = (revision - generator.small(20)).max(0);
                }
                compact.physical = true;
                Self::of(&compact)
            }
            31 => {
                // None that ends while the comparison runs: the two do not see it at the same moment.
                let ttl = if generator.one_in(4) {
                    MAX_LEASE_TTL + 1
                } else {
                    100_000
                };
                Self::of(&LeaseGrant::new(ttl).id(1 + generator.small(4)))
            }
            32 => Self::of(&LeaseRevoke::new(1 + generator.small(4))),
            33 => Self::of(&LeaseTimeToLive::new(1 + generator.small(4)).keys()),
            34 => Self::of(&LeaseList::default()),
            35 => Self::of(&LeaseKeepAlive::new(1 + generator.small(4))),
            36 => {
                // Under a lease that exists or does not; nobody else asks, so nobody waits.
                let lease = 1 + generator.small(4);
                Self::of(&Lock::new(format!("lock{lease}"), lease))
            }
            37 => Self::of(&Unlock::new(format!("lock{0}/{0}", 1 + generator.small(4)))),
            38 => {
                let lease = 1 + generator.small(4);
                Self::of(&Campaign::new(format!("election{lease}"), lease, generator.key()))
            }
            _ => {
                let id = 1 + generator.small(4);
                match generator.below(3) {
                    0 => Self::of(&Leader::new(format!("election{id}"))),
                    1 => {
                        let mut leader = LeaderKey::default();
                        leader.key = Bytes::from(format!("election{id}/{id}"));
                        leader.revision = generator.small(u64::try_from(revision).unwrap() + 1);
                        leader.lease = id;
                        Self::of(&Resign::new(leader))
                    }
                    _ => Self::of(&Put::default()),
                }
            }
        }
    }
}

/// Whether real servers may die of a transaction that deletes a key and puts it, which their check for overlaps is meant
/// to refuse and does not, if the deletion has no upper bound or lies in a later transaction than the put.
///
/// All of them panic if the put keeps the value or the lease of the key that is gone by then (`unexpected error during
/// txn with writes`). 3.5.30 loses the key when history is compacted at that very revision, and dies of the next read
/// (`range failed to find revision pair`).
fn kills_servers(txn: &Txn) -> bool {
    fn any(txn: &Txn, is_wanted: fn(&TxnOp) -> bool) -> bool {
        txn.success
            .iter()
            .chain(&txn.failure)
            .any(|operation| match operation {
                TxnOp::Txn(inner) => is_wanted(operation) || any(inner, is_wanted),
                other => is_wanted(other),
            })
    }
    any(txn, |operation| matches!(operation, TxnOp::Delete(_)))
        && any(txn, |operation| matches!(operation, TxnOp::Put(_)))
        && any(txn, |operation| match operation {
            TxnOp::Delete(delete) => delete.range_end == "\0",
            TxnOp::Put(put) => put.ignore_value || put.ignore_lease,
            TxnOp::Txn(_) => true,
            _ => false,
        })
}
