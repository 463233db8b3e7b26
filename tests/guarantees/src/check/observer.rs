//! An observer's pairs are the store's at the same revision, whatever became of its watches in between; and between two
//! lists it misses nothing, like a watch.

use std::collections::BTreeMap;

use bytes::Bytes;
use etcd_core::message::{Event, EventType, KeyValue};

use crate::history::{Replay, apply};
use crate::{
    At, Detail, History, ObserverItem, ObserverRecord, Timed, Violation, WatchItem, WatchRecord, WatchRequest,
};

pub(crate) fn check(observer: &ObserverRecord, history: &History) -> Vec<Violation> {
    let mut violations = super::watch(&as_watch(observer), history);
    let mut state = State {
        revision: 0,
        pairs: BTreeMap::new(),
        truth: Replay::new(history, observer.keys.clone()),
    };
    for (item, timed) in observer.items.iter().enumerate() {
        if let Err(detail) = state.handle(&timed.item) {
            violations.push(Violation {
                who: observer.name.clone(),
                at: At { item, time: timed.at },
                detail: *detail,
            });
            // What follows is built on what is wrong.
            break;
        }
    }
    violations
}

/// What an observer has been told, applied.
struct State<'a> {
    revision: i64,
    pairs: BTreeMap<Bytes, KeyValue>,
    truth: Replay<'a>,
}

impl State<'_> {
    fn handle(&mut self, item: &ObserverItem) -> Result<(), Box<Detail>> {
        match item {
            ObserverItem::Snapshot { revision, pairs } => {
                self.pairs = pairs
                    .iter()
                    .map(|pair| (pair.key.clone(), pair.clone()))
                    .collect();
                self.reach(*revision)
            }
            ObserverItem::Changes { events } => {
                for event in events {
                    apply(&mut self.pairs, event);
                }
                match events.last() {
                    Some(event) => self.reach(event.kv.mod_revision),
                    None => Ok(()),
                }
            }
            ObserverItem::Difference { revision, events } => {
                for event in events {
                    if !changes(&self.pairs, event) {
                        let event = event.clone();
                        return Err(Box::new(Detail::ChangesNothing { event }));
                    }
                    apply(&mut self.pairs, event);
                }
                self.reach(*revision)
            }
            ObserverItem::Progress { revision } => self.reach(*revision),
            ObserverItem::Due { revision } => self.reach(self.revision.max(*revision)),
            ObserverItem::View { revision, pairs } => self.equals_truth(*revision, pairs),
        }
    }

    /// Moves on to a revision, at which everything must be as it is.
    fn reach(&mut self, revision: i64) -> Result<(), Box<Detail>> {
        let after = self.revision;
        if revision < after {
            return Err(Box::new(Detail::StateBackwards { revision, after }));
        }
        self.revision = revision;
        let pairs = std::mem::take(&mut self.pairs);
        let verdict = self.equals_truth(revision, &pairs);
        self.pairs = pairs;
        verdict
    }

    fn equals_truth(&mut self, revision: i64, pairs: &BTreeMap<Bytes, KeyValue>) -> Result<(), Box<Detail>> {
        self.truth.advance(revision);
        let truth = &self.truth.pairs;
        if pairs == truth {
            return Ok(());
        }
        let key = truth
            .keys()
            .chain(pairs.keys())
            .find(|key| truth.get(*key) != pairs.get(*key));
        let Some(key) = key else {
            return Ok(());
        };
        Err(Box::new(Detail::Diverged {
            revision,
            key: key.clone(),
            expected: truth.get(key).cloned(),
            got: pairs.get(key).cloned(),
        }))
    }
}

fn changes(pairs: &BTreeMap<Bytes, KeyValue>, event: &Event) -> bool {
    let present = pairs.get(&event.kv.key);
    match event.event_type {
        EventType::Delete => present.is_some(),
        _ => present != Some(&event.kv),
    }
}

/// Between two lists, the changes are those of a watch.
fn as_watch(observer: &ObserverRecord) -> WatchRecord {
    let items = observer.items.iter().map(|Timed { at, item }| {
        let item = match item {
            ObserverItem::Snapshot { revision, .. } | ObserverItem::Difference { revision, .. } => {
                WatchItem::Started {
                    revision: revision + 1,
                }
            }
            ObserverItem::Changes { events } => WatchItem::Batch {
                events: events.clone(),
            },
            ObserverItem::Progress { revision } => WatchItem::Progress { revision: *revision },
            ObserverItem::Due { revision } => WatchItem::Due { revision: *revision },
            // Keeps the items' numbers.
            ObserverItem::View { .. } => WatchItem::Batch { events: Vec::new() },
        };
        Timed { at: *at, item }
    });
    WatchRecord {
        name: observer.name.clone(),
        request: WatchRequest::new(observer.keys.clone()),
        items: items.collect(),
    }
}
