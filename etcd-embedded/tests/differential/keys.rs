//! Keys, transactions, leases, and one watch of everything.

use bytes::Bytes;
use etcd_core::error::InvalidArgument;
use etcd_core::message::*;
use etcd_core::rpc::Request;

use super::Plan;
use super::generator::Generator;
use super::pair::{Ask, Pair};
use super::streams::Stream;

pub fn compare(plan: Plan) {
    let mut pair = Pair::start(plan);
    let watch = Ask::at("/v3/watch", &Watch::from(WatchCreate::new(..).prev_kv()));
    let mut watch = Stream::open(&mut pair, &watch, &watch);
    // What is put goes over another connection.
    watch.compare(&mut pair);
    let mut generator = Generator::new(plan.seed);
    for number in 0..plan.steps {
        pair.step();
        let ask = step(&mut generator, pair.revision);
        if ask.path == Compact::RPC.paths[0] {
            // The pair before an event is looked up when the event is told.
            watch.compare(&mut pair);
        }
        pair.ask(&ask);
        if number % 100 == 0 {
            watch.compare(&mut pair);
        }
    }
    pair.ask(&Ask::of(&Put::new("end", "")));
    watch.compare(&mut pair);
    pair.finish("keys");
}

/// Takes the limit off reads that sort by what several keys can have in common: which of them comes first is up to the
/// release of Go that the server was built with.
pub fn without_ties(mut txn: Txn) -> Txn {
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

/// Any request but those that would end a server.
pub fn step(generator: &mut Generator, revision: i64) -> Ask {
    match generator.below(40) {
        0..=9 => Ask::of(&without_tie(generator.get(revision))),
        10..=16 => Ask::of(&generator.put()),
        17..=20 => Ask::of(&generator.delete()),
        21..=29 => loop {
            let txn = generator.txn(revision, 2);
            if !kills_servers(&txn) {
                break Ask::of(&without_ties(txn));
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
            Ask::of(&compact)
        }
        31 => {
            // None that ends while the comparison runs: the two do not see it at the same moment.
            let ttl = if generator.one_in(4) {
                MAX_LEASE_TTL + 1
            } else {
                100_000
            };
            Ask::of(&LeaseGrant::new(ttl).id(1 + generator.small(4)))
        }
        32 => Ask::of(&LeaseRevoke::new(1 + generator.small(4))),
        33 => Ask::of(&LeaseTimeToLive::new(1 + generator.small(4)).keys()),
        34 => Ask::of(&LeaseList::default()),
        35 => Ask::of(&LeaseKeepAlive::new(1 + generator.small(4))),
        36 => {
            // Under a lease that exists or does not; nobody else asks, so nobody waits.
            let lease = 1 + generator.small(4);
            Ask::of(&Lock::new(format!("lock{lease}"), lease))
        }
        37 => Ask::of(&Unlock::new(format!("lock{0}/{0}", 1 + generator.small(4)))),
        38 => {
            let lease = 1 + generator.small(4);
            Ask::of(&Campaign::new(format!("election{lease}"), lease, generator.key()))
        }
        _ => {
            let id = 1 + generator.small(4);
            match generator.below(3) {
                0 => Ask::of(&Leader::new(format!("election{id}"))),
                1 => {
                    let mut leader = LeaderKey::default();
                    leader.key = Bytes::from(format!("election{id}/{id}"));
                    leader.revision = generator.small(u64::try_from(revision).unwrap() + 1);
                    leader.lease = id;
                    Ask::of(&Resign::new(leader))
                }
                _ => Ask::of(&Put::default()),
            }
        }
    }
}

/// Whether real servers may die of a transaction that deletes a key and puts it, which their check for overlaps is meant to
/// refuse and does not, if the deletion has no upper bound or lies in a later transaction than the put.
///
/// The client refuses what they die of at once. 3.5.30 besides loses a key that is written and deleted in one revision
/// when history is compacted at that very one, and dies of the next read (`range failed to find revision pair`).
pub fn kills_servers(txn: &Txn) -> bool {
    fn any(txn: &Txn, is_wanted: fn(&TxnOp) -> bool) -> bool {
        txn.success
            .iter()
            .chain(&txn.failure)
            .any(|operation| match operation {
                TxnOp::Txn(inner) => is_wanted(operation) || any(inner, is_wanted),
                other => is_wanted(other),
            })
    }
    let keeps_deleted =
        txn.validate(&etcd_core::rpc::Limits::default()) == Err(InvalidArgument::KeepsDeleted);
    keeps_deleted
        || any(txn, |operation| matches!(operation, TxnOp::Delete(_)))
            && any(txn, |operation| matches!(operation, TxnOp::Put(_)))
            && any(txn, |operation| match operation {
                TxnOp::Delete(delete) => delete.range_end == "\0",
                TxnOp::Txn(_) => true,
                _ => false,
            })
}
