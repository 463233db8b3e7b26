//! Locks and elections with several who want the same, and leases that end by themselves.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_core::message::*;
use etcd_core::rpc::Request;
use etcd_embedded::ExchangeId;

use super::Plan;
use super::generator::Generator;
use super::http::{Connection, PATIENCE};
use super::pair::{Answer, Ask, Pair};
use super::streams::Stream;

const LOCK: &str = "lock";
const ELECTION: &str = "election";
const LEASES: u64 = 5;
/// None that ends by itself while the comparison runs.
const LONG_TTL: i64 = 1_000_000;
/// Ends by itself, but not before what belongs to it is put on a machine that is busy.
const SHORT_TTL: u32 = 5;

pub fn compare(plan: Plan) {
    let mut run = Run {
        pair: Pair::start(plan),
        generator: Generator::new(plan.seed),
        waiting: Vec::new(),
    };
    for lease in 1..=LEASES.cast_signed() {
        run.ask(&LeaseGrant::new(LONG_TTL).id(lease));
    }
    for _ in 0..plan.steps {
        run.pair.step();
        run.step();
        run.compare();
    }
    run.waiting.clear();
    run.expiry();
    run.pair.finish("contests");
}

struct Run {
    pair: Pair,
    generator: Generator,
    /// Calls that have no answer yet, by what they want and their lease.
    waiting: Vec<Waiting>,
}

struct Waiting {
    ask: Ask,
    name: &'static str,
    lease: i64,
    here: ExchangeId,
    there: Receiver<Answer>,
    connection: std::net::TcpStream,
}

impl Run {
    fn ask(&mut self, request: &impl Request) {
        self.pair.ask(&Ask::of(request));
    }

    fn step(&mut self) {
        let lease = 1 + self.generator.small(LEASES);
        match self.generator.below(16) {
            0..=3 => self.contend(LOCK, lease, &Lock::new(LOCK, lease)),
            4..=6 => {
                let value = self.generator.key();
                self.contend(ELECTION, lease, &Campaign::new(ELECTION, lease, value));
            }
            7 | 8 => self.ask(&Unlock::new(contestant(LOCK, lease))),
            9 => {
                let leader = self.leader_key(lease);
                self.ask(&Resign::new(leader));
            }
            10 => {
                let (leader, value) = (self.leader_key(lease), self.generator.key());
                self.ask(&Proclaim::new(leader, value));
            }
            11 => self.ask(&Leader::new(ELECTION)),
            12 => {
                self.ask(&LeaseRevoke::new(lease));
                self.ask(&LeaseGrant::new(LONG_TTL).id(lease));
            }
            13 => self.ask(&Delete::new(contestant(ELECTION, lease))),
            14 if !self.waiting.is_empty() => {
                let number = self.generator.below(self.waiting.len() as u64);
                let gone = self.waiting.remove(usize::try_from(number).unwrap());
                self.give_up(&gone);
            }
            _ => self.ask(&Put::new("elsewhere", "")),
        }
    }

    /// Begins a call that may have to wait, unless one of the same lease waits already.
    fn contend(&mut self, name: &'static str, lease: i64, request: &impl Request) {
        if self
            .waiting
            .iter()
            .any(|call| (call.name, call.lease) == (name, lease))
        {
            return;
        }
        let ask = Ask::of(request);
        let here = self.pair.here.open(&ask);
        self.pair.here.end(here);
        let mut connection = Connection::new(self.pair.server.client_addr());
        let stream = connection.stream();
        stream.set_read_timeout(None).unwrap();
        let (sender, there) = channel();
        let asked = ask.clone();
        std::thread::spawn(move || {
            if let Some(answer) = connection.try_ask(&asked) {
                let _ = sender.send(answer);
            }
        });
        self.waiting.push(Waiting {
            ask,
            name,
            lease,
            here,
            there,
            connection: stream,
        });
    }

    /// Ends a call from outside. Its server deletes the key that it waits with, if need be one that was put anew meanwhile: that
    /// is over before anything else happens.
    fn give_up(&mut self, call: &Waiting) {
        let handled = "grpc_server_handled_total";
        let before = self.pair.server.metric(handled).unwrap_or_default();
        call.connection.shutdown(std::net::Shutdown::Both).unwrap();
        self.pair.server.wait_for_metric(handled, |count| count > before);
        self.pair.here.close(call.here);
    }

    /// The key of a lease's candidate, as it is now.
    fn leader_key(&mut self, lease: i64) -> LeaderKey {
        let mut leader = LeaderKey::default();
        leader.key = contestant(ELECTION, lease);
        leader.lease = lease;
        let found = self.pair.ask(&Ask::of(&Get::new(&leader.key)));
        if let Some(created) = found["kvs"][0]["create_revision"].as_str() {
            leader.revision = created.parse().unwrap();
        }
        leader
    }

    /// Waits until there as much has happened as here, and compares what has been answered by then.
    fn compare(&mut self) {
        let here = self.pair.here.gateway.server().store().revision();
        self.wait_for_revision(here);
        for call in std::mem::take(&mut self.waiting) {
            let context = format!("{}, {}", self.pair.context(), call.ask);
            match self.pair.here.answer(call.here) {
                Some(here) => {
                    let there = call.there.recv_timeout(PATIENCE);
                    let there = there.unwrap_or_else(|_| panic!("{context}: no answer there, here {here:?}"));
                    self.pair.assert_same(&call.ask, &there, &here);
                }
                None => match call.there.try_recv() {
                    Ok(there) => panic!("{context}: no answer here, there {there:?}"),
                    Err(TryRecvError::Empty) => self.waiting.push(call),
                    Err(TryRecvError::Disconnected) => panic!("{context}: the connection broke there"),
                },
            }
        }
    }

    fn wait_for_revision(&mut self, here: i64) {
        let get = Ask::of(&Get::new("elsewhere"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.pair.there.ask(&get);
            let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            let there: i64 = answer["header"]["revision"].as_str().unwrap().parse().unwrap();
            if there == here {
                return;
            }
            assert!(
                there < here && Instant::now() < deadline,
                "{}: at revision {there} there, {here} here",
                self.pair.context()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A lease that nobody keeps alive ends, and takes its keys with it in one revision.
    fn expiry(&mut self) {
        let watch = Ask::at("/v3/watch", &Watch::from(WatchCreate::new(..).prev_kv()));
        let mut watch = Stream::open(&mut self.pair, &watch, &watch);
        // What is put goes over another connection, and would come before it on a server that is slow to read.
        watch.compare(&mut self.pair);
        for lease in 101..=102 {
            self.ask(&LeaseGrant::new(SHORT_TTL.into()).id(lease));
            for key in ["a", "b"] {
                self.ask(&Put::new(key, "").lease(lease));
            }
            self.pair.here.pass(Duration::from_secs(2 * u64::from(SHORT_TTL)));
            let here = self.pair.here.gateway.server().store().revision();
            self.wait_for_revision(here);
            watch.compare(&mut self.pair);
            self.ask(&LeaseTimeToLive::new(lease).keys());
        }
    }
}

/// The key of a contestant is named after its lease.
fn contestant(name: &str, lease: i64) -> Bytes {
    format!("{name}/{lease:x}").into()
}
