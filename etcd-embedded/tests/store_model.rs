//! The store against a model of it that anybody can see is right: a copy of all pairs for every revision.
//!
//! A failure names its seed; put it into `SEEDS` to keep it.

#![allow(clippy::unwrap_used, clippy::field_reassign_with_default, unreachable_pub)]

mod generator;

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use etcd_core::message::*;
use etcd_embedded::lease::Leases;
use etcd_embedded::store::{Store, StoreError};
use generator::Generator;

const SEEDS: std::ops::Range<u64> = 0..60;
const STEPS: usize = 300;

type Pairs = BTreeMap<Bytes, KeyValue>;

/// All pairs at every revision.
struct Model {
    at: BTreeMap<i64, Pairs>,
    compacted: i64,
    leases: Vec<i64>,
}

impl Model {
    fn revision(&self) -> i64 {
        *self.at.last_key_value().unwrap().0
    }

    fn now(&self) -> &Pairs {
        self.at.last_key_value().unwrap().1
    }

    fn range(&self, get: &Get) -> Result<GetResponse, StoreError> {
        let newest = self.revision();
        if get.revision > newest {
            return Err(StoreError::FutureRevision { revision: newest });
        }
        let revision = if get.revision <= 0 { newest } else { get.revision };
        if revision < self.compacted {
            return Err(StoreError::Compacted {
                compact_revision: self.compacted,
            });
        }
        Ok(read(&self.at[&revision], newest, get))
    }

    fn put(&mut self, put: &Put) -> Result<PutResponse, StoreError> {
        self.check(self.now(), put)?;
        let (mut pairs, revision) = (self.now().clone(), self.revision() + 1);
        let response = write(&mut pairs, revision, put);
        self.at.insert(revision, pairs);
        Ok(response)
    }

    fn delete(&mut self, delete: &Delete) -> DeleteResponse {
        let (mut pairs, revision) = (self.now().clone(), self.revision() + 1);
        let mut response = remove(&mut pairs, delete);
        if response.deleted > 0 {
            self.at.insert(revision, pairs);
        }
        response.header.revision = self.revision();
        response
    }

    fn check(&self, pairs: &Pairs, put: &Put) -> Result<(), StoreError> {
        if put.lease != 0 && !self.leases.contains(&put.lease) {
            return Err(StoreError::LeaseNotFound);
        }
        if (put.ignore_value || put.ignore_lease) && !pairs.contains_key(&put.key) {
            return Err(StoreError::KeyNotFound);
        }
        Ok(())
    }

    fn txn(&mut self, txn: &Txn) -> Result<TxnResponse, StoreError> {
        let before = self.now().clone();
        self.check_txn(&before, txn)?;
        let (mut pairs, mut wrote) = (before.clone(), false);
        let mut response = self.run(&before, &mut pairs, &mut wrote, txn);
        if wrote {
            self.at.insert(self.revision() + 1, pairs);
        }
        response.header.revision = self.revision();
        Ok(response)
    }

