//! What the task of a mirror shares with those who read.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use etcd_core::error::Error;
use etcd_core::machine::{ObservationStatus, Observed};
use etcd_core::message::{Event, EventType, KeyValue};

use super::goal::Goal;
use super::view::MirrorView;
use crate::WatchHandle;

/// Turns a pair into what the mirror holds of it.
pub(super) type Decode<V> = Arc<dyn Fn(&KeyValue) -> V + Send + Sync>;

/// What a mirror holds, and how it is doing.
#[derive(Clone)]
pub(super) struct Content<V> {
    pub(super) view: MirrorView<V>,
    /// The revision of the last change.
    pub(super) changed_at: i64,
    /// How it is doing, but for what its watch says of itself.
    pub(super) status: ObservationStatus,
    pub(super) watch: Option<WatchHandle>,
    /// Which one that is.
    pub(super) watches: u64,
    /// What ended it.
    pub(super) error: Option<Arc<Error>>,
}

/// What was observed, with what the mirror is to hold of it. It is made before anything is changed: whoever decodes holds up no
/// reader, and if he panics, no part of a revision is shown.
pub(super) struct Decoded<V> {
    revision: i64,
    changes: Vec<Change<V>>,
}

struct Change<V> {
    mod_revision: i64,
    key: Bytes,
    /// `None` if the key is gone.
    value: Option<V>,
}

impl<V> Decoded<V> {
    pub(super) fn new(observed: Observed, decode: &Decode<V>) -> Self {
        let revision = observed.revision();
        let events = match observed {
            Observed::Changes { events, .. } => events,
            _ => Vec::new(),
        };
        let change = |event: Event| Change {
            mod_revision: event.kv.mod_revision,
            value: (event.event_type != EventType::Delete).then(|| decode(&compact(&event.kv))),
            key: event.kv.key,
        };
        Self {
            revision,
            changes: events.into_iter().map(change).collect(),
        }
    }
}

impl<V: Clone> Content<V> {
    /// What a mirror begins with.
    pub(super) fn new(revision: i64, kvs: &[KeyValue], decode: &Decode<V>) -> Self {
        let values: BTreeMap<Bytes, V> = kvs
            .iter()
            .map(|kv| (kv.key.clone(), decode(&compact(kv))))
            .collect();
        Self {
            view: MirrorView {
                values: Arc::new(values),
                revision,
            },
            changed_at: revision,
            status: ObservationStatus::Listing,
            watch: None,
            watches: 0,
            error: None,
        }
    }

    /// Takes what was observed. Of a revision that is shown already, nothing is news: see [`agree`](Self::agree).
    pub(super) fn apply(&mut self, decoded: Decoded<V>) {
        let shown = self.view.revision;
        let Decoded { revision, changes } = decoded;
        self.view.revision = shown.max(revision);
        for change in changes {
            if change.mod_revision <= shown {
                continue;
            }
            self.changed_at = revision;
            // Copied only if somebody keeps a view.
            let values = Arc::make_mut(&mut self.view.values);
            match change.value {
                None => values.remove(&change.key),
                Some(value) => values.insert(change.key, value),
            };
        }
    }

    /// Shows the state of `goal` from now on, if that is what is shown; returns whether it is.
    ///
    /// Keys that came and went between the revision that was shown and that of the goal may be told of only now, one
    /// change after the other. Whoever knows that they are gone must not see them come.
    pub(super) fn agree(&mut self, goal: Goal) -> bool {
        let view = &mut self.view;
        let is_seen = goal.is_seen(view.revision, view.len());
        if is_seen {
            view.revision = view.revision.max(goal.revision);
        }
        is_seen
    }
}

/// The pair with a value of its own: one value must not keep a message of megabytes in memory. Its key has been copied already.
fn compact(kv: &KeyValue) -> KeyValue {
    let mut compact = kv.clone();
    compact.value = Bytes::copy_from_slice(&kv.value);
    compact
}

#[cfg(test)]
mod tests {
    use etcd_core::message::GetResponse;

    use super::*;

    fn put(key: &'static str, revision: i64) -> Event {
        let mut event = Event::default();
        event.kv.key = key.into();
        event.kv.mod_revision = revision;
        event
    }

    fn delete(key: &'static str, revision: i64) -> Event {
        let mut event = put(key, revision);
        event.event_type = EventType::Delete;
        event
    }

    fn changes(revision: i64, events: &[Event]) -> Observed {
        Observed::Changes {
            revision,
            events: events.to_vec(),
            is_synthetic: false,
        }
    }

    /// What a read of the newest key at `revision` finds.
    fn goal(revision: i64, newest: &Event, count: i64) -> Goal {
        let mut answer = GetResponse::default();
        answer.header.revision = revision;
        answer.kvs = vec![newest.kv.clone()];
        answer.count = count;
        Goal::found(&answer)
    }

    fn shown(content: &Content<i64>) -> (i64, Vec<(&[u8], i64)>) {
        let pairs = content.view.iter().map(|(key, value)| (&key[..], *value));
        (content.view.revision(), pairs.collect())
    }

    #[test]
    fn what_came_and_went_before_a_sync_does_not_show_after_it() {
        let decode: Decode<i64> = Arc::new(|kv| kv.mod_revision);
        let mut content = Content::new(5, &[put("a", 5).kv], &decode);
        // "b" is put at 6 and deleted at 7, and neither has been told yet.
        assert!(content.agree(goal(8, &put("a", 5), 1)));
        assert_eq!(shown(&content), (8, vec![(&b"a"[..], 5)]));
        for observed in [
            changes(6, &[put("b", 6)]),
            changes(7, &[delete("b", 7)]),
            Observed::Progress { revision: 7 },
        ] {
            content.apply(Decoded::new(observed, &decode));
            assert_eq!(shown(&content), (8, vec![(&b"a"[..], 5)]));
            assert_eq!(content.changed_at, 5, "nothing that readers have to be told");
        }
        // Whatever comes with a change that is news is news only as far as it is newer.
        let observed = changes(9, &[put("b", 6), delete("b", 7), put("c", 9)]);
        content.apply(Decoded::new(observed, &decode));
        assert_eq!(shown(&content), (9, vec![(&b"a"[..], 5), (&b"c"[..], 9)]));
        assert_eq!(content.changed_at, 9);
    }

    #[test]
    fn a_state_that_is_not_shown_is_not_agreed_to() {
        let decode: Decode<i64> = Arc::new(|kv| kv.mod_revision);
        for other in [goal(8, &put("b", 6), 1), goal(8, &put("a", 5), 2)] {
            let mut content = Content::new(5, &[put("a", 5).kv], &decode);
            assert!(!content.agree(other));
            assert_eq!(content.view.revision(), 5);
        }
    }
}
