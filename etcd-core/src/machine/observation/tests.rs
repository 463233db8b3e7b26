use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::error::{Code, ServerError, Timeout, TimeoutPhase};
use crate::key::prefix;
use crate::machine::FIRST_PAGE_KEYS;
use crate::message::EventType;

/// A store with its whole history, of which it gives away only what is not compacted.
#[derive(Default)]
struct Store {
    /// By revision: the key, and its value unless it was deleted.
    history: Vec<Vec<(String, Option<String>)>>,
    compacted: i64,
}

type State = BTreeMap<String, (String, i64)>;

impl Store {
    fn revision(&self) -> i64 {
        self.history.len() as i64
    }

    fn write(&mut self, changes: Vec<(String, Option<String>)>) {
        self.history.push(changes);
    }

    /// What there was at `revision`: values, and the revisions that wrote them.
    fn at(&self, revision: i64) -> State {
        let mut state = State::new();
        for (index, changes) in self.history.iter().take(revision as usize).enumerate() {
            for (key, value) in changes {
                match value {
                    Some(value) => state.insert(key.clone(), (value.clone(), index as i64 + 1)),
                    None => state.remove(key),
                };
            }
        }
        state
    }

    fn answer(&self, get: &Get) -> Result<GetResponse, Error> {
        let revision = if get.revision == 0 {
            self.revision()
        } else {
            get.revision
        };
        if revision < self.compacted {
            let message = EtcdError::Compacted.to_string();
            return Err(ServerError::new(Code::OutOfRange, &message).into());
        }
        let range = KeyRange::from_parts(get.key.clone(), get.range_end.clone());
        let found = self
            .at(revision)
            .into_iter()
            .filter(|(key, _)| range.contains(key.as_bytes()));
        let mut found: Vec<_> = found
            .map(|(key, (value, mod_revision))| KeyValue {
                key: key.into(),
                value: value.into(),
                mod_revision,
                ..KeyValue::default()
            })
            .collect();
        let mut response = GetResponse::default();
        response.header.revision = self.revision();
        response.count = found.len() as i64;
        response.more = response.count > get.limit;
        found.truncate(get.limit as usize);
        response.kvs = found;
        Ok(response)
    }

    /// The events of one revision, as a watch tells them.
    fn events(&self, revision: i64) -> Vec<Event> {
        let before = self.at(revision - 1);
        let changes = &self.history[revision as usize - 1];
        let events = changes
            .iter()
            .filter(|(key, value)| value.is_some() || before.contains_key(key));
        events
            .map(|(key, value)| {
                let mut event = Event::default();
                event.kv.key = key.clone().into();
                event.kv.mod_revision = revision;
                match value {
                    Some(value) => event.kv.value = value.clone().into(),
                    None => event.event_type = EventType::Delete,
                }
                event
            })
            .collect()
    }
}

/// Whoever applies what is observed.
#[derive(Default)]
struct Applied {
    state: State,
    revision: i64,
    synthetic: usize,
    /// Whether events have to tell what was there before.
    has_prev_kv: bool,
}

impl Applied {
    fn apply(&mut self, observed: &Observed) {
        assert!(
            observed.revision() > self.revision,
            "{observed:?} after {}",
            self.revision
        );
        match observed {
            Observed::Snapshot { kvs, .. } => {
                assert_eq!(self.revision, 0, "a second snapshot");
                self.state = kvs.iter().map(Self::pair).collect();
            }
            Observed::Changes {
                events, is_synthetic, ..
            } => {
                self.synthetic += usize::from(*is_synthetic);
                for event in events {
                    let (key, value) = Self::pair(&event.kv);
                    assert!(event.kv.mod_revision > self.revision || *is_synthetic);
                    let before = if event.event_type == EventType::Delete {
                        let before = self.state.remove(&key);
                        assert!(before.is_some(), "{key} is deleted and was not there");
                        before
                    } else {
                        self.state.insert(key, value)
                    };
                    let told = event.prev_kv.as_ref().map(|pair| Self::pair(pair).1);
                    assert_eq!(told, before.filter(|_| self.has_prev_kv));
                }
            }
            Observed::Progress { .. } => {}
        }
        self.revision = observed.revision();
    }

    fn pair(kv: &KeyValue) -> (String, (String, i64)) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&kv.key), (text(&kv.value), kv.mod_revision))
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

