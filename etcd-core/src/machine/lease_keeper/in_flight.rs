//! Renewals that were sent on a stream and not answered yet.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::LeaseKey;

/// What one stream owes answers to.
///
/// A lease that is removed or lost meanwhile keeps its place: the answer still comes, and must not be taken for
/// that of another lease with the same id.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// In the order they were sent.
    by_order: BTreeMap<u64, Sent>,
    /// The places of those with the same id, oldest first.
    by_id: BTreeMap<i64, VecDeque<u64>>,
    next: u64,
}

/// One renewal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) key: LeaseKey,
    pub(super) id: i64,
    pub(super) at: Instant,
}

impl InFlight {
    pub(super) fn push(&mut self, sent: Sent) {
        self.by_order.insert(self.next, sent);
        self.by_id.entry(sent.id).or_default().push_back(self.next);
        self.next += 1;
    }

    /// The renewal that an answer for the lease `id` belongs to: the oldest with this id, because a server answers
    /// in order; `None` if none was sent.
    pub(super) fn take(&mut self, id: i64) -> Option<Sent> {
        let places = self.by_id.get_mut(&id)?;
        let place = places.pop_front()?;
        if places.is_empty() {
            self.by_id.remove(&id);
        }
        self.by_order.remove(&place)
    }

    /// The one that the server works on.
    pub(super) fn oldest(&self) -> Option<&Sent> {
        self.by_order.values().next()
    }

    pub(super) fn len(&self) -> usize {
        self.by_order.len()
    }

    /// All of them, in the order they were sent, when the stream is over.
    pub(super) fn drain(&mut self) -> Vec<Sent> {
        self.by_id.clear();
        std::mem::take(&mut self.by_order).into_values().collect()
    }
}
