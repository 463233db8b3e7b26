//! What was observed and nobody has taken yet, in bounded memory.
//!
//! ```text
//!   push ──▶ recent: as it came ── more than the limits ──▶ merged: one item, one pair or event for each key
//!                    │                                         │
//!   pop, second ◀────┘                         pop, first ◀────┘
//! ```
//!
//! Whoever applies everything in order has, after each item, what the range held at the item's revision. Two items that
//! follow each other, told as one with the net difference, keep that promise. So memory is bounded by the limits, and
//! one pair for each key.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::Observed;
use crate::machine::BufferLimits;
use crate::machine::watch::event_bytes;
use crate::message::{Event, EventType, KeyValue};

/// What was observed and not taken. Beyond its limits, what follows each other is merged: a snapshot with the changes
/// after it into the snapshot of a later revision, changes into their net difference, which is marked as synthetic.
#[derive(Debug, Default)]
pub struct ObservedBacklog {
    limits: BufferLimits,
    /// Older than all of `recent`.
    merged: Option<Merged>,
    recent: VecDeque<Observed>,
    /// Of `recent`.
    events: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Merged {
    revision: i64,
    net: Net,
}

#[derive(Debug)]
enum Net {
    Snapshot(BTreeMap<Bytes, KeyValue>),
    Changes(BTreeMap<Bytes, Change>),
}

#[derive(Debug)]
struct Change {
    last: Event,
    /// Whether the key did not exist before all of this, for certain.
    is_new: bool,
}

impl ObservedBacklog {
    /// An empty one.
    #[must_use]
    pub fn new(limits: BufferLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.merged.is_none() && self.recent.is_empty()
    }

    /// Takes what comes after everything before.
    pub fn push(&mut self, observed: Observed) {
        let (events, bytes) = size(&observed);
        self.events += events;
        self.bytes += bytes;
        self.recent.push_back(observed);
        // A single item has been received as a whole anyway, and a second one may never come.
        let is_too_much = self.events > self.limits.events || self.bytes > self.limits.bytes;
        if is_too_much && (self.merged.is_some() || self.recent.len() > 1) {
            self.merge();
        }
    }

    /// The oldest item.
    pub fn pop(&mut self) -> Option<Observed> {
        if let Some(merged) = self.merged.take() {
            return Some(merged.into());
        }
        let observed = self.recent.pop_front()?;
        let (events, bytes) = size(&observed);
        self.events -= events;
        self.bytes -= bytes;
        Some(observed)
    }

    fn merge(&mut self) {
        (self.events, self.bytes) = (0, 0);
        for observed in self.recent.drain(..) {
            let merged = self.merged.get_or_insert_with(|| Merged {
                revision: observed.revision(),
                net: Net::Changes(BTreeMap::new()),
            });
            merged.add(observed);
        }
    }
}

impl Merged {
    fn add(&mut self, observed: Observed) {
        self.revision = observed.revision();
        match observed {
            // The first item, and the only one of its kind.
            Observed::Snapshot { kvs, .. } => {
                let pairs = kvs.into_iter().map(|kv| (kv.key.clone(), compact(kv)));
                self.net = Net::Snapshot(pairs.collect());
            }
            Observed::Changes {
                events, is_synthetic, ..
            } => {
                for event in events {
                    self.net.apply(event, is_synthetic);
                }
            }
            Observed::Progress { .. } => {}
        }
    }
}

impl Net {
    fn apply(&mut self, event: Event, is_synthetic: bool) {
        let is_delete = event.event_type == EventType::Delete;
        match self {
            Self::Snapshot(pairs) if is_delete => {
                pairs.remove(&event.kv.key);
            }
            Self::Snapshot(pairs) => {
                let kv = compact(event.kv);
                pairs.insert(kv.key.clone(), kv);
            }
            Self::Changes(changes) => {
                let mut last = event;
                last.kv = compact(last.kv);
                let key = last.kv.key.clone();
                let is_new = match changes.remove(&key) {
                    Some(before) => {
                        last.prev_kv = before.last.prev_kv;
                        before.is_new
                    }
                    // A synthetic put may stand for a deletion and a put.
                    None => !is_delete && !is_synthetic && last.kv.version == 1,
                };
                if !(is_delete && is_new) {
                    changes.insert(key, Change { last, is_new });
                }
            }
        }
    }
}

impl From<Merged> for Observed {
    fn from(Merged { revision, net }: Merged) -> Self {
        match net {
            Net::Snapshot(pairs) => Self::Snapshot {
                revision,
                kvs: pairs.into_values().collect(),
            },
            Net::Changes(changes) if changes.is_empty() => Self::Progress { revision },
            Net::Changes(changes) => Self::Changes {
                revision,
                events: changes.into_values().map(|change| change.last).collect(),
                is_synthetic: true,
            },
        }
    }
}

/// The pair in memory of its own: one pair must not keep a message of megabytes.
fn compact(mut kv: KeyValue) -> KeyValue {
    kv.key = Bytes::copy_from_slice(&kv.key);
    kv.value = Bytes::copy_from_slice(&kv.value);
    kv
}

/// How many events it counts for, and about how many bytes.
fn size(observed: &Observed) -> (usize, usize) {
    match observed {
        Observed::Snapshot { kvs, .. } => {
            let bytes = |kv: &KeyValue| size_of::<KeyValue>() + kv.key.len() + kv.value.len();
            (kvs.len(), kvs.iter().map(bytes).sum())
        }
        Observed::Changes { events, .. } => (events.len().max(1), events.iter().map(event_bytes).sum()),
        Observed::Progress { .. } => (1, size_of::<Observed>()),
    }
}

#[cfg(test)]
mod tests;
