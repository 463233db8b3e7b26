//! Which watches want to know of a key.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::WatcherId;
use crate::span::Span;

/// Watches by what they watch: those of one key by that key, the others in a list that is searched.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    singles: BTreeMap<Bytes, BTreeSet<WatcherId>>,
    ranges: BTreeMap<WatcherId, Span>,
}

impl Group {
    pub(super) fn insert(&mut self, id: WatcherId, span: &Span) {
        match span.single() {
            Some(key) => {
                self.singles.entry(key.clone()).or_default().insert(id);
            }
            None => {
                self.ranges.insert(id, span.clone());
            }
        }
    }

    pub(super) fn remove(&mut self, id: WatcherId, span: &Span) {
        match span.single() {
            Some(key) => {
                if let Some(ids) = self.singles.get_mut(key) {
                    ids.remove(&id);
                    if ids.is_empty() {
                        self.singles.remove(key);
                    }
                }
            }
            None => {
                self.ranges.remove(&id);
            }
        }
    }

    pub(super) fn watching<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = WatcherId> + 'a {
        let singles = self.singles.get(key).into_iter().flatten().copied();
        let ranges = self
            .ranges
            .iter()
            .filter(|(_, span)| span.contains(key))
            .map(|(id, _)| *id);
        singles.chain(ranges)
    }
}
