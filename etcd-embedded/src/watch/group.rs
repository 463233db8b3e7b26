//! Which watches want to know of a key.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Included, Unbounded};

use bytes::Bytes;
use etcd_core::key::KeyRange;

use super::WatcherId;
use crate::span::Span;

/// Watches by what they watch, so that ten thousand of them cost a change hardly more than one: single keys by the key,
/// prefixes by the prefix, ranges without an upper bound by where they begin. Other ranges are searched.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    singles: Index,
    prefixes: Index,
    open_ended: Index,
    others: BTreeMap<WatcherId, Span>,
}

type Index = BTreeMap<Bytes, BTreeSet<WatcherId>>;

impl Group {
    pub(super) fn insert(&mut self, id: WatcherId, span: &Span) {
        match self.index(span) {
            Some(index) => {
                index.entry(span.key().clone()).or_default().insert(id);
            }
            None => {
                self.others.insert(id, span.clone());
            }
        }
    }

    pub(super) fn remove(&mut self, id: WatcherId, span: &Span) {
        let Some(index) = self.index(span) else {
            self.others.remove(&id);
            return;
        };
        if let Some(ids) = index.get_mut(span.key()) {
            ids.remove(&id);
            if ids.is_empty() {
                index.remove(span.key());
            }
        }
    }

    pub(super) fn watching<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = WatcherId> + 'a {
        let prefixes = (1..=key.len()).filter_map(|length| self.prefixes.get(&key[..length]));
        let open_ended = self
            .open_ended
            .range::<[u8], _>((Unbounded, Included(key)))
            .map(|(_, ids)| ids);
        let others = self.others.iter().filter(|(_, span)| span.contains(key));
        self.singles
            .get(key)
            .into_iter()
            .chain(prefixes)
            .chain(open_ended)
            .flatten()
            .chain(others.map(|(id, _)| id))
            .copied()
    }

    /// Where watches of a span are found, `None` for among the others.
    fn index(&mut self, span: &Span) -> Option<&mut Index> {
        if span.single().is_some() {
            Some(&mut self.singles)
        } else if span.end().is_none() {
            Some(&mut self.open_ended)
        } else if span.range_end() == KeyRange::prefix(span.key()).range_end() {
            Some(&mut self.prefixes)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::server::CallId;

    /// Keys in which prefixes, 0xff and zeros meet.
    fn key(random: &mut Random) -> Bytes {
        const BYTES: [u8; 5] = [0, 1, b'a', b'b', 0xff];
        let length = 1 + random.below(3);
        (0..length)
            .map(|_| BYTES[usize::try_from(random.below(5)).unwrap()])
            .collect()
    }

    fn span(random: &mut Random) -> Span {
        let start = key(random);
        match random.below(4) {
            0 => Span::new(&start, &Bytes::new()),
            1 => Span::new(&start, &Bytes::from_static(b"\0")),
            2 => Span::prefix(&start),
            _ => Span::new(&start, &key(random)),
        }
    }

    #[test]
    fn it_finds_exactly_the_watches_whose_span_contains_the_key() {
        let mut random = Random::new(1);
        let mut group = Group::default();
        let mut all: BTreeMap<WatcherId, Span> = BTreeMap::new();
        for number in 0..3000 {
            if random.below(3) == 0
                && let Some((id, span)) = all.pop_first()
            {
                group.remove(id, &span);
            } else {
                let id = (CallId(random.below(5)), number);
                let span = span(&mut random);
                group.insert(id, &span);
                all.insert(id, span);
            }
            let key = key(&mut random);
            let mut found: Vec<_> = group.watching(&key).collect();
            found.sort_unstable();
            let expected = all.iter().filter(|(_, span)| span.contains(&key));
            assert_eq!(found, expected.map(|(id, _)| *id).collect::<Vec<_>>(), "{key:?}");
        }
        for (id, span) in all {
            group.remove(id, &span);
        }
        assert!(group.singles.is_empty() && group.prefixes.is_empty());
        assert!(group.open_ended.is_empty() && group.others.is_empty());
    }
}
