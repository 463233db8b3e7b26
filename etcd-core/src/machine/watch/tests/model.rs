//! Watches against a [server](super::server) that is played at random, with everything that really happens: histories
//! served in parts, messages of one watch that wait for its creation to be told while others pass them, requests for
//! progress that go unanswered or are answered past what waits, cuts at any point, restarts, duplicates, compaction,
//! consumers without room. Whatever it does, the watches keep their promises.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::{
    BatchBuffer, BufferLimits, BufferPolicy, Offered, Taken, WatchConnection, WatchId, WatchMode,
    WatchOrigin, WatchOutput, WatchStep, WatchTimes,
};
use super::chance::Chance;
use super::played::broken;
use super::server::{Server, Watcher};
use super::store::{KEYS, is_wanted};
use crate::error::{ErrorKind, WatchError};
use crate::key::KeyRange;
use crate::message::{Event, WatchCreate, WatchFilter};

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
    server: Server,
    connection: WatchConnection,
    is_opening: bool,
    consumers: BTreeMap<WatchId, Consumer>,
    is_calm: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let server = Server::new(chance.one_in(2));
        Self {
            chance,
            now: Instant::now(),
            server,
            connection: WatchConnection::new(WatchMode::Duplex, WatchTimes::default(), 1 << 20),
            is_opening: false,
            consumers: BTreeMap::new(),
            is_calm: false,
        }
    }

    fn act(&mut self) {
        match self.chance.below(20) {
            0..4 => self.server.write(&mut self.chance),
            4 if self.consumers.len() < 6 => self.watch(),
            5 => self.cancel_one(),
            6 => self.connection.handle_progress_request(),
            7 => self.cut(),
            8 if self.chance.one_in(8) => {
                let revision = self.chance.below(self.server.store.revision() as u64 + 1) as i64;
                // A watch that the server is just about to serve from there loses deletions, without that anybody could
                // tell (etcd's issue 19179).
                let serves = |watcher: &Watcher| watcher.next == revision;
                let mut watchers = self
                    .server
                    .stream
                    .iter()
                    .flat_map(|stream| stream.watchers.values());
                // And nothing is written at revision 1, the first one there is.
                if revision > 1 && !watchers.any(serves) {
                    self.server.store.compacted = self.server.store.compacted.max(revision);
                }
            }
            9 => self.now += Duration::from_millis(self.chance.below(4000)),
            10..13 => self.consume(),
            13..16 => self.server.sync(&mut self.chance, self.is_calm),
            _ => self.deliver(),
        }
        self.drive();
    }

    fn watch(&mut self) {
        let first = self.chance.below(u64::from(KEYS)) as u8;
        let end = first + 1 + self.chance.below(u64::from(KEYS - first)) as u8;
        let mut start = 1 + self.chance.below(self.server.store.revision() as u64 + 3) as i64;
        if start <= self.server.store.compacted {
            // There, deletions are lost before the watch begins.
            start = self.server.store.compacted + 1;
        }
        let keys = KeyRange::from_parts(vec![first].into(), vec![end].into());
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
        if self.is_calm || (self.server.stream.is_none() && !self.is_opening) {
            return;
        }
        self.server.stream = None;
        self.is_opening = false;
        let entropy = self.chance.next();
        self.connection.handle_closed(self.now, broken(), entropy);
    }

    /// The server sends something, and what it sent arrives.
    fn deliver(&mut self) {
        if self.server.stream.is_none() {
            return;
        }
        self.server.send(&mut self.chance);
        for _ in 0..self.chance.below(3) {
            let Some(message) = self.server.arrival() else {
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
                    self.server.open(first, &mut self.chance);
                    self.connection.handle_opened(self.now);
                    self.is_opening = false;
                }
                WatchStep::Send(message) => self.server.serve(message, &mut self.chance),
                WatchStep::Close => self.server.stream = None,
                WatchStep::Read(_) => {
                    let revision = self.server.store.revision();
                    self.connection.handle_read(self.now, Ok(revision), entropy);
                }
                WatchStep::FallBack => panic!("every stream that was opened got its head"),
                WatchStep::Wait { until } => {
                    if self.is_calm
                        && self.server.stream.is_none()
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

    /// What a consumer has received is its watch's history up to where it is: all of it, once, in order.
    fn check(&self, id: WatchId) {
        let consumer = &self.consumers[&id];
        let mut expected = self.server.store.matching(
            &consumer.create,
            consumer.create.start_revision,
            consumer.position,
        );
        expected.retain(|event| is_wanted(&consumer.create, event));
        assert_eq!(consumer.received, expected, "up to {}", consumer.position);
    }

    /// Whether nothing is left to do.
    fn is_settled(&self) -> bool {
        let Some(stream) = &self.server.stream else {
            return self.connection.is_empty() && self.consumers.values().all(Consumer::is_idle);
        };
        let alive = self
            .consumers
            .values()
            .filter(|consumer| consumer.compacted.is_none() && !consumer.is_over);
        stream.is_settled(alive.count()) && self.consumers.values().all(Consumer::is_idle)
    }

    /// No more faults: everything that was written arrives, or the watch knows why not.
    fn settle(&mut self) {
        self.is_calm = true;
        let mut rounds = 0;
        while !self.is_settled() {
            self.server.sync(&mut self.chance, self.is_calm);
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
            let mut all =
                self.server
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