    fn check_txn(&self, before: &Pairs, txn: &Txn) -> Result<(), StoreError> {
        let mut operations = Vec::new();
        flatten(before, txn, &mut operations);
        for operation in &operations {
            if let TxnOp::Put(put) = operation {
                if (put.ignore_value || put.ignore_lease) && !before.contains_key(&put.key) {
                    return Err(StoreError::KeyNotFound);
                }
                self.check(before, put)?;
            }
        }
        for operation in &operations {
            match operation {
                TxnOp::Get(get) if get.revision > self.revision() => {
                    return Err(StoreError::FutureRevision {
                        revision: self.revision(),
                    });
                }
                TxnOp::Get(get) if get.revision != 0 && get.revision < self.compacted => {
                    return Err(StoreError::Compacted {
                        compact_revision: self.compacted,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn run(&self, before: &Pairs, pairs: &mut Pairs, wrote: &mut bool, txn: &Txn) -> TxnResponse {
        let mut response = TxnResponse::default();
        response.succeeded = txn.compare.iter().all(|compare| holds(before, compare));
        for operation in chosen(before, txn) {
            let next = self.revision() + 1;
            let answer = match operation {
                TxnOp::Get(get) => {
                    let newest = if *wrote { next } else { self.revision() };
                    let at = match get.revision {
                        past @ 1.. if past <= self.revision() => &self.at[&past],
                        _ => &*pairs,
                    };
                    TxnOpResponse::Get(read(at, newest, get))
                }
                TxnOp::Put(put) => {
                    *wrote = true;
                    TxnOpResponse::Put(write(pairs, next, put))
                }
                TxnOp::Delete(delete) => {
                    let mut response = remove(pairs, delete);
                    *wrote |= response.deleted > 0;
                    response.header.revision = if *wrote { next } else { self.revision() };
                    TxnOpResponse::Delete(response)
                }
                TxnOp::Txn(inner) => TxnOpResponse::Txn(self.run(before, pairs, wrote, inner)),
                other => panic!("{other:?}"),
            };
            response.responses.push(answer);
        }
        response
    }

    fn compact(&mut self, revision: i64) -> Result<(), StoreError> {
        if revision <= self.compacted {
            return Err(StoreError::Compacted {
                compact_revision: self.compacted,
            });
        }
        if revision > self.revision() {
            return Err(StoreError::FutureRevision {
                revision: self.revision(),
            });
        }
        self.compacted = revision;
        self.at.retain(|at, _| *at >= revision);
        Ok(())
    }
}

/// What is going to run, through all levels.
fn flatten<'a>(before: &Pairs, txn: &'a Txn, operations: &mut Vec<&'a TxnOp>) {
    for operation in chosen(before, txn) {
        match operation {
            TxnOp::Txn(inner) => flatten(before, inner, operations),
            other => operations.push(other),
        }
    }
}

fn chosen<'a>(before: &Pairs, txn: &'a Txn) -> &'a [TxnOp] {
    if txn.compare.iter().all(|compare| holds(before, compare)) {
        &txn.success
    } else {
        &txn.failure
    }
}

fn selects(key: &Bytes, first: &Bytes, end: &Bytes) -> bool {
    match &end[..] {
        b"" => key == first,
        b"\0" => key >= first,
        _ => key >= first && key < end,
    }
}

fn read(pairs: &Pairs, newest: i64, get: &Get) -> GetResponse {
    let selected: Vec<_> = pairs
        .values()
        .filter(|pair| selects(&pair.key, &get.key, &get.range_end))
        .collect();
    let mut response = GetResponse::default();
    response.header.revision = newest;
    response.count = i64::try_from(selected.len()).unwrap();
    if get.count_only {
        return response;
    }
    let filtered = [
        get.min_mod_revision,
        get.max_mod_revision,
        get.min_create_revision,
        get.max_create_revision,
    ]
    .iter()
    .any(|bound| *bound != 0);
    // Without an order, the limit comes before the sort target does.
    let fetched = match usize::try_from(get.limit) {
        Ok(limit @ 1..) if get.sort_order == SortOrder::None && !filtered => limit + 1,
        _ => usize::MAX,
    };
    let mut kept: Vec<KeyValue> = selected
        .into_iter()
        .take(fetched)
        .filter(|pair| get.min_mod_revision == 0 || pair.mod_revision >= get.min_mod_revision)
        .filter(|pair| get.max_mod_revision == 0 || pair.mod_revision <= get.max_mod_revision)
        .filter(|pair| get.min_create_revision == 0 || pair.create_revision >= get.min_create_revision)
        .filter(|pair| get.max_create_revision == 0 || pair.create_revision <= get.max_create_revision)
        .cloned()
        .collect();
    match get.sort_target {
        SortTarget::Key => kept.sort_by(|a, b| a.key.cmp(&b.key)),
        SortTarget::Version => kept.sort_by_key(|pair| pair.version),
        SortTarget::Create => kept.sort_by_key(|pair| pair.create_revision),
        SortTarget::Mod => kept.sort_by_key(|pair| pair.mod_revision),
        SortTarget::Value => kept.sort_by(|a, b| a.value.cmp(&b.value)),
        _ => unreachable!(),
    }
    if get.sort_order == SortOrder::Descend {
        // Reversed, but equal ones stay in the order of their keys.
        kept.reverse();
        let value = |pair: &KeyValue| match get.sort_target {
            SortTarget::Version => Some(pair.version.to_be_bytes().to_vec()),
            SortTarget::Create => Some(pair.create_revision.to_be_bytes().to_vec()),
            SortTarget::Mod => Some(pair.mod_revision.to_be_bytes().to_vec()),
            SortTarget::Value => Some(pair.value.to_vec()),
            _ => None,
        };
        if get.sort_target != SortTarget::Key {
            for group in kept.chunk_by_mut(|a, b| value(a) == value(b)) {
                group.reverse();
            }
        }
    }
    let limit = usize::try_from(get.limit).unwrap_or(0);
    if limit > 0 && kept.len() > limit {
        kept.truncate(limit);
        response.more = true;
    }
    if get.keys_only {
        kept.iter_mut().for_each(|pair| pair.value = Bytes::new());
    }
    response.kvs = kept;
    response
}

fn write(pairs: &mut Pairs, revision: i64, put: &Put) -> PutResponse {
    let before = pairs.get(&put.key).cloned();
    let mut pair = before.clone().unwrap_or_default();
    if before.is_none() {
        pair.key = put.key.clone();
        pair.create_revision = revision;
    }
    pair.mod_revision = revision;
    pair.version += 1;
    if !put.ignore_value {
        pair.value = put.value.clone();
    }
    if !put.ignore_lease {
        pair.lease = put.lease;
    }
    pairs.insert(put.key.clone(), pair);
    let mut response = PutResponse::default();
    response.header.revision = revision;
    response.prev_kv = before.filter(|_| put.prev_kv);
    response
}

fn remove(pairs: &mut Pairs, delete: &Delete) -> DeleteResponse {
    let mut response = DeleteResponse::default();
    pairs.retain(|key, pair| {
        let selected = selects(key, &delete.key, &delete.range_end);
        if selected {
            response.deleted += 1;
            if delete.prev_kv {
                response.prev_kvs.push(pair.clone());
            }
        }
        !selected
    });
    response
}

fn holds(pairs: &Pairs, compare: &Compare) -> bool {
    let selected: Vec<_> = pairs
        .values()
        .filter(|pair| selects(&pair.key, &compare.key, &compare.range_end))
        .collect();
    let absent = KeyValue::default();
    if selected.is_empty() {
        return compare.target != CompareTarget::Value && relates(&absent, compare);
    }
    selected.into_iter().all(|pair| relates(pair, compare))
}

fn relates(pair: &KeyValue, compare: &Compare) -> bool {
    let order = match compare.target {
        CompareTarget::Version => pair.version.cmp(&compare.version.unwrap()),
        CompareTarget::Create => pair.create_revision.cmp(&compare.create_revision.unwrap()),
        CompareTarget::Mod => pair.mod_revision.cmp(&compare.mod_revision.unwrap()),
        CompareTarget::Lease => pair.lease.cmp(&compare.lease.unwrap()),
        CompareTarget::Value => pair.value.cmp(compare.value.as_ref().unwrap()),
        _ => unreachable!(),
    };
    match compare.result {
        CompareResult::Equal => order.is_eq(),
        CompareResult::NotEqual => order.is_ne(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
        _ => unreachable!(),
    }
}

/// Puts of one key twice in a transaction are refused before they reach the store, so they are not tried.
fn writes_once(txn: &Txn) -> bool {
    fn collect<'a>(operations: &'a [TxnOp], keys: &mut Vec<&'a Bytes>) {
        for operation in operations {
            match operation {
                TxnOp::Put(put) => keys.push(&put.key),
                TxnOp::Txn(inner) => {
                    collect(&inner.success, keys);
                    collect(&inner.failure, keys);
                }
                _ => {}
            }
        }
    }
    [&txn.success, &txn.failure].into_iter().all(|branch| {
        let mut keys = Vec::new();
        collect(branch, &mut keys);
        let count = keys.len();
        keys.sort();
        keys.dedup();
        keys.len() == count
    })
}

#[test]
fn the_store_does_what_the_model_does() {
    for seed in SEEDS {
        let mut generator = Generator::new(seed);
        let (mut store, mut leases) = (Store::new(), Leases::default());
        for id in [1, 2] {
            leases.grant(Instant::now(), id, 60, 2).unwrap();
        }
        let mut model = Model {
            at: BTreeMap::from([(1, Pairs::new())]),
            compacted: -1,
            leases: vec![1, 2],
        };
        for step in 0..STEPS {
            let context = format!("seed {seed}, step {step}");
            let revision = model.revision();
            match generator.below(20) {
                0..=5 => {
                    let get = generator.get(revision);
                    assert_eq!(store.range(&get), model.range(&get), "{context}: {get:?}");
                }
                6..=10 => {
                    let put = generator.put();
                    assert_eq!(
                        store.put(&mut leases, &put),
                        model.put(&put),
                        "{context}: {put:?}"
                    );
                }
                11..=13 => {
                    let delete = generator.delete();
                    assert_eq!(
                        store.delete(&mut leases, &delete),
                        model.delete(&delete),
                        "{context}: {delete:?}"
                    );
                }
                14..=18 => {
                    let txn = generator.txn(revision, 2);
                    if writes_once(&txn) {
                        assert_eq!(
                            store.txn(&mut leases, &txn),
                            model.txn(&txn),
                            "{context}: {txn:?}"
                        );
                    }
                }
                _ => {
                    let revision = generator.small(u64::try_from(revision).unwrap() + 2);
                    assert_eq!(
                        store.compact(revision, true),
                        model.compact(revision),
                        "{context}: {revision}"
                    );
                }
            }
            assert_eq!(store.revision(), model.revision(), "{context}");
            for lease in [1, 2] {
                let held: Vec<_> = model
                    .now()
                    .values()
                    .filter(|pair| pair.lease == lease)
                    .map(|pair| &pair.key)
                    .collect();
                let kept: Vec<_> = leases.get(lease).unwrap().keys.iter().collect();
                assert_eq!(held, kept, "{context}: the keys of lease {lease}");
            }
        }
    }
}

#[test]
fn what_a_revision_changed_leads_from_one_revision_to_the_next() {
    let mut generator = Generator::new(7);
    let (mut store, mut leases) = (Store::new(), Leases::default());
    let mut all = Get::default();
    (all.key, all.range_end) = (Bytes::from_static(b"\0"), Bytes::from_static(b"\0"));
    let mut pairs = Pairs::new();
    for _ in 0..500 {
        let before = store.revision();
        let mut put = generator.put();
        (put.lease, put.ignore_lease, put.ignore_value) = (0, false, false);
        let txn = Txn::new().then([TxnOp::from(generator.delete()), put.into()]);
        store.txn(&mut leases, &txn).unwrap();
        for revision in before + 1..=store.revision() {
            for change in store.changes(revision) {
                assert_eq!(change.pair.mod_revision, revision);
                match change.kind {
                    etcd_embedded::store::ChangeKind::Put => {
                        pairs.insert(change.pair.key.clone(), KeyValue::clone(&change.pair));
                    }
                    etcd_embedded::store::ChangeKind::Delete => {
                        assert!(
                            pairs.remove(&change.pair.key).is_some(),
                            "a key that was not there was deleted"
                        );
                    }
                }
            }
        }
        let stored = store.range(&all).unwrap().kvs;
        assert_eq!(stored, pairs.values().cloned().collect::<Vec<_>>());
    }
}
