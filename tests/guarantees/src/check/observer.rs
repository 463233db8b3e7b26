//! An observer's pairs are the store's at the same revision, whatever became of its watches in between; between two
//! lists it misses nothing, like a watch; and what it says of itself is true.

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
        history,
        observer,
        revision: 0,
        pairs: BTreeMap::new(),
        caught_up: 0,
        asked: 0,
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

type Pairs = BTreeMap<Bytes, KeyValue>;

/// What an observer has been told, applied; or what a mirror shows.
struct State<'a> {
    history: &'a History,
    observer: &'a ObserverRecord,
    revision: i64,
    pairs: Pairs,
    /// What it has caught up with.
    caught_up: i64,
    /// What it knew when it had caught up last, by asking for it.
    asked: i64,
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
                events.iter().try_for_each(|event| self.apply(event))?;
                match events.last() {
                    Some(event) => self.reach(event.kv.mod_revision),
                    None => Ok(()),
                }
            }
            ObserverItem::Difference { revision, events } => {
                self.differ(events)?;
                let after = self.revision;
                self.reach(*revision)?;
                require(self.history.was_compacted(after, *revision), || {
                    let revision = *revision;
                    Detail::NeedlesslySynthetic { after, revision }
                })
            }
            ObserverItem::Progress { revision } => self.reach(*revision),
            ObserverItem::Due { revision } => self.reach(self.revision.max(*revision)),
            ObserverItem::View { revision, pairs } => {
                self.pairs.clone_from(pairs);
                self.reach(*revision)
            }
            ObserverItem::CaughtUp { revision, written } => {
                let (revision, written) = (*revision, *written);
                require(revision >= written, || Detail::MissesWritten {
                    revision,
                    written,
                })?;
                self.caught_up = self.caught_up.max(revision);
                self.asked = self.revision;
                self.is_as_new_as_it_said()
            }
            ObserverItem::CutOff { newest } => {
                let (newest, revision) = (*newest, self.revision);
                require(revision <= newest.max(self.asked), || Detail::NotCutOff {
                    newest,
                    revision,
                })
            }
        }
    }

    /// Applies an event, which tells the pair before it exactly if it has to.
    fn apply(&mut self, event: &Event) -> Result<(), Box<Detail>> {
        let before = self.pairs.get(&event.kv.key);
        let expected = before.filter(|_| self.observer.prev_kv);
        require(event.prev_kv.as_ref() == expected, || Detail::PreviousPair {
            event: event.clone(),
            expected: expected.cloned(),
            got: event.prev_kv.clone(),
        })?;
        apply(&mut self.pairs, event);
        Ok(())
    }

    /// Applies synthetic events, each of which has to change something.
    fn differ(&mut self, events: &[Event]) -> Result<(), Box<Detail>> {
        for event in events {
            let present = self.pairs.get(&event.kv.key);
            let changes = match event.event_type {
                EventType::Delete => present.is_some(),
                _ => present != Some(&event.kv),
            };
            require(changes, || Detail::ChangesNothing { event: event.clone() })?;
            self.apply(event)?;
        }
        Ok(())
    }

    /// Moves on to a revision, at which everything must be as it is.
    fn reach(&mut self, revision: i64) -> Result<(), Box<Detail>> {
        let after = self.revision;
        require(revision >= after, || Detail::StateBackwards { revision, after })?;
        self.revision = revision;
        self.truth.advance(revision);
        if let Some((key, expected, got)) = first_difference(&self.truth.pairs, &self.pairs) {
            return Err(Box::new(Detail::Diverged {
                revision,
                key,
                expected,
                got,
            }));
        }
        self.is_as_new_as_it_said()
    }

    /// What is shown may be of an older revision than the one it has caught up with if nothing changed in between.
    fn is_as_new_as_it_said(&self) -> Result<(), Box<Detail>> {
        let (revision, caught_up) = (self.revision, self.caught_up);
        if revision >= caught_up {
            return Ok(());
        }
        let truth = self.history.pairs_at(&self.observer.keys, caught_up);
        match first_difference(&truth, &self.pairs) {
            None => Ok(()),
            Some((key, expected, got)) => Err(Box::new(Detail::Outdated {
                revision,
                caught_up,
                key,
                expected,
                got,
            })),
        }
    }
}

fn require(holds: bool, detail: impl FnOnce() -> Detail) -> Result<(), Box<Detail>> {
    if holds { Ok(()) } else { Err(Box::new(detail())) }
}

/// The first key that is not as it should be: with what it should hold, and what it holds.
fn first_difference(expected: &Pairs, got: &Pairs) -> Option<(Bytes, Option<KeyValue>, Option<KeyValue>)> {
    if expected == got {
        return None;
    }
    let mut keys = expected.keys().chain(got.keys());
    let key = keys.find(|key| expected.get(*key) != got.get(*key))?;
    Some((key.clone(), expected.get(key).cloned(), got.get(key).cloned()))
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
            ObserverItem::View { .. } | ObserverItem::CaughtUp { .. } | ObserverItem::CutOff { .. } => {
                WatchItem::Batch { events: Vec::new() }
            }
        };
        Timed { at: *at, item }
    });
    WatchRecord {
        name: observer.name.clone(),
        request: WatchRequest::new(observer.keys.clone()),
        items: items.collect(),
    }
}
