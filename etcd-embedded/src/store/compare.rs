//! The conditions of a transaction.

use std::cmp::Ordering;

use etcd_core::message::{Compare, CompareResult, CompareTarget, Get, KeyValue};

use super::Store;

/// Whether `compare` holds for every key it names.
///
/// A key that does not exist, or a range without keys, compares like zeros; its value compares with nothing.
/// A union member other than the target's counts as absent, and absent counts as zero.
pub(super) fn holds(store: &Store, compare: &Compare) -> bool {
    let mut get = Get::default();
    get.key = compare.key.clone();
    get.range_end = compare.range_end.clone();
    let Ok(found) = store.range(&get) else {
        return false;
    };
    if found.kvs.is_empty() {
        return compare.target != CompareTarget::Value && pair_holds(&KeyValue::default(), compare);
    }
    found.kvs.iter().all(|pair| pair_holds(pair, compare))
}

fn pair_holds(pair: &KeyValue, compare: &Compare) -> bool {
    let number = |stored: i64, given: Option<i64>| stored.cmp(&given.unwrap_or_default());
    let ordering = match compare.target {
        CompareTarget::Version => number(pair.version, compare.version),
        CompareTarget::Create => number(pair.create_revision, compare.create_revision),
        CompareTarget::Mod => number(pair.mod_revision, compare.mod_revision),
        CompareTarget::Lease => number(pair.lease, compare.lease),
        CompareTarget::Value => (*pair.value).cmp(compare.value.as_deref().unwrap_or_default()),
        // An unknown target compares as equal: no case of Go's switch matches (`compareKV`).
        _ => Ordering::Equal,
    };
    match compare.result {
        CompareResult::Equal => ordering == Ordering::Equal,
        CompareResult::NotEqual => ordering != Ordering::Equal,
        CompareResult::Greater => ordering == Ordering::Greater,
        CompareResult::Less => ordering == Ordering::Less,
        _ => true,
    }
}
