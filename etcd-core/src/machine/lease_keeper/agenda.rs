//! What is to be done for the leases, in the order in which it is to be done.

use std::collections::BTreeSet;
use std::time::Instant;

use super::LeaseKey;
use super::kept::{Kept, Renewal};

/// Leases in order. Where a lease stands follows from the lease alone: it is taken out before it changes, and put
/// back afterwards.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// All that are not lost, by deadline.
    pub(super) deadlines: BTreeSet<Entry>,
    /// Those whose renewal has time, by when it is due.
    pub(super) due: BTreeSet<Entry>,
    /// Those to be renewed now on the stream, by deadline.
    pub(super) ready: BTreeSet<Entry>,
    /// Those to be renewed now by an exchange of their own, by deadline.
    pub(super) ready_alone: BTreeSet<Entry>,
    /// Those whose renewal was sent on the stream, by when it is given up.
    pub(super) on_stream: BTreeSet<Entry>,
    /// How many are being renewed by an exchange of their own.
    pub(super) alone: usize,
}

pub(super) type Entry = (Instant, LeaseKey);

impl Agenda {
    pub(super) fn insert(&mut self, key: LeaseKey, kept: &Kept) {
        if kept.lost.is_some() {
            return;
        }
        self.deadlines.insert((kept.deadline, key));
        match kept.renewal {
            Renewal::Due(due) => self.due.insert((due, key)),
            Renewal::Ready if kept.is_suspect => self.ready_alone.insert((kept.deadline, key)),
            Renewal::Ready => self.ready.insert((kept.deadline, key)),
            Renewal::OnStream(give_up_at) => self.on_stream.insert((give_up_at, key)),
            Renewal::Alone(_) => {
                self.alone += 1;
                true
            }
        };
    }

    pub(super) fn remove(&mut self, key: LeaseKey, kept: &Kept) {
        if kept.lost.is_some() {
            return;
        }
        self.deadlines.remove(&(kept.deadline, key));
        match kept.renewal {
            Renewal::Due(due) => self.due.remove(&(due, key)),
            Renewal::Ready if kept.is_suspect => self.ready_alone.remove(&(kept.deadline, key)),
            Renewal::Ready => self.ready.remove(&(kept.deadline, key)),
            Renewal::OnStream(give_up_at) => self.on_stream.remove(&(give_up_at, key)),
            Renewal::Alone(_) => {
                self.alone -= 1;
                true
            }
        };
    }
}