fn silence() -> Error {
    Timeout::new(TimeoutPhase::Response).into()
}

fn write_at_random(store: &mut Store, dice: &mut Dice, keys: u64) {
    let mut changes = BTreeMap::new();
    for _ in 0..=dice.below(3) {
        let key = format!("k{:04}", dice.below(keys));
        let value = (dice.below(3) > 0).then(|| format!("v{}", dice.below(1_000_000)));
        changes.insert(key, value);
    }
    store.write(changes.into_iter().collect());
}

/// Writes, compactions, lost pages, and watches that break, in any order; after each thing that is told, whoever applies
/// it has what the store held at that revision.
fn run(seed: u64) -> usize {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut store = Store::default();
    let keys = [3, 20, 2 * FIRST_PAGE_KEYS as u64][dice.below(3) as usize];
    let all = (0..keys).map(|key| (format!("k{key:04}"), Some("first".to_owned())));
    store.write(all.collect());
    let mut applied = Applied {
        has_prev_kv: dice.below(2) == 0,
        ..Applied::default()
    };
    let mut observation = Observation::new(prefix("k"));
    if applied.has_prev_kv {
        observation = observation.with_prev_kv();
    }
    let mut now = Instant::now();
    let mut watching_from = None;
    let mut agreed = 0;
    for round in 0..400 {
        let is_calm = round > 360;
        if !is_calm {
            match dice.below(8) {
                0 => store.compacted = store.revision(),
                1..4 => write_at_random(&mut store, &mut dice, keys),
                _ => {}
            }
        }
        // Seldom the case with many keys, and not worth the time.
        let is_agreed = |store: &Store| applied.state == store.at(store.revision());
        if keys < 100 && applied.revision > 0 && dice.below(4) == 0 && is_agreed(&store) {
            agreed = store.revision();
            observation.handle_agreement(agreed);
        }
        let told = match observation.poll_step(now) {
            ObservationStep::List(get) => match store.answer(&get) {
                _ if !is_calm && dice.below(10) == 0 => {
                    observation.handle_list_failed(now, silence(), dice.below(u64::MAX));
                    None
                }
                Ok(page) => observation.handle_page(page),
                Err(error) => {
                    observation.handle_list_failed(now, error, 0);
                    None
                }
            },
            ObservationStep::Watch { start_revision } => {
                if !is_calm && dice.below(10) == 0 {
                    observation.handle_watch_failed(now, silence(), 0);
                } else {
                    observation.handle_watching();
                    watching_from = Some(start_revision);
                }
                None
            }
            ObservationStep::Wait { until } => {
                now = until;
                None
            }
            ObservationStep::Idle => {
                let from = watching_from.unwrap();
                if from <= store.compacted {
                    // A watch that has been told everything is not concerned; another one has lost its history.
                    if from <= store.revision() {
                        observation.handle_compacted();
                        continue;
                    }
                }
                if !is_calm && dice.below(8) == 0 {
                    observation.handle_watch_failed(now, silence(), 0);
                    continue;
                }
                let to = (from + dice.below(4) as i64 - 1).min(store.revision());
                // Some of it for the second time.
                let from = from - dice.below(2) as i64;
                let events = (from.max(1)..=to)
                    .flat_map(|revision| store.events(revision))
                    .collect();
                watching_from = watching_from.map(|from| from.max(to + 1));
                observation.handle_events(to, events)
            }
            ObservationStep::Fail(error) => panic!("{error}"),
        };
        now += Duration::from_millis(10);
        if let Some(observed) = told {
            applied.apply(&observed);
            assert_eq!(
                applied.state,
                store.at(applied.revision),
                "at {}",
                applied.revision
            );
            if applied.revision < agreed {
                assert_eq!(applied.state, store.at(agreed), "older than what was agreed to");
            }
            assert_eq!(observation.revision(), applied.revision);
            assert_eq!(observation.key_count(), applied.state.len());
        }
    }
    assert_eq!(applied.revision, store.revision(), "it catches up");
    applied.synthetic
}

#[test]
fn whoever_applies_what_is_observed_has_what_the_store_held() {
    let synthetic: usize = (1..=400)
        .map(|seed| {
            std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|_| panic!("fails with seed {seed}"))
        })
        .sum();
    assert!(synthetic > 400, "only {synthetic} compactions were in the way");
}

