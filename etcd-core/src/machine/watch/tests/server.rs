//! The server, as etcd's sources describe it: its history, and the stream it serves.

use std::collections::{BTreeMap, VecDeque};

use super::chance::Chance;
use super::played::{canceled, created, refused_under, response};
use super::store::{Store, is_kept, is_wanted};
use crate::message::{Event, Watch, WatchCreate, WatchResponse};

/// How many revisions a server sends at a time to a watch that lies behind: 1000 in reality.
const REVISIONS_AT_A_TIME: usize = 3;

pub(super) struct Server {
    pub(super) store: Store,
    pub(super) stream: Option<ServerStream>,
    /// Whether it answers requests for progress past what waits to be sent.
    answers_at_once: bool,
}

/// The server's side of one stream.
#[derive(Default)]
pub(super) struct ServerStream {
    pub(super) watchers: BTreeMap<i64, Watcher>,
    /// Events and progress, in their order; what the server calls `watchStream.ch`.
    data: VecDeque<WatchResponse>,
    /// Creations and cancellations, in their order: `ctrlStream`. Which of the two is sent next is chance.
    control: VecDeque<WatchResponse>,
    /// What waits for the creation of its watch to be told.
    pending: BTreeMap<i64, Vec<WatchResponse>>,
    told: Vec<i64>,
    sent: VecDeque<WatchResponse>,
}

pub(super) struct Watcher {
    pub(super) create: WatchCreate,
    pub(super) next: i64,
    is_synced: bool,
}

impl Server {
    pub(super) fn new(answers_at_once: bool) -> Self {
        Self {
            store: Store::new(),
            stream: None,
            answers_at_once,
        }
    }

    /// Opens a stream, whose first message is this.
    pub(super) fn open(&mut self, first: Watch, chance: &mut Chance) {
        self.stream = Some(ServerStream::default());
        self.serve(first, chance);
    }

    /// Reads a message.
    pub(super) fn serve(&mut self, message: Watch, chance: &mut Chance) {
        let stream = self.stream.as_mut().expect("sent on no stream");
        let revision = self.store.revision();
        match message {
            Watch::Create(create) if create.key >= create.range_end => {
                let refusal = refused_under(-1, "mvcc: watcher range is empty");
                stream.control.push_back(refusal);
            }
            Watch::Create(create) => {
                let wire = create.watch_id;
                let is_synced = create.start_revision > revision;
                let watcher = Watcher {
                    next: create.start_revision,
                    is_synced,
                    create,
                };
                assert!(stream.watchers.insert(wire, watcher).is_none(), "an id again");
                stream.control.push_back(created(wire, revision));
            }
            Watch::Cancel(cancel) => {
                if stream.watchers.remove(&cancel.watch_id).is_some() {
                    stream.control.push_back(canceled(cancel.watch_id));
                }
            }
            Watch::Progress(_) => {
                let mut watchers = stream.watchers.values();
                if self.answers_at_once {
                    stream.control.push_back(response(-1, revision));
                } else if !stream.watchers.is_empty()
                    && watchers.all(|watcher| watcher.is_synced && watcher.create.start_revision <= revision)
                    && !chance.one_in(4)
                {
                    stream.data.push_back(response(-1, revision));
                }
            }
            Watch::Unknown => panic!("an empty message"),
        }
    }

    pub(super) fn write(&mut self, chance: &mut Chance) {
        self.store.write(chance);
        let revision = self.store.revision();
        let Some(stream) = &mut self.stream else { return };
        for (wire, watcher) in &mut stream.watchers {
            if !watcher.is_synced || watcher.next > revision {
                continue;
            }
            let events = self.store.matching(&watcher.create, revision, revision + 1);
            if events.is_empty() {
                continue;
            }
            if chance.one_in(5) {
                // Its channel is full: a victim, as the server calls it.
                watcher.is_synced = false;
                watcher.next = revision;
                continue;
            }
            watcher.next = revision + 1;
            let events = events
                .into_iter()
                .filter(|event| is_wanted(&watcher.create, event));
            push_events(
                &mut stream.data,
                *wire,
                revision,
                events.collect(),
                &watcher.create,
            );
        }
    }

