//! Several streams with several watches each, with every option there is, while keys change and history goes.

use std::time::Duration;

use bytes::Bytes;
use etcd_core::codec::to_json;
use etcd_core::message::*;
use etcd_embedded::Config;

use super::Plan;
use super::generator::Generator;
use super::keys::kills_servers;
use super::pair::{Ask, FOR_EVER, Pair};
use super::streams::Stream;

const PATH: &str = "/v3/watch";
const MAX_STREAMS: usize = 3;
const MAX_REQUEST_BYTES: u32 = 100_000;
/// More revisions than one message of a catch-up holds.
const EARLY_REVISIONS: usize = 1100;
/// Longer than it takes to catch up with all history.
const WHILE_CATCHING_UP: Duration = Duration::from_secs(5);

pub fn compare(plan: Plan) {
    let mut run = Run {
        pair: Pair::start_with(
            plan,
            |builder| {
                builder
                    .max_request_bytes(MAX_REQUEST_BYTES)
                    .watch_progress_notify_interval(FOR_EVER)
            },
            // Time passes faster here.
            Config::new()
                .max_request_bytes(MAX_REQUEST_BYTES as usize)
                .watch_progress_notify_interval(FOR_EVER * 1000),
        ),
        generator: Generator::new(plan.seed),
        streams: Vec::new(),
    };
    for _ in 0..EARLY_REVISIONS {
        let put = Put::new(run.generator.key(), "early");
        run.pair.ask(&Ask::of(&put));
    }
    for _ in 0..plan.steps {
        run.pair.step();
        run.step();
        run.compare();
    }
    // Whatever should not have come has come before this.
    for stream in 0..run.streams.len() {
        run.say(stream, &WatchCreate::new("end").watch_id(1000).into());
    }
    // The put goes over another connection, and would come before them on a server that is slow to read.
    run.compare();
    run.pair.ask(&Ask::of(&Put::new("end", "")));
    run.compare();
    run.pair.finish("watches");
}

struct Run {
    pair: Pair,
    generator: Generator,
    streams: Vec<Stream>,
}

impl Run {
    fn step(&mut self) {
        match self.generator.below(40) {
            0..=9 => {
                let message = self.create().into();
                self.say_somewhere(&message);
            }
            10..=12 => {
                let message = WatchCancel::new(self.generator.small(7)).into();
                self.say_somewhere(&message);
            }
            13..=15 => {
                self.wait_until_caught_up();
                self.say_somewhere(&WatchProgress::default().into());
            }
            16 if !self.streams.is_empty() => {
                let stream = self.generator.below(self.streams.len() as u64);
                let stream = self.streams.remove(usize::try_from(stream).unwrap());
                stream.close(&mut self.pair);
            }
            17 => {
                self.wait_until_caught_up();
                let revision = self.pair.revision - self.generator.small(30);
                self.ask(&Ask::of(&Compact::new(revision).physical()));
            }
            18 => {
                let mut put = self.generator.put();
                (put.ignore_value, put.value) = (false, Bytes::from(vec![b'v'; 70_000]));
                self.ask(&Ask::of(&put));
            }
            19..=24 => {
                let delete = self.generator.delete();
                self.ask(&Ask::of(&delete));
            }
            25..=31 => {
                let txn = self.generator.txn(self.pair.revision, 1);
                if !kills_servers(&txn) {
                    let txn = super::keys::without_ties(txn);
                    self.ask(&Ask::of(&txn));
                }
            }
            _ => {
                let put = self.generator.put();
                self.ask(&Ask::of(&put));
            }
        }
    }

    fn ask(&mut self, ask: &Ask) {
        self.pair.ask(ask);
    }

    /// Nobody hears when a watch that there is nothing to tell has caught up, but what then becomes of it depends on it.
    fn wait_until_caught_up(&mut self) {
        let unsynced = "etcd_debugging_mvcc_slow_watcher_total";
        self.pair.server.wait_for_metric(unsynced, |count| count == 0.0);
    }

    fn create(&mut self) -> WatchCreate {
        let generator = &mut self.generator;
        let mut create = WatchCreate::default();
        if !generator.one_in(20) {
            create.key = generator.key();
        }
        create.range_end = generator.range_end(&create.key);
        let revision = self.pair.revision;
        create.start_revision = match generator.below(16) {
            0..=6 => 0,
            7..=10 => (revision - generator.small(40)).max(1),
            11 => 1,
            12 => revision + 1 + generator.small(4),
            13 => (revision - generator.small(1200)).max(1),
            14 => -generator.small(3),
            _ => i64::MAX,
        };
        for _ in 0..generator.below(3) {
            if generator.one_in(3) {
                create.filters.push(if generator.one_in(2) {
                    WatchFilter::NoPut
                } else {
                    WatchFilter::NoDelete
                });
            }
        }
        create.prev_kv = generator.one_in(3);
        create.progress_notify = generator.one_in(4);
        create.fragment = generator.one_in(3);
        if generator.one_in(2) {
            create.watch_id = generator.small(7);
        }
        create
    }

    fn say_somewhere(&mut self, message: &Watch) {
        let stream = self.generator.below(MAX_STREAMS as u64);
        let stream = usize::try_from(stream).unwrap();
        if stream < self.streams.len() {
            self.say(stream, message);
        } else {
            let ask = Ask::at(PATH, message);
            self.streams.push(Stream::open(&mut self.pair, &ask, &ask));
        }
    }

    fn say(&mut self, stream: usize, message: &Watch) {
        self.streams[stream].say(&mut self.pair, &to_json(message));
    }

    fn compare(&mut self) {
        self.pair.here.pass(WHILE_CATCHING_UP);
        for stream in &mut self.streams {
            stream.compare(&mut self.pair);
        }
    }
}
