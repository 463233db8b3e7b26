use super::*;

fn pair(key: &str, value: &str, create_revision: i64, mod_revision: i64) -> KeyValue {
    KeyValue {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        create_revision,
        mod_revision,
        ..KeyValue::default()
    }
}

fn put(key: &str, value: &str, create_revision: i64, mod_revision: i64) -> Event {
    Event {
        kv: pair(key, value, create_revision, mod_revision),
        ..Event::default()
    }
}

fn delete(key: &str, mod_revision: i64) -> Event {
    Event {
        event_type: EventType::Delete,
        kv: pair(key, "", 0, mod_revision),
        ..Event::default()
    }
}

fn changes(events: Vec<Event>) -> Observed {
    Observed::Changes {
        revision: events.last().unwrap().kv.mod_revision,
        events,
        is_synthetic: false,
    }
}

fn begun(revision: i64, kvs: Vec<KeyValue>) -> LeaderObservation {
    let mut observation = LeaderObservation::new(Bytes::from_static(b"boss"));
    observation.handle_observed(Observed::Snapshot { revision, kvs });
    observation
}

/// What is told: revisions, and who leads from then on with which proclamation.
fn told(observation: &mut LeaderObservation) -> Vec<(i64, Option<(String, String)>)> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    std::iter::from_fn(|| observation.poll_observed())
        .map(|observed| {
            let leader = observed.leader.map(|leader| leader.kv);
            (
                observed.revision,
                leader.map(|kv| (text(&kv.key), text(&kv.value))),
            )
        })
        .collect()
}

fn leads(key: &str, value: &str) -> Option<(String, String)> {
    Some((key.to_owned(), value.to_owned()))
}

#[test]
fn it_looks_below_the_name_and_not_at_names_that_begin_like_it() {
    let keys = LeaderObservation::new(Bytes::from_static(b"boss")).keys();
    assert!(keys.contains(b"boss/1f") && keys.contains(b"boss/"));
    for other in ["boss", "boss2/1f", "boss-/1f", "bos/1f"] {
        assert!(!keys.contains(other.as_bytes()), "{other}");
    }
    let any_bytes = LeaderObservation::new(Bytes::from_static(b"\xff\xff/\xff"));
    assert!(any_bytes.keys().contains(b"\xff\xff/\xff/1f"));
    assert!(!any_bytes.keys().contains(b"\xff\xff/\xff0"));
}

#[test]
fn the_present_is_told_first_also_if_nobody_leads() {
    assert_eq!(told(&mut begun(7, vec![])), [(7, None)]);
    let mut observation = begun(7, vec![pair("boss/1", "a", 6, 6), pair("boss/2", "b", 4, 5)]);
    assert_eq!(told(&mut observation), [(7, leads("boss/2", "b"))]);
    assert_eq!(observation.leader().unwrap().kv.create_revision, 4);
}

#[test]
fn each_proclamation_of_the_leader_is_told_and_none_of_those_who_wait() {
    let mut observation = begun(3, vec![pair("boss/1", "a", 2, 2)]);
    observation.handle_observed(changes(vec![
        put("boss/2", "x", 4, 4),
        put("boss/1", "b", 2, 5),
        put("boss/2", "y", 4, 6),
        // The same again is a proclamation too.
        put("boss/1", "b", 2, 7),
        delete("boss/2", 8),
    ]));
    assert_eq!(observation.revision(), 8);
    observation.handle_observed(Observed::Progress { revision: 20 });
    assert_eq!(observation.revision(), 20);
    assert_eq!(
        told(&mut observation),
        [
            (3, leads("boss/1", "a")),
            (5, leads("boss/1", "b")),
            (7, leads("boss/1", "b"))
        ]
    );
}

#[test]
fn a_revision_is_told_once_whatever_it_changes() {
    let mut observation = begun(3, vec![pair("boss/1", "a", 2, 2)]);
    observation.handle_observed(changes(vec![
        delete("boss/1", 4),
        put("boss/2", "b", 4, 4),
        delete("boss/2", 5),
        put("boss/3", "c", 5, 5),
        put("boss/4", "d", 6, 6),
        delete("boss/3", 7),
        delete("boss/4", 8),
        put("boss/1", "e", 9, 9),
    ]));
    assert_eq!(
        told(&mut observation),
        [
            (3, leads("boss/1", "a")),
            (4, leads("boss/2", "b")),
            (5, leads("boss/3", "c")),
            (7, leads("boss/4", "d")),
            (8, None),
            (9, leads("boss/1", "e")),
        ]
    );
}

#[test]
fn of_two_that_are_equally_old_the_lower_key_leads() {
    let mut observation = begun(3, vec![]);
    observation.handle_observed(changes(vec![put("boss/2", "b", 4, 4), put("boss/1", "a", 4, 4)]));
    assert_eq!(told(&mut observation)[1], (4, leads("boss/1", "a")));
}

#[test]
fn a_leader_comes_with_the_proof_of_its_leadership() {
    let mut of_lease = pair("boss/1f", "a", 2, 5);
    of_lease.lease = 0x1f;
    let observation = begun(6, vec![of_lease]);
    let proof = observation.leader().unwrap().leader_key();
    assert_eq!((&proof.name[..], &proof.key[..]), (&b"boss"[..], &b"boss/1f"[..]));
    assert_eq!((proof.revision, proof.lease), (2, 0x1f));
}

