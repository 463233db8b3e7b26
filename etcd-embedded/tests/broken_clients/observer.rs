//! An observer by hand, right or wrong.
//!
//! ```text
//!   Listing ── the range at a revision ──▶ Watching from the next one ──┐ the stream ends: another member, from there
//!      ▲       (the first time as it is,       ▲                        │
//!      │        later what differs)            └────────────────────────┤
//!      └──────────────────────────── compacted ─────────────────────────┘
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use etcd_core::key::KeyRange;
use etcd_core::message::{Event, EventType, Get, KeyValue, WatchCreate, WatchResponse};
use etcd_core::runtime::Runtime as _;
use etcd_guarantees::ObserverRecorder;

use super::client::RawClient;
use super::messages::Messages;

/// What is wrong with an observer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObserveBug {
    #[default]
    None,
    /// After a list, it watches from the list's revision, and not from the next one.
    WatchesFromTheList,
    /// When it lists again after a compaction, it tells what is there, and not what is gone.
    ForgetsWhatIsGone,
    /// It lists again whenever a stream ends, and takes for changes what differs.
    ListsInsteadOfResuming,
}

pub struct Observer {
    client: RawClient,
    keys: KeyRange,
    bug: ObserveBug,
    recorder: ObserverRecorder,
    /// What has been told; `None` before the first list.
    told: Option<BTreeMap<Bytes, KeyValue>>,
    /// The first revision that has not been seen.
    position: i64,
}

/// Between a failure and the next attempt.
const PAUSE: Duration = Duration::from_millis(50);

impl Observer {
    pub fn new(client: RawClient, keys: KeyRange, bug: ObserveBug, recorder: ObserverRecorder) -> Self {
        Self {
            client,
            keys,
            bug,
            recorder,
            told: None,
            position: 0,
        }
    }

    /// Observes for ever.
    pub async fn run(mut self) {
        loop {
            self.list().await;
            while !self.watch().await && self.bug != ObserveBug::ListsInsteadOfResuming {
                self.move_on().await;
            }
        }
    }

    async fn move_on(&mut self) {
        self.client.move_on();
        self.client.sleep(PAUSE).await;
    }

    async fn list(&mut self) {
        let answer = loop {
            match self.client.call(&Get::new(self.keys.clone())).await {
                Ok(answer) => break answer,
                Err(_) => self.move_on().await,
            }
        };
        let now = self.client.runtime.now();
        let revision = answer.header.revision;
        let listed: BTreeMap<_, _> = answer
            .kvs
            .into_iter()
            .map(|pair| (pair.key.clone(), pair))
            .collect();
        match self.told.take() {
            None => self.recorder.snapshot(now, revision, listed.values().cloned()),
            Some(told) => {
                let events = self.difference(&told, &listed, revision);
                if self.bug == ObserveBug::ListsInsteadOfResuming {
                    self.recorder.changes(now, events);
                } else {
                    self.recorder.difference(now, revision, events);
                }
            }
        }
        self.told = Some(listed);
        self.position = match self.bug {
            ObserveBug::WatchesFromTheList => revision,
            _ => revision + 1,
        };
    }

    fn difference(
        &self,
        told: &BTreeMap<Bytes, KeyValue>,
        listed: &BTreeMap<Bytes, KeyValue>,
        revision: i64,
    ) -> Vec<Event> {
        let changed = |pair: &&KeyValue| told.get(&pair.key) != Some(*pair);
        let puts = listed.values().filter(changed).map(|pair| {
            let mut event = Event::default();
            event.kv = pair.clone();
            event
        });
        let gone = told.keys().filter(|key| !listed.contains_key(*key)).map(|key| {
            let mut event = Event::default();
            event.event_type = EventType::Delete;
            (event.kv.key, event.kv.mod_revision) = (key.clone(), revision);
            event
        });
        if self.bug == ObserveBug::ForgetsWhatIsGone {
            return puts.collect();
        }
        puts.chain(gone).collect()
    }

    /// One stream, from its beginning to its end; `true` if history was compacted.
    async fn watch(&mut self) -> bool {
        let create = WatchCreate::new(self.keys.clone())
            .start_revision(self.position)
            .watch_id(1)
            .progress_notify();
        let Some(mut messages) = Messages::open(&self.client, create).await else {
            return false;
        };
        while let Some(message) = messages.next().await {
            if message.compact_revision != 0 {
                return true;
            }
            if message.canceled {
                return false;
            }
            self.take(message);
        }
        false
    }

    fn take(&mut self, message: WatchResponse) {
        let now = self.client.runtime.now();
        let (revision, is_created) = (message.header.revision, message.created);
        let mut events = message.events;
        events.retain(|event| event.kv.mod_revision >= self.position);
        if let Some(last) = events.last() {
            self.position = last.kv.mod_revision + 1;
            let told = self.told.get_or_insert_default();
            for event in &events {
                let kv = &event.kv;
                match event.event_type {
                    EventType::Delete => told.remove(&kv.key),
                    _ => told.insert(kv.key.clone(), kv.clone()),
                };
            }
            self.recorder.changes(now, events);
        } else if !is_created && revision >= self.position {
            self.position = revision + 1;
            self.recorder.progress(now, revision);
        }
    }
}
