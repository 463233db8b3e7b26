//! Reading.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use etcd_core::message::{Get, GetResponse, KeyValue, SortOrder, SortTarget};

use super::{Store, StoreError};
use crate::span::Span;

impl Store {
    /// Reads in a view whose newest revision is `newest`.
    pub(super) fn range_at(&self, newest: i64, get: &Get) -> Result<GetResponse, StoreError> {
        let revision = self.readable(newest, get.revision)?;
        let mut response = GetResponse::default();
        response.header.revision = newest;

        let span = Span::new(&get.key, &get.range_end);
        // Who orders or filters has to see everything before the limit can apply. A sort target without an order does
        // not count here, though it sorts: only what the limit let through (`rangeLimit` and `sortRangeResults`).
        let fetch = if get.limit > 0 && get.sort_order == SortOrder::None && !filters(get) {
            usize::try_from(get.limit).unwrap_or(usize::MAX).saturating_add(1)
        } else {
            usize::MAX
        };
        let (mut pairs, count) = self.pairs(&span, revision, if get.count_only { 0 } else { fetch });
        response.count = count;
        if filters(get) {
            pairs.retain(|pair| passes(pair, get));
        }
        if sorts(get) {
            sort(&mut pairs, get);
        }
        if let Ok(limit @ 1..) = usize::try_from(get.limit)
            && pairs.len() > limit
        {
            pairs.truncate(limit);
            response.more = true;
        }
        response.kvs = pairs
            .into_iter()
            .map(|pair| {
                let mut pair = KeyValue::clone(pair);
                if get.keys_only {
                    pair.value = Bytes::new();
                }
                pair
            })
            .collect();
        Ok(response)
    }

    /// The revision to read at, for a request that names `wanted` in a view that ends with `newest`.
    pub(super) fn readable(&self, newest: i64, wanted: i64) -> Result<i64, StoreError> {
        if wanted > newest {
            return Err(StoreError::FutureRevision { revision: newest });
        }
        let revision = if wanted <= 0 { newest } else { wanted };
        if revision < self.compacted {
            return Err(StoreError::Compacted {
                compact_revision: self.compacted,
            });
        }
        Ok(revision)
    }

    /// The first `limit` pairs of `span`, and how many there are in all.
    fn pairs(&self, span: &Span, revision: i64, limit: usize) -> (Vec<&Arc<KeyValue>>, i64) {
        if let Some(key) = span.single() {
            let pair = self.index.get(key).and_then(|history| history.at(revision));
            return (pair.into_iter().take(limit).collect(), i64::from(pair.is_some()));
        }
        let mut pairs = Vec::new();
        let mut count = 0;
        let Some(bounds) = span.bounds() else {
            return (pairs, count);
        };
        for (_, history) in self.index.range::<Bytes, _>(bounds) {
            if let Some(pair) = history.at(revision) {
                count += 1;
                if pairs.len() < limit {
                    pairs.push(pair);
                }
            }
        }
        (pairs, count)
    }
}

/// Whether the answer comes in another order than that of the keys.
///
/// A target without an order means ascending (`sortRangeResults` in `server/etcdserver/txn/range.go`).
fn sorts(get: &Get) -> bool {
    match get.sort_order {
        SortOrder::None => get.sort_target != SortTarget::Key,
        SortOrder::Ascend => get.sort_target != SortTarget::Key,
        SortOrder::Descend => true,
        // Servers before 3.6 take an unknown order and do not sort by it.
        _ => false,
    }
}

fn sort(pairs: &mut [&Arc<KeyValue>], get: &Get) {
    let by: fn(&KeyValue, &KeyValue) -> Ordering = match get.sort_target {
        SortTarget::Key => |a, b| a.key.cmp(&b.key),
        SortTarget::Version => |a, b| a.version.cmp(&b.version),
        SortTarget::Create => |a, b| a.create_revision.cmp(&b.create_revision),
        SortTarget::Mod => |a, b| a.mod_revision.cmp(&b.mod_revision),
        SortTarget::Value => |a, b| a.value.cmp(&b.value),
        _ => return,
    };
    // Stable in both directions: equal ones keep the order of their keys.
    match get.sort_order {
        SortOrder::Descend => pairs.sort_by(|a, b| by(b, a)),
        _ => pairs.sort_by(|a, b| by(a, b)),
    }
}

fn filters(get: &Get) -> bool {
    [
        get.min_mod_revision,
        get.max_mod_revision,
        get.min_create_revision,
        get.max_create_revision,
    ]
    .iter()
    .any(|bound| *bound != 0)
}

/// Zero stands for no bound; the bounds themselves pass.
fn passes(pair: &KeyValue, get: &Get) -> bool {
    let within = |value: i64, min: i64, max: i64| (min == 0 || value >= min) && (max == 0 || value <= max);
    within(pair.mod_revision, get.min_mod_revision, get.max_mod_revision)
        && within(
            pair.create_revision,
            get.min_create_revision,
            get.max_create_revision,
        )
}