#[test]
fn after_a_compaction_it_tells_who_leads_now_if_that_is_anything_new() {
    let difference = |revision, events| Observed::Changes {
        revision,
        events,
        is_synthetic: true,
    };
    let mut observation = begun(3, vec![pair("boss/1", "a", 2, 2), pair("boss/2", "b", 3, 3)]);
    // Others came and went.
    observation.handle_observed(difference(
        10,
        vec![delete("boss/2", 10), put("boss/3", "c", 9, 9)],
    ));
    // The one that is told later is older, as its key is higher.
    observation.handle_observed(difference(
        20,
        vec![
            delete("boss/1", 20),
            put("boss/2", "b", 15, 15),
            put("boss/3", "d", 9, 14),
        ],
    ));
    // It resigned and won again, which only the create revision shows.
    observation.handle_observed(difference(
        30,
        vec![delete("boss/2", 30), put("boss/3", "d", 25, 25)],
    ));
    observation.handle_observed(difference(40, vec![]));
    let third = observation.leader().unwrap().leader_key();
    assert_eq!(third.revision, 25);
    let all: Vec<_> = std::iter::from_fn(|| observation.poll_observed()).collect();
    let synthetic: Vec<_> = all.iter().map(|told| told.is_synthetic).collect();
    assert_eq!(synthetic, [false, true, true]);
    let when: Vec<_> = all.iter().map(|told| told.revision).collect();
    assert_eq!(when, [3, 20, 30]);
    let created = |told: &ObservedLeader| told.leader.as_ref().unwrap().kv.create_revision;
    assert_eq!(all.iter().map(created).collect::<Vec<_>>(), [2, 9, 25]);
}

#[test]
fn what_is_told_holds_no_message_in_memory() {
    let message = Bytes::from(vec![b'x'; 1 << 20]);
    let mut kv = pair("boss/1", "", 2, 2);
    kv.value = message.slice(10..20);
    let observation = begun(3, vec![kv]);
    assert!(message.is_unique(), "the leader holds all of it");
    assert_eq!(observation.leader().unwrap().kv.value.len(), 10);
}

/// Candidates that come, go and proclaim at random, one or several a revision.
struct World {
    dice: u64,
    keys: BTreeMap<String, KeyValue>,
    revision: i64,
}

impl World {
    fn below(&mut self, bound: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) % bound
    }

    /// The events of one more revision.
    fn step(&mut self) -> Vec<Event> {
        self.revision += 1;
        let mut events = BTreeMap::new();
        for _ in 0..=self.below(3) {
            let key = format!("boss/{}", self.below(6));
            let leaves = self.below(2) == 0;
            let event = match self.keys.get(&key) {
                Some(_) if leaves => delete(&key, self.revision),
                Some(kv) => put(
                    &key,
                    &self.revision.to_string(),
                    kv.create_revision,
                    self.revision,
                ),
                None => put(&key, &self.revision.to_string(), self.revision, self.revision),
            };
            events.insert(key, event);
        }
        for (key, event) in &events {
            if event.event_type == EventType::Delete {
                self.keys.remove(key);
            } else {
                self.keys.insert(key.clone(), event.kv.clone());
            }
        }
        events.into_values().collect()
    }

    /// As etcd reads it: the first by create revision.
    fn leader(&self) -> Option<KeyValue> {
        let first = self
            .keys
            .iter()
            .min_by_key(|(key, kv)| (kv.create_revision, *key));
        first.map(|(_, kv)| kv.clone())
    }

    /// What a read finds that another one did not.
    fn difference(&self, before: &BTreeMap<String, KeyValue>) -> Vec<Event> {
        let gone = before.keys().filter(|key| !self.keys.contains_key(*key));
        let gone = gone.map(|key| delete(key, self.revision));
        let written = self.keys.iter().filter(|(key, kv)| before.get(*key) != Some(kv));
        let written = written.map(|(_, kv)| Event {
            kv: kv.clone(),
            ..Event::default()
        });
        let mut events: Vec<_> = gone.chain(written).collect();
        events.sort_by(|a, b| a.kv.key.cmp(&b.kv.key));
        events
    }
}

#[test]
fn whatever_happens_each_leader_is_told_at_the_revision_that_made_it_so() {
    for seed in 1..300 {
        let mut world = World {
            dice: u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15) | 1,
            keys: BTreeMap::new(),
            revision: 1,
        };
        for _ in 0..world.below(5) {
            let _ = world.step();
        }
        let mut expected = vec![(world.revision, world.leader(), false)];
        let mut observation = begun(world.revision, world.keys.values().cloned().collect());
        for _ in 0..60 {
            let is_synthetic = world.below(5) == 0;
            let known = world.keys.clone();
            let mut events = Vec::new();
            let mut last = expected.last().unwrap().1.clone();
            for _ in 0..=world.below(4) {
                events.extend(world.step());
                let leader = world.leader();
                if !is_synthetic && leader != last {
                    expected.push((world.revision, leader.clone(), false));
                    last = leader;
                }
            }
            if is_synthetic {
                events = world.difference(&known);
                if world.leader() != last {
                    expected.push((world.revision, world.leader(), true));
                }
            }
            observation.handle_observed(Observed::Changes {
                revision: world.revision,
                events,
                is_synthetic,
            });
            assert_eq!(
                observation.leader().map(|leader| leader.kv.clone()),
                world.leader()
            );
        }
        let told: Vec<_> = std::iter::from_fn(|| observation.poll_observed())
            .map(|told| {
                (
                    told.revision,
                    told.leader.map(|leader| leader.kv),
                    told.is_synthetic,
                )
            })
            .collect();
        assert_eq!(told, expected, "seed {seed}");
    }
}