#[test]
fn a_deletion_that_was_compacted_away_is_told_once() {
    let mut store = Store::default();
    store.write(vec![
        ("k1".into(), Some("v".into())),
        ("k2".into(), Some("v".into())),
    ]);
    let now = Instant::now();
    let mut observation = Observation::new(prefix("k")).with_prev_kv();
    let list = |observation: &mut Observation, store: &Store| {
        let ObservationStep::List(get) = observation.poll_step(now) else {
            panic!("it lists");
        };
        observation.handle_page(store.answer(&get).unwrap()).unwrap()
    };
    let first = list(&mut observation, &store);
    assert!(matches!(&first, Observed::Snapshot { revision: 1, kvs } if kvs.len() == 2));
    assert!(matches!(
        observation.poll_step(now),
        ObservationStep::Watch { start_revision: 2 }
    ));
    store.write(vec![("k1".into(), None)]);
    store.write(vec![("k2".into(), Some("w".into()))]);
    observation.handle_compacted();
    let Observed::Changes {
        revision: 3,
        events,
        is_synthetic: true,
    } = list(&mut observation, &store)
    else {
        panic!("a difference");
    };
    assert_eq!(
        (&events[0].event_type, &events[0].kv.key[..]),
        (&EventType::Delete, &b"k1"[..])
    );
    assert_eq!(
        (
            events[0].kv.mod_revision,
            &events[0].prev_kv.as_ref().unwrap().value[..]
        ),
        (3, &b"v"[..])
    );
    assert_eq!(
        (&events[1].event_type, &events[1].kv.value[..]),
        (&EventType::Put, &b"w"[..])
    );
    assert_eq!(&events[1].prev_kv.as_ref().unwrap().value[..], b"v");
    assert_eq!(events.len(), 2);
}

#[test]
fn what_nothing_can_mend_ends_it_and_everything_else_is_tried_again() {
    let now = Instant::now();
    let denied = || {
        Error::from(ServerError::new(
            Code::PermissionDenied,
            &EtcdError::PermissionDenied.to_string(),
        ))
    };
    let mut observation = Observation::new(prefix("k"));
    let _ = observation.poll_step(now);
    observation.handle_list_failed(now, silence(), 0);
    assert!(matches!(
        observation.status(),
        ObservationStatus::Interrupted { .. }
    ));
    let ObservationStep::Wait { until } = observation.poll_step(now) else {
        panic!("it pauses");
    };
    assert!(matches!(observation.poll_step(until), ObservationStep::List(_)));
    observation.handle_list_failed(until, denied(), 0);
    assert!(matches!(observation.poll_step(until), ObservationStep::Fail(_)));
    assert!(matches!(observation.status(), ObservationStatus::Over));
    assert!(matches!(observation.poll_step(until), ObservationStep::Idle));

    let mut observation = Observation::new(prefix("k"));
    let _ = observation.poll_step(now);
    let _ = observation.handle_page(GetResponse::default());
    let _ = observation.poll_step(now);
    observation.handle_watching();
    assert!(matches!(observation.status(), ObservationStatus::Following));
    observation.handle_watch_failed(now, denied(), 0);
    assert!(matches!(observation.poll_step(now), ObservationStep::Fail(_)));
}

#[test]
fn a_stale_token_ends_only_what_cannot_log_in() {
    let now = Instant::now();
    let stale = || {
        let message = EtcdError::InvalidAuthToken.to_string();
        Error::from(ServerError::new(Code::Unauthenticated, &message))
    };
    for logs_in in [false, true] {
        let mut listing = Observation::new(prefix("k")).with_login(logs_in);
        let _ = listing.poll_step(now);
        listing.handle_list_failed(now, stale(), 0);
        let has_failed = matches!(listing.poll_step(now), ObservationStep::Fail(_));
        assert_eq!(has_failed, !logs_in);
    }
}

