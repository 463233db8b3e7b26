//! Who leads an election, from what is observed of its candidates' keys.
//!
//! ```text
//!   Observed, in its order ──▶ handle_observed ──▶ the candidates, first come first
//!                                                        │ after each revision: is it another key,
//!                                                        │ or the same and written since?
//!                                                        ▼
//!                                   leader()        poll_observed: ObservedLeader
//! ```
//!
//! # The rule
//!
//! A candidate puts a key of its own below `name/`, and waits until no key below it is older. So whoever holds the key
//! with the lowest create revision leads; what the key holds is what the leader proclaims; and when it goes, by
//! resigning or with its lease, the next oldest leads. Whose key it is makes no difference to etcd, and so to nobody
//! here: one that a stranger puts below `name/` is a candidate like the others, and a campaign waits for its end. That includes the
//! candidates of an election whose name begins with `name/`.
//!
//! Two keys that one transaction creates are equally old, which candidates never are: the lower key leads here, and which
//! one etcd names is left open by how it sorts.
//!
//! Source: `Leader`, `Campaign` in `client/v3/concurrency/election.go`.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::Observed;
use crate::key::KeyRange;
use crate::message::{Event, EventType, KeyValue, LeaderKey};

/// Who leads an election, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservedLeader {
    /// The leader; `None` if nobody leads.
    pub leader: Option<ElectionLeader>,
    /// The revision that made it so; of the first that is told, and of one that is [synthetic](Self::is_synthetic), the
    /// revision of the read that shows it.
    pub revision: i64,
    /// Whether history was compacted before it was received, and this is what a read has found since. Leaders that came and
    /// went in between are not told, nor what they proclaimed.
    pub is_synthetic: bool,
}

/// A leader of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElectionLeader {
    /// The election's name.
    pub name: Bytes,
    /// Its key, which exists as long as it leads, and as the value what it proclaims. It leads since it is the oldest,
    /// which may be later than `create_revision`; `mod_revision` is that of its last proclamation, or of its candidacy.
    pub kv: KeyValue,
}

impl ElectionLeader {
    /// Proof of the leadership: what `proclaim` and `resign` take, what winning it returned to the leader, and what
    /// guards a transaction: the key's create revision has to be [`LeaderKey::revision`].
    #[must_use]
    pub fn leader_key(&self) -> LeaderKey {
        LeaderKey {
            name: self.name.clone(),
            key: self.kv.key.clone(),
            revision: self.kv.create_revision,
            lease: self.kv.lease,
        }
    }
}

/// Decides who leads an election.
///
/// It is told what an [`Observation`](super::Observation) of [`keys`](Self::keys) tells, and tells who leads: first as it
/// is, then after each revision that changes it. All keys below the election's name are kept in memory, with their
/// values.
#[derive(Debug)]
pub struct LeaderObservation {
    name: Bytes,
    /// By age, then by key.
    candidates: BTreeMap<(i64, Bytes), KeyValue>,
    /// When each of their keys was created.
    created: BTreeMap<Bytes, i64>,
    leader: Option<ElectionLeader>,
    revision: i64,
    untold: VecDeque<ObservedLeader>,
}

impl LeaderObservation {
    /// An observation of the election `name` that knows nothing yet.
    #[must_use]
    pub fn new(name: Bytes) -> Self {
        Self {
            name,
            candidates: BTreeMap::new(),
            created: BTreeMap::new(),
            leader: None,
            revision: 0,
            untold: VecDeque::new(),
        }
    }

    /// The keys of the candidates.
    #[must_use]
    pub fn keys(&self) -> KeyRange {
        KeyRange::prefix([&self.name, &b"/"[..]].concat())
    }

    /// Takes what was observed of the keys.
    pub fn handle_observed(&mut self, observed: Observed) {
        self.revision = observed.revision();
        match observed {
            Observed::Snapshot { revision, kvs } => {
                for kv in kvs {
                    self.put(kv);
                }
                self.find_leader();
                self.tell(revision, false);
            }
            Observed::Changes {
                revision,
                events,
                is_synthetic: true,
            } => {
                // They are in the order of their keys: only all of them show how it is.
                events.into_iter().for_each(|event| self.apply(event));
                if self.find_leader() {
                    self.tell(revision, true);
                }
            }
            Observed::Changes { events, .. } => {
                let mut events = events.into_iter().peekable();
                while let Some(event) = events.next() {
                    let revision = event.kv.mod_revision;
                    self.apply(event);
                    let is_whole = events.peek().is_none_or(|next| next.kv.mod_revision != revision);
                    if is_whole && self.find_leader() {
                        self.tell(revision, false);
                    }
                }
            }
            Observed::Progress { .. } => {}
        }
    }

    /// What to tell next, if there is anything.
    #[must_use]
    pub fn poll_observed(&mut self) -> Option<ObservedLeader> {
        self.untold.pop_front()
    }

    /// Who leads by all that was observed, told or not.
    #[must_use]
    pub fn leader(&self) -> Option<&ElectionLeader> {
        self.leader.as_ref()
    }

    /// The revision up to which all was observed; 0 before anything was.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    fn apply(&mut self, event: Event) {
        if event.event_type == EventType::Delete {
            if let Some(created) = self.created.remove(&event.kv.key) {
                self.candidates.remove(&(created, event.kv.key));
            }
        } else {
            self.put(event.kv);
        }
    }

    fn put(&mut self, mut kv: KeyValue) {
        // The key has been copied already. One value must not keep a message of megabytes in memory.
        kv.value = Bytes::copy_from_slice(&kv.value);
        let key = kv.key.clone();
        // Deleted and created again, unseen.
        if let Some(created) = self.created.insert(key.clone(), kv.create_revision)
            && created != kv.create_revision
        {
            self.candidates.remove(&(created, key.clone()));
        }
        self.candidates.insert((kv.create_revision, key), kv);
    }

    /// Whether it is another leader than before, or the same with another proclamation.
    fn find_leader(&mut self) -> bool {
        let first = self.candidates.first_key_value().map(|(_, kv)| kv);
        let before = self.leader.as_ref().map(|leader| &leader.kv);
        if before == first {
            return false;
        }
        self.leader = first.map(|kv| ElectionLeader {
            name: self.name.clone(),
            kv: kv.clone(),
        });
        true
    }

    fn tell(&mut self, revision: i64, is_synthetic: bool) {
        self.untold.push_back(ObservedLeader {
            leader: self.leader.clone(),
            revision,
            is_synthetic,
        });
    }
}

#[cfg(test)]
mod tests;
