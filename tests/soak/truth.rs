//! What truly happened, told by the keys that are never written again.

use std::collections::HashMap;

use anyetcd::message::{Event, EventType};
use anyetcd::{Client, KeyValue, prefix};
use etcd_guarantees::History;

use crate::plan::{self, Change, Plan};

/// The whole history of the store, although most of it was compacted.
///
/// # Panics
///
/// If not every number is there exactly once, or the store holds anything else than what follows from them.
pub(crate) async fn history(client: &Client, plan: &Plan) -> History {
    let mut numbers: Vec<(i64, usize)> = Vec::new();
    let mut written = client.get(prefix("n/")).pages().unwrap().key_values();
    while let Some(kv) = written.try_next().await.unwrap() {
        assert_eq!(
            (kv.version, kv.create_revision),
            (1, kv.mod_revision),
            "applied again: {kv:?}"
        );
        let number = kv.key_str().and_then(|key| key.strip_prefix("n/")?.parse().ok());
        numbers.push((kv.create_revision, number.expect("a number's key")));
    }
    numbers.sort_unstable();
    assert_eq!(numbers.len(), plan.revisions, "a number is missing");

    let mut writer = Writer::default();
    for (revision, number) in numbers {
        writer.write(plan, number, revision);
    }
    let history = History::new(writer.events).unwrap_or_else(|incomplete| panic!("{incomplete}"));
    let (revision, range) = (history.revision(), plan::keys());
    let got = client.get(range.clone()).await.unwrap();
    assert_eq!(got.header.revision, revision);
    let expected: Vec<KeyValue> = history.pairs_at(&range, revision).into_values().collect();
    assert_eq!(got.kvs, expected, "the store is not what was written");
    history
}

/// Does what the server did.
#[derive(Default)]
struct Writer {
    events: Vec<Event>,
    /// The latest pair of each key that there is.
    pairs: HashMap<String, KeyValue>,
}

impl Writer {
    fn write(&mut self, plan: &Plan, number: usize, revision: i64) {
        self.put(plan::numbered(number), plan::BALLAST.to_owned(), revision);
        for change in plan.changes(number) {
            match change {
                Change::Put { key, value } => self.put(key, value, revision),
                Change::Delete { key } => self.delete(&key, revision),
            }
        }
    }

    fn put(&mut self, key: String, value: String, revision: i64) {
        let mut kv = KeyValue::default();
        kv.key = key.clone().into();
        kv.value = value.into();
        kv.mod_revision = revision;
        let previous = self.pairs.get(&key);
        (kv.version, kv.create_revision) = match previous {
            Some(previous) => (previous.version + 1, previous.create_revision),
            None => (1, revision),
        };
        self.pairs.insert(key, kv.clone());
        self.push(EventType::Put, kv);
    }

    fn delete(&mut self, key: &str, revision: i64) {
        if self.pairs.remove(key).is_some() {
            let mut kv = KeyValue::default();
            kv.key = key.to_owned().into();
            kv.mod_revision = revision;
            self.push(EventType::Delete, kv);
        }
    }

    fn push(&mut self, event_type: EventType, kv: KeyValue) {
        let mut event = Event::default();
        (event.event_type, event.kv) = (event_type, kv);
        self.events.push(event);
    }
}
