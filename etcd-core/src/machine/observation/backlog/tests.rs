use super::*;

type State = BTreeMap<Bytes, KeyValue>;

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// A random history as an observer that keeps pairs is told it, with the state after each revision.
struct History {
    items: VecDeque<Observed>,
    states: BTreeMap<i64, State>,
}

impl History {
    fn random(dice: &mut Dice, length: i64, has_snapshot: bool) -> Self {
        let mut state = State::new();
        let mut items = VecDeque::new();
        let mut states = BTreeMap::new();
        for revision in 1..=length {
            let before = state.clone();
            // A synthetic item stands for several revisions, of which only the difference is told.
            let is_synthetic = dice.below(5) == 0;
            let mut events = Vec::new();
            for _ in 0..dice.below(if is_synthetic { 8 } else { 3 }) {
                let key = Bytes::from(format!("k{}", dice.below(6)));
                if !is_synthetic && events.iter().any(|event: &Event| event.kv.key == key) {
                    continue;
                }
                let prev = state.get(&key).cloned();
                let mut event = Event::default();
                event.kv.key = key.clone();
                event.kv.mod_revision = revision;
                event.prev_kv.clone_from(&prev);
                if dice.below(2) == 0 {
                    event.kv.value = dice.below(1000).to_string().into();
                    event.kv.version = prev.as_ref().map_or(1, |prev| prev.version + 1);
                    event.kv.create_revision = prev.map_or(revision, |prev| prev.create_revision);
                    state.insert(key, event.kv.clone());
                } else if prev.is_some() {
                    event.event_type = EventType::Delete;
                    state.remove(&key);
                } else {
                    continue;
                }
                events.push(event);
            }
            if is_synthetic {
                events = difference(&before, &state, revision);
            }
            states.insert(revision, state.clone());
            items.push_back(if revision == 1 && has_snapshot {
                let kvs = state.values().cloned().collect();
                Observed::Snapshot { revision, kvs }
            } else if events.is_empty() {
                Observed::Progress { revision }
            } else {
                Observed::Changes {
                    revision,
                    events,
                    is_synthetic,
                }
            });
        }
        Self { items, states }
    }
}

fn difference(before: &State, after: &State, revision: i64) -> Vec<Event> {
    let mut events = Vec::new();
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (prev, now) = (before.get(key), after.get(key));
        if prev == now {
            continue;
        }
        let mut event = Event {
            prev_kv: prev.cloned(),
            ..Event::default()
        };
        match now {
            Some(kv) => event.kv = kv.clone(),
            None => {
                event.event_type = EventType::Delete;
                event.kv.key = key.clone();
                event.kv.mod_revision = revision;
            }
        }
        events.push(event);
    }
    events
}

/// Applies an item; every event has to tell the pair before, which is that of before the whole item if it is synthetic.
fn apply(state: &mut State, observed: Observed) {
    match observed {
        Observed::Snapshot { kvs, .. } => {
            *state = kvs.into_iter().map(|kv| (kv.key.clone(), kv)).collect();
        }
        Observed::Changes {
            events, is_synthetic, ..
        } => {
            if is_synthetic {
                assert!(events.is_sorted_by(|one, other| one.kv.key < other.kv.key));
            }
            for event in events {
                assert_eq!(event.prev_kv.as_ref(), state.get(&event.kv.key));
                if event.event_type == EventType::Delete {
                    state.remove(&event.kv.key);
                } else {
                    state.insert(event.kv.key.clone(), event.kv);
                }
            }
        }
        Observed::Progress { .. } => {}
    }
}

#[test]
fn whoever_applies_what_was_merged_has_what_there_was() {
    let (mut told, mut items) = (0, 0);
    for seed in 1..=500 {
        let mut dice = Dice(seed);
        let history = History::random(&mut dice, 60, seed % 2 == 0);
        let limits = BufferLimits {
            events: dice.below(6) as usize,
            bytes: if dice.below(2) == 0 { 1500 } else { usize::MAX },
        };
        let mut backlog = ObservedBacklog::new(limits);
        let (mut state, mut revision) = (State::new(), 0);
        let mut take = |backlog: &mut ObservedBacklog| {
            let Some(observed) = backlog.pop() else {
                return false;
            };
            assert!(observed.revision() > revision);
            revision = observed.revision();
            apply(&mut state, observed);
            assert_eq!(
                state, history.states[&revision],
                "seed {seed}, revision {revision}"
            );
            told += 1;
            true
        };
        for observed in history.items.clone() {
            items += 1;
            backlog.push(observed);
            let is_one = backlog.merged.is_none() && backlog.recent.len() == 1;
            assert!(is_one || backlog.events <= limits.events && backlog.bytes <= limits.bytes);
            if dice.below(8) == 0 {
                take(&mut backlog);
            }
        }
        while take(&mut backlog) {}
        assert!(backlog.is_empty() && (backlog.events, backlog.bytes) == (0, 0));
        assert_eq!(revision, 60);
    }
    assert!(told < items / 2, "most of it was merged: {told} of {items}");
}

#[test]
fn within_the_limits_everything_comes_as_it_was() {
    let history = History::random(&mut Dice(7), 60, true);
    let mut backlog = ObservedBacklog::new(BufferLimits::default());
    history.items.iter().cloned().for_each(|item| backlog.push(item));
    let taken: VecDeque<_> = std::iter::from_fn(|| backlog.pop()).collect();
    assert_eq!(taken, history.items);
}

#[test]
fn keys_that_came_and_went_take_no_room() {
    let mut backlog = ObservedBacklog::new(BufferLimits {
        events: 4,
        bytes: 4096,
    });
    for revision in 1..=10_000 {
        let mut event = Event::default();
        event.kv.key = format!("k{}", revision / 2 * 2).into();
        event.kv.mod_revision = revision;
        match revision % 2 {
            0 => event.kv.version = 1,
            _ if revision == 1 => continue,
            _ => event.event_type = EventType::Delete,
        }
        backlog.push(Observed::Changes {
            revision,
            events: vec![event],
            is_synthetic: false,
        });
        if let Some(Merged {
            net: Net::Changes(changes),
            ..
        }) = &backlog.merged
        {
            assert!(changes.len() <= 1);
        }
        assert!(backlog.recent.len() <= 4);
    }
}
