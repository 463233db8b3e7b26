//! A server played at random, as etcd's sources describe it, with everything that really happens: histories served in
//! parts, messages of one watch that wait for its creation to be told while others pass them, requests for progress that
//! go unanswered or are answered past what waits, cuts at any point, restarts, duplicates, compaction, consumers without
//! room. Whatever it does, the watches keep their promises.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::super::*;
use super::played::{broken, canceled, created, refused_under, response};
use crate::error::{ErrorKind, WatchError};
use crate::message::{Event, EventType, Watch, WatchCreate, WatchFilter, WatchResponse};

/// Random numbers from a seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 33) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

const KEYS: u8 = 4;
/// How many revisions a server sends at a time to a watch that lies behind: 1000 in reality.
const REVISIONS_AT_A_TIME: usize = 3;

/// The history, from revision 1 on: each revision with its changes.
struct Store {
    revisions: Vec<Vec<Event>>,
    compacted: i64,
}

impl Store {
    fn revision(&self) -> i64 {
        self.revisions.len() as i64
    }

    fn write(&mut self, chance: &mut Chance) {
        let revision = self.revision() + 1;
        let mut keys: Vec<u8> = (0..KEYS).filter(|_| chance.one_in(2)).collect();
        if keys.is_empty() {
            keys.push(0);
        }
        let events = keys.into_iter().map(|key| {
            let mut event = Event::default();
            event.kv.key = vec![key].into();
            event.kv.mod_revision = revision;
            if chance.one_in(3) {
                event.event_type = EventType::Delete;
            }
            event
        });
        self.revisions.push(events.collect());
    }

    fn matching(&self, create: &WatchCreate, from: i64, to: i64) -> Vec<Event> {
        let first = usize::try_from(from - 1).unwrap();
        let events = self.revisions.iter().skip(first).flatten();
        events
            .filter(|event| event.kv.mod_revision < to && contains(create, event))
            .cloned()
            .collect()
    }
}

/// Whether servers before 3.5.18 still have the event: not a deletion of the revision they compacted at.
fn is_kept(compacted: i64, event: &Event) -> bool {
    event.kv.mod_revision != compacted || event.event_type != EventType::Delete
}

fn contains(create: &WatchCreate, event: &Event) -> bool {
    create.key <= event.kv.key && event.kv.key < create.range_end
}

fn is_wanted(create: &WatchCreate, event: &Event) -> bool {
    let unwanted = match event.event_type {
        EventType::Put => WatchFilter::NoPut,
        _ => WatchFilter::NoDelete,
    };
    !create.filters.contains(&unwanted)
}

/// The server's side of one stream.
struct ServerStream {
    watchers: BTreeMap<i64, Watcher>,
    /// Events and progress, in their order; what the server calls `watchStream.ch`.
    data: VecDeque<WatchResponse>,
    /// Creations and cancellations, in their order: `ctrlStream`. Which of the two is sent next is chance.
    control: VecDeque<WatchResponse>,
    /// What waits for the creation of its watch to be told.
    pending: BTreeMap<i64, Vec<WatchResponse>>,
    told: Vec<i64>,
    sent: VecDeque<WatchResponse>,
}

struct Watcher {
    create: WatchCreate,
    next: i64,
    is_synced: bool,
}

/// A watch as its consumer knows it.
struct Consumer {
    create: WatchCreate,
    buffer: BatchBuffer,
    received: Vec<Event>,
    /// What the consumer was told: everything before it was seen.
    position: i64,
    is_over: bool,
    compacted: Option<(i64, i64)>,
}

impl Consumer {
    fn is_idle(&self) -> bool {
        self.is_over || self.buffer.is_empty()
    }
}