#[test]
fn a_list_of_many_pages_is_one_snapshot() {
    let mut store = Store::default();
    for index in 0..1000 {
        store.write(vec![(format!("k{index:04}"), Some("v".into()))]);
    }
    let now = Instant::now();
    let mut observation = Observation::new(prefix("k"));
    let mut pages = 0;
    let snapshot = loop {
        let ObservationStep::List(get) = observation.poll_step(now) else {
            panic!("it lists");
        };
        assert!(
            matches!(observation.poll_step(now), ObservationStep::Idle),
            "one page at a time"
        );
        pages += 1;
        // What is written meanwhile is told later.
        store.write(vec![("k0000".into(), Some("later".into()))]);
        if let Some(observed) = observation.handle_page(store.answer(&get).unwrap()) {
            break observed;
        }
    };
    let Observed::Snapshot { revision: 1001, kvs } = snapshot else {
        panic!("a snapshot of the first page's revision");
    };
    assert!(kvs.len() == 1000 && pages > 2);
    assert_eq!(kvs[0].value, "later");
}

/// An observation that has told "k1" at revision 1, and what it is told next.
fn following(store: &mut Store) -> Observation {
    store.write(vec![("k1".into(), Some("v".into()))]);
    let now = Instant::now();
    let mut observation = Observation::new(prefix("k"));
    let ObservationStep::List(get) = observation.poll_step(now) else {
        panic!("it lists");
    };
    let _ = observation.handle_page(store.answer(&get).unwrap());
    let _ = observation.poll_step(now);
    observation.handle_watching();
    observation
}

#[test]
fn who_knows_that_a_key_is_gone_does_not_see_it_come() {
    let mut store = Store::default();
    let mut observation = following(&mut store);
    store.write(vec![("k2".into(), Some("v".into()))]);
    store.write(vec![("k3".into(), Some("v".into()))]);
    store.write(vec![("k2".into(), None)]);
    store.write(vec![("k3".into(), None)]);
    store.write(vec![("elsewhere".into(), Some("v".into()))]);
    // A read has found "k1" alone, as it was told.
    observation.handle_agreement(6);
    assert_eq!((observation.revision(), observation.key_count()), (1, 1));
    for revision in 2..=4 {
        assert_eq!(observation.handle_events(revision, store.events(revision)), None);
    }
    assert_eq!((observation.revision(), observation.key_count()), (1, 1));

    // A watch that breaks off meanwhile goes on after what was received.
    let now = Instant::now();
    observation.handle_watch_failed(now, silence(), 0);
    let ObservationStep::Wait { until } = observation.poll_step(now) else {
        panic!("it pauses");
    };
    assert!(matches!(
        observation.poll_step(until),
        ObservationStep::Watch { start_revision: 5 }
    ));
    observation.handle_watching();

    let Some(Observed::Changes {
        revision: 5,
        events,
        is_synthetic: false,
    }) = observation.handle_events(5, store.events(5))
    else {
        panic!("all of it, now that it amounts to nothing");
    };
    let revisions: Vec<_> = events.iter().map(|event| event.kv.mod_revision).collect();
    assert_eq!(revisions, [2, 3, 4, 5]);
    assert_eq!((observation.revision(), observation.key_count()), (5, 1));
}

#[test]
fn a_list_that_is_older_than_what_a_read_found_changes_nothing() {
    let mut store = Store::default();
    let mut observation = following(&mut store);
    store.write(vec![("k2".into(), Some("v".into()))]);
    assert_eq!(observation.handle_events(1, Vec::new()), None);
    observation.handle_compacted();
    let ObservationStep::List(get) = observation.poll_step(Instant::now()) else {
        panic!("it lists");
    };
    let listed = store.answer(&get).unwrap();
    assert_eq!(listed.kvs.len(), 2);
    store.write(vec![("k2".into(), None)]);
    observation.handle_agreement(3);
    let Some(Observed::Changes {
        revision: 3,
        events,
        is_synthetic: true,
    }) = observation.handle_page(listed)
    else {
        panic!("the agreed revision");
    };
    assert_eq!(events, []);
    assert!(matches!(
        observation.poll_step(Instant::now()),
        ObservationStep::Watch { start_revision: 4 }
    ));
}

#[test]
fn the_last_revision_there_can_be_is_no_reason_to_panic() {
    let mut observation = Observation::new(prefix("k/"));
    let now = Instant::now();
    let ObservationStep::List(_) = observation.poll_step(now) else {
        panic!("it lists first");
    };
    let mut page = GetResponse::default();
    page.header.revision = i64::MAX;
    assert!(observation.handle_page(page).is_some());
    let ObservationStep::Watch { start_revision } = observation.poll_step(now) else {
        panic!("it watches then");
    };
    assert_eq!(start_revision, i64::MAX);
}