    /// Serves the watches that lie behind, some of them.
    pub(super) fn sync(&mut self, chance: &mut Chance, is_calm: bool) {
        let Some(stream) = &mut self.stream else { return };
        let revision = self.store.revision();
        let mut compacted = Vec::new();
        for (wire, watcher) in &mut stream.watchers {
            if watcher.is_synced || (!is_calm && chance.one_in(3)) {
                continue;
            }
            if watcher.next < self.store.compacted {
                let mut message = canceled(*wire);
                message.header.revision = 0;
                message.compact_revision = self.store.compacted;
                stream.data.push_back(message);
                compacted.push(*wire);
                continue;
            }
            let mut events = self.store.matching(&watcher.create, watcher.next, revision + 1);
            let mut revisions: Vec<_> = events.iter().map(|event| event.kv.mod_revision).collect();
            revisions.dedup();
            match revisions.get(REVISIONS_AT_A_TIME) {
                Some(more) => {
                    watcher.next = *more;
                    events.retain(|event| event.kv.mod_revision < *more);
                }
                None => {
                    watcher.next = watcher.next.max(revision + 1);
                    watcher.is_synced = true;
                }
            }
            let is_sent =
                |event: &Event| is_wanted(&watcher.create, event) && is_kept(self.store.compacted, event);
            events.retain(is_sent);
            push_events(&mut stream.data, *wire, revision, events, &watcher.create);
        }
        for wire in compacted {
            stream.watchers.remove(&wire);
        }
    }

    /// Sends something, or nothing yet.
    pub(super) fn send(&mut self, chance: &mut Chance) {
        let Some(stream) = &mut self.stream else { return };
        if !chance.one_in(2) {
            return;
        }
        if chance.one_in(2)
            && let Some(message) = stream.control.pop_front()
        {
            let wire = message.watch_id;
            let is_created = message.created && !message.canceled;
            let is_gone = message.canceled && wire != -1;
            stream.sent.push_back(message);
            if is_gone {
                stream.told.retain(|told| *told != wire);
            } else if is_created {
                stream.told.push(wire);
                stream
                    .sent
                    .extend(stream.pending.remove(&wire).into_iter().flatten());
            }
        } else if let Some(message) = stream.data.pop_front() {
            let wire = message.watch_id;
            if wire == -1 || stream.told.contains(&wire) {
                if chance.one_in(30) && !message.events.is_empty() && !message.fragment {
                    // Servers were seen to do that.
                    stream.sent.push_back(message.clone());
                }
                stream.sent.push_back(message);
            } else {
                stream.pending.entry(wire).or_default().push(message);
            }
        }
    }

    /// What it sent, as it arrives.
    pub(super) fn arrival(&mut self) -> Option<WatchResponse> {
        self.stream.as_mut().and_then(|stream| stream.sent.pop_front())
    }
}

impl ServerStream {
    /// Whether all has arrived that there is for so many watches.
    pub(super) fn is_settled(&self, watches: usize) -> bool {
        self.data.is_empty()
            && self.control.is_empty()
            && self.sent.is_empty()
            && self.watchers.len() == watches
            && self.watchers.values().all(|watcher| watcher.is_synced)
    }
}

/// Puts events into the server's channel, in pieces of two where the watch allows it.
fn push_events(
    data: &mut VecDeque<WatchResponse>,
    wire: i64,
    revision: i64,
    mut events: Vec<Event>,
    create: &WatchCreate,
) {
    if events.is_empty() {
        return;
    }
    loop {
        let mut message = response(wire, revision);
        let rest = if create.fragment && events.len() > 2 {
            events.split_off(2)
        } else {
            Vec::new()
        };
        message.events = events;
        message.fragment = !rest.is_empty();
        data.push_back(message);
        if rest.is_empty() {
            return;
        }
        events = rest;
    }
}