struct World {
    chance: Chance,
    now: Instant,
    store: Store,
    connection: WatchConnection,
    stream: Option<ServerStream>,
    is_opening: bool,
    consumers: BTreeMap<WatchId, Consumer>,
    answers_at_once: bool,
    is_calm: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let answers_at_once = chance.one_in(2);
        let store = Store {
            revisions: Vec::new(),
            compacted: 0,
        };
        Self {
            chance,
            now: Instant::now(),
            store,
            connection: WatchConnection::new(WatchMode::Duplex, WatchTimes::default(), 1 << 20),
            stream: None,
            is_opening: false,
            consumers: BTreeMap::new(),
            answers_at_once,
            is_calm: false,
        }
    }

    fn act(&mut self) {
        match self.chance.below(20) {
            0..4 => self.write(),
            4 if self.consumers.len() < 6 => self.watch(),
            5 => self.cancel_one(),
            6 => self.connection.handle_progress_request(),
            7 => self.cut(),
            8 if self.chance.one_in(8) => {
                let revision = self.chance.below(self.store.revision() as u64 + 1) as i64;
                // A watch that was asked to start right there loses deletions before it begins; one that the server is just
                // about to serve from there, without that anybody could tell (etcd's issue 19179).
                let starts = |consumer: &Consumer| consumer.create.start_revision == revision;
                let serves = |watcher: &Watcher| watcher.next == revision;
                let mut watchers = self.stream.iter().flat_map(|stream| stream.watchers.values());
                if !self.consumers.values().any(starts) && !watchers.any(serves) {
                    self.store.compacted = self.store.compacted.max(revision);
                }
            }
            9 => self.now += Duration::from_millis(self.chance.below(4000)),
            10..13 => self.consume(),
            13..16 => self.sync(),
            _ => self.deliver(),
        }
        self.drive();
    }

    fn write(&mut self) {
        self.store.write(&mut self.chance);
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
            if self.chance.one_in(5) {
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

    fn watch(&mut self) {
        let first = self.chance.below(u64::from(KEYS)) as u8;
        let end = first + 1 + self.chance.below(u64::from(KEYS - first)) as u8;
        let mut start = 1 + self.chance.below(self.store.revision() as u64 + 3) as i64;
        if start <= self.store.compacted {
            // There, deletions are lost before the watch begins.
            start = self.store.compacted + 1;
        }
        let keys = crate::key::KeyRange::from_parts(vec![first].into(), vec![end].into());
        let mut create = WatchCreate::new(keys).start_revision(start);
        if self.chance.one_in(3) {
            create = create.fragment();
        }
        match self.chance.below(4) {
            0 => create = create.filter(WatchFilter::NoPut),
            1 => create = create.filter(WatchFilter::NoDelete),
            _ => {}
        }
        let policy = match self.chance.below(4) {
            0 => BufferPolicy::Lag,
            _ => BufferPolicy::Wait,
        };
        let limits = BufferLimits {
            events: 6,
            bytes: usize::MAX / 8,
        };
        let id = self.connection.handle_create(create.clone(), WatchOrigin::Given);
        self.consumers.insert(
            id,
            Consumer {
                create,
                buffer: BatchBuffer::new(policy, limits),
                received: Vec::new(),
                position: start,
                is_over: false,
                compacted: None,
            },
        );
    }

    fn cancel_one(&mut self) {
        let ids: Vec<_> = self.consumers.keys().copied().collect();
        if !ids.is_empty() && self.chance.one_in(3) {
            let id = ids[self.chance.below(ids.len() as u64) as usize];
            self.connection.handle_cancel(id);
            self.check(id);
            self.consumers.remove(&id);
        }
    }

    fn cut(&mut self) {
        if self.is_calm || (self.stream.is_none() && !self.is_opening) {
            return;
        }
        self.stream = None;
        self.is_opening = false;
        let entropy = self.chance.next();
        self.connection.handle_closed(self.now, broken(), entropy);
    }

    /// Serves the watches that lie behind, some of them.
    fn sync(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let revision = self.store.revision();
        let mut compacted = Vec::new();
        for (wire, watcher) in &mut stream.watchers {
            if watcher.is_synced || (!self.is_calm && self.chance.one_in(3)) {
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

    /// The server sends something, or what it sent arrives.
    fn deliver(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        if self.chance.one_in(2) {
            if self.chance.one_in(2)
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
                    if self.chance.one_in(30) && !message.events.is_empty() && !message.fragment {
                        // Servers were seen to do that.
                        stream.sent.push_back(message.clone());
                    }
                    stream.sent.push_back(message);
                } else {
                    stream.pending.entry(wire).or_default().push(message);
                }
            }
        }
        for _ in 0..self.chance.below(3) {
            let Some(message) = self.stream.as_mut().and_then(|stream| stream.sent.pop_front()) else {
                return;
            };
            let entropy = self.chance.next();
            self.connection.handle_message(self.now, message, entropy);
            self.take_outputs();
        }
    }

    fn consume(&mut self) {
        let ids: Vec<_> = self.consumers.keys().copied().collect();
        for id in ids {
            if !self.is_calm && self.chance.one_in(2) {
                continue;
            }
            let consumer = self.consumers.get_mut(&id).unwrap();
            match consumer.buffer.take() {
                Some(Taken::Batch(batch)) => {
                    assert!(batch.from() >= consumer.position, "the batch before said more");
                    consumer.position = batch.position();
                    consumer.received.extend(batch.into_events());
                }
                Some(Taken::Position(position)) => {
                    assert!(position > consumer.position);
                    consumer.position = position;
                }
                Some(Taken::Lagged { position }) => {
                    assert!(position >= consumer.position);
                    consumer.is_over = true;
                }
                None => {}
            }
            if consumer.buffer.takes_more() {
                self.connection.handle_room(id);
            }
        }
    }

    fn take_outputs(&mut self) {
        while let Some((id, output)) = self.connection.poll_output() {
            if matches!(output, WatchOutput::Left) {
                continue;
            }
            let consumer = self.consumers.get_mut(&id).expect("it was not cancelled");
            match output {
                WatchOutput::Created | WatchOutput::Left => {}
                WatchOutput::Batch(batch) => match consumer.buffer.offer(batch) {
                    Offered::Taken => {}
                    Offered::Full { from } => self.connection.handle_full(id, from),
                    Offered::Lagged => self.connection.handle_cancel(id),
                },
                WatchOutput::Position(position) => consumer.buffer.offer_position(position),
                WatchOutput::Ended(error) => match error.kind() {
                    ErrorKind::Watch(WatchError::Compacted {
                        position,
                        compact_revision,
                    }) => consumer.compacted = Some((*position, *compact_revision)),
                    kind => panic!("{kind}"),
                },
            }
        }
    }

    /// Does what the connection wants.
    fn drive(&mut self) {
        loop {
            self.take_outputs();
            let entropy = self.chance.next();
            match self.connection.poll_step(self.now, entropy) {
                WatchStep::Open { first, .. } => {
                    if !self.is_calm && self.chance.one_in(4) {
                        self.connection.handle_closed(self.now, broken(), entropy);
                        continue;
                    }
                    self.is_opening = true;
                    self.stream = Some(ServerStream {
                        watchers: BTreeMap::new(),
                        data: VecDeque::new(),
                        control: VecDeque::new(),
                        pending: BTreeMap::new(),
                        told: Vec::new(),
                        sent: VecDeque::new(),
                    });
                    self.serve(first);
                    self.connection.handle_opened(self.now);
                    self.is_opening = false;
                }
                WatchStep::Send(message) => self.serve(message),
                WatchStep::Close => self.stream = None,
                WatchStep::Read(_) => {
                    let revision = self.store.revision();
                    self.connection.handle_read(self.now, Ok(revision), entropy);
                }
                WatchStep::FallBack => panic!("every stream that was opened got its head"),
                WatchStep::Wait { until } => {
                    if self.is_calm
                        && self.stream.is_none()
                        && let Some(until) = until
                    {
                        self.now = self.now.max(until);
                        continue;
                    }
                    return;
                }
            }
        }
    }

    /// The server reads a message.
    fn serve(&mut self, message: Watch) {
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
                    && !self.chance.one_in(4)
                {
                    stream.data.push_back(response(-1, revision));
                }
            }
            Watch::Unknown => panic!("an empty message"),
        }
    }

    /// What a consumer has received is its watch's history up to where it is: all of it, once, in order.
    fn check(&self, id: WatchId) {
        let consumer = &self.consumers[&id];
        let mut expected = self.store.matching(
            &consumer.create,
            consumer.create.start_revision,
            consumer.position,
        );
        expected.retain(|event| is_wanted(&consumer.create, event));
        assert_eq!(consumer.received, expected, "up to {}", consumer.position);
    }

    /// Whether nothing is left to do.
    fn is_settled(&self) -> bool {
        let Some(stream) = &self.stream else {
            return self.connection.is_empty() && self.consumers.values().all(Consumer::is_idle);
        };
        let alive = self
            .consumers
            .values()
            .filter(|consumer| consumer.compacted.is_none() && !consumer.is_over);
        stream.data.is_empty()
            && stream.control.is_empty()
            && stream.sent.is_empty()
            && stream.watchers.len() == alive.count()
            && stream.watchers.values().all(|watcher| watcher.is_synced)
            && self.consumers.values().all(Consumer::is_idle)
    }

    /// No more faults: everything that was written arrives, or the watch knows why not.
    fn settle(&mut self) {
        self.is_calm = true;
        let mut rounds = 0;
        while !self.is_settled() {
            self.sync();
            self.deliver();
            self.consume();
            self.drive();
            rounds += 1;
            assert!(rounds < 100_000, "it does not settle");
        }
        let ids: Vec<_> = self.consumers.keys().copied().collect();
        for id in ids {
            self.check(id);
            let consumer = &self.consumers[&id];
            let mut all = self
                .store
                .matching(&consumer.create, consumer.create.start_revision, i64::MAX);
            all.retain(|event| is_wanted(&consumer.create, event));
            match consumer.compacted {
                Some((position, compact_revision)) => {
                    assert!(position >= consumer.position && position <= compact_revision);
                }
                None if consumer.is_over => {}
                None => assert_eq!(consumer.received, all, "something is missing"),
            }
        }
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

/// Plays one world; returns how much happened, so that it can be seen to be a lot.
fn play(seed: u64) -> (usize, usize, usize) {
    let mut world = World::new(seed);
    for _ in 0..300 {
        world.act();
    }
    world.settle();
    let received = world.consumers.values().map(|consumer| consumer.received.len());
    let compacted = world
        .consumers
        .values()
        .filter(|consumer| consumer.compacted.is_some());
    let lagged = world.consumers.values().filter(|consumer| consumer.is_over);
    (received.sum(), compacted.count(), lagged.count())
}

#[test]
fn watches_keep_their_promises_whatever_happens() {
    let worlds: u64 = option_env!("WATCH_WORLDS").map_or(4000, |count| count.parse().unwrap());
    let mut happened = (0, 0, 0);
    for seed in 0..worlds {
        let played = std::panic::catch_unwind(|| play(seed));
        let (received, compacted, lagged) = played.unwrap_or_else(|_| panic!("seed {seed}"));
        happened = (happened.0 + received, happened.1 + compacted, happened.2 + lagged);
    }
    // If these were none, nothing would have been proved.
    assert!(
        happened.0 > 10_000 && happened.1 > 100 && happened.2 > 100,
        "{happened:?}"
    );
}
