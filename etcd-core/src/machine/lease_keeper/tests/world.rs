//! A server that expires leases, a network with faults, and a clock, around one keeper.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::{KeeperStep, LeaseKeeper, LeaseKey, LeaseState};
use crate::error::{Code, Error, ErrorKind, EtcdError, LostReason, ServerError};
use crate::transport::{Delivery, TransportError, TransportErrorKind};

/// 64 bits that follow from those before them (xorshift).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.roll() >> 11) % bound
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }
}

/// What the network does at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    Up,
    /// Connections break, and new ones are refused.
    Refusing,
    /// What is sent vanishes, and nobody is told.
    BlackHole,
    /// What is sent arrives when this is over, as at a server that was stopped.
    Frozen,
}

#[derive(Clone, Debug)]
enum Event {
    /// A renewal reaches the server.
    Arrive {
        stream: Option<u64>,
        key: Option<LeaseKey>,
        id: i64,
        sent_at: Instant,
    },
    /// An answer reaches the client, by its stream or alone.
    Answer {
        stream: Option<u64>,
        key: Option<LeaseKey>,
        id: i64,
        ttl: i64,
        sent_at: Instant,
    },
    Broken {
        stream: u64,
    },
    AloneFailed {
        key: LeaseKey,
    },
    GiveUpOpening {
        stream: u64,
    },
    GiveUpAlone {
        key: LeaseKey,
    },
    /// The driver's timer.
    Wake,
    Set(Network),
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) start: Instant,
    pub(super) keeper: LeaseKeeper,
    pub(super) dice: Dice,
    /// When each lease expires on the server, by a clock that runs a little faster than the client's.
    pub(super) server: BTreeMap<i64, (Duration, Instant)>,
    pub(super) network: Network,
    /// Streams that work or not; single exchanges always do.
    pub(super) duplex_works: bool,
    /// A lease whose renewals the server refuses.
    pub(super) refused: Option<i64>,
    /// Until when the driver does not run.
    pub(super) asleep_until: Option<Instant>,
    events: BTreeMap<(Instant, u64), Event>,
    next: u64,
    stream: Option<u64>,
    opened: bool,
    streams: u64,
    /// Answers in the client's buffers while it sleeps.
    pub(super) one_way: (u64, u64),
    pub(super) opens: u32,
    pub(super) wakes: u32,
    pub(super) sent_on_streams: u32,
    pub(super) sent_alone: u32,
    frozen: Vec<Event>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            start: now,
            keeper: LeaseKeeper::new(Duration::from_secs(3)),
            dice: Dice::new(seed),
            server: BTreeMap::new(),
            network: Network::Up,
            duplex_works: true,
            refused: None,
            asleep_until: None,
            events: BTreeMap::new(),
            next: 0,
            stream: None,
            opened: false,
            streams: 0,
            one_way: (1, 5),
            opens: 0,
            wakes: 0,
            sent_on_streams: 0,
            sent_alone: 0,
            frozen: Vec::new(),
        }
    }

    /// Grants a lease, as a call beside the keeper does.
    pub(super) fn grant(&mut self, id: i64, ttl: u64) -> LeaseKey {
        let sent_at = self.now;
        let time = faster(Duration::from_secs(ttl));
        self.server.insert(id, (Duration::from_secs(ttl), sent_at + time));
        self.keeper.handle_lease(id, sent_at, ttl as i64)
    }

    pub(super) fn at(&mut self, after: Duration, network: Network) {
        self.schedule(self.start + after, Event::Set(network));
    }

    pub(super) fn state(&self, key: LeaseKey) -> LeaseState {
        self.keeper.state(key, self.now).unwrap()
    }

    pub(super) fn reason(&self, key: LeaseKey) -> LostReason {
        self.state(key).lost().expect("lost").clone()
    }

    /// Whether the server has the lease at this very moment; a server may expire it the moment it can.
    pub(super) fn server_has(&self, id: i64) -> bool {
        self.server.get(&id).is_some_and(|(_, expiry)| self.now < *expiry)
    }

    /// Runs until this time after the start; calls `check` whenever something has happened, and in between.
    pub(super) fn run_until(&mut self, after: Duration, mut check: impl FnMut(&mut Self)) {
        let end = self.start + after;
        loop {
            self.drive();
            check(self);
            let next = self.events.keys().next().copied();
            let Some(key) = next.filter(|(at, _)| *at <= end) else {
                break;
            };
            // Holders look at any time, not just when something happens.
            let between = self.now + (key.0 - self.now) / 2;
            (self.now, _) = (between, check(self));
            self.now = key.0;
            if let Some(event) = self.events.remove(&key) {
                self.handle(event);
            }
        }
        self.now = end;
        check(self);
    }

    fn handle(&mut self, event: Event) {
        let is_asleep = self.asleep_until.is_some_and(|until| self.now < until);
        match event {
            Event::Set(network) => {
                self.network = network;
                if network == Network::Refusing {
                    self.break_stream();
                }
                if network != Network::Frozen {
                    for event in std::mem::take(&mut self.frozen) {
                        let delay = self.dice.millis(0, 3);
                        self.schedule(self.now + delay, event);
                    }
                }
            }
            Event::Arrive {
                stream,
                key,
                id,
                sent_at,
            } => match self.network {
                Network::Up => self.serve(stream, key, id, sent_at),
                Network::Frozen => self.frozen.push(Event::Arrive {
                    stream,
                    key,
                    id,
                    sent_at,
                }),
                Network::Refusing | Network::BlackHole => {}
            },
            // Whatever reaches a process that sleeps waits in its buffers.
            event if is_asleep => {
                let wake = self.asleep_until.unwrap();
                self.schedule(wake, event);
            }
            Event::Answer {
                stream: Some(stream),
                id,
                ttl,
                ..
            } if self.stream == Some(stream) => {
                if !self.opened {
                    self.opened = true;
                    self.keeper.handle_opened(self.now);
                }
                self.keeper.handle_answer(self.now, id, ttl);
            }
            Event::Answer {
                stream: None,
                key: Some(key),
                ttl,
                sent_at,
                ..
            } => {
                self.events.retain(
                    |_, event| !matches!(event, Event::GiveUpAlone { key: other, .. } if *other == key),
                );
                self.keeper.handle_renewed(self.now, key, sent_at, ttl);
            }
            Event::Answer { .. } => {}
            Event::Broken { stream } if self.stream == Some(stream) => self.end_stream(cut()),
            Event::GiveUpOpening { stream } if self.stream == Some(stream) && !self.opened => {
                self.end_stream(silence());
            }
            Event::Broken { .. } | Event::GiveUpOpening { .. } => {}
            Event::AloneFailed { key } => self.fail_alone(key, cut()),
            Event::GiveUpAlone { key } => self.fail_alone(key, silence()),
            Event::Wake => self.wakes += 1,
        }
    }

    fn serve(&mut self, stream: Option<u64>, key: Option<LeaseKey>, id: i64, sent_at: Instant) {
        if self.refused == Some(id) {
            match (stream, key) {
                (Some(stream), _) if self.stream == Some(stream) => self.end_stream(refusal()),
                (None, Some(key)) => self.fail_alone(key, refusal()),
                _ => {}
            }
            return;
        }
        let now = self.now;
        let ttl = match self.server.get_mut(&id) {
            Some((ttl, expiry)) if now < *expiry => {
                *expiry = now + faster(*ttl);
                ttl.as_secs() as i64
            }
            _ => 0,
        };
        let (low, high) = self.one_way;
        let at = now + self.dice.millis(low, high);
        self.schedule(
            at,
            Event::Answer {
                stream,
                key,
                id,
                ttl,
                sent_at,
            },
        );
        // An answer about a lease that nobody asked about.
        if self.dice.below(20) == 0 {
            self.schedule(
                at,
                Event::Answer {
                    stream,
                    key: None,
                    id: 999_999,
                    ttl: 0,
                    sent_at,
                },
            );
        }
    }

    /// Carries out what the keeper says.
    fn drive(&mut self) {
        if self.asleep_until.is_some_and(|until| self.now < until) {
            return;
        }
        for _ in 0..100_000 {
            let now = self.now;
            match self.keeper.poll_step(now) {
                KeeperStep::Open { first, give_up_at } => {
                    assert!(self.stream.is_none() && give_up_at > now);
                    self.opens += 1;
                    self.streams += 1;
                    (self.stream, self.opened) = (Some(self.streams), false);
                    let stream = self.streams;
                    if self.network == Network::Refusing {
                        let at = now + self.dice.millis(0, 2);
                        self.schedule(at, Event::Broken { stream });
                    } else if self.duplex_works {
                        self.send(Some(stream), None, first);
                    }
                    self.schedule(give_up_at, Event::GiveUpOpening { stream });
                }
                KeeperStep::Renew { id } => {
                    assert!(self.opened);
                    self.sent_on_streams += 1;
                    self.send(self.stream, None, id);
                }
                KeeperStep::RenewAlone { key, id, give_up_at } => {
                    self.sent_alone += 1;
                    if self.network == Network::Refusing {
                        let at = now + self.dice.millis(0, 2);
                        self.schedule(at, Event::AloneFailed { key });
                    } else {
                        self.send(None, Some(key), id);
                        self.schedule(give_up_at, Event::GiveUpAlone { key });
                    }
                }
                KeeperStep::Close { .. } => self.stream = None,
                KeeperStep::Wait { until } => {
                    if let Some(until) = until {
                        assert!(until > now, "it waits for the past");
                        self.events.retain(|_, event| !matches!(event, Event::Wake));
                        self.schedule(until, Event::Wake);
                    }
                    return;
                }
            }
        }
        panic!("it goes round in circles");
    }

    fn send(&mut self, stream: Option<u64>, key: Option<LeaseKey>, id: i64) {
        let (low, high) = self.one_way;
        let at = self.now + self.dice.millis(low, high);
        // In order, on a stream.
        let at = match stream {
            Some(_) => self.last_on_stream().map_or(at, |last| last.max(at)),
            None => at,
        };
        let sent_at = self.now;
        self.schedule(
            at,
            Event::Arrive {
                stream,
                key,
                id,
                sent_at,
            },
        );
    }

    fn last_on_stream(&self) -> Option<Instant> {
        let on_stream = |event: &Event| matches!(event, Event::Arrive { stream: Some(_), .. });
        let mut sent = self.events.iter().rev();
        sent.find(|(_, event)| on_stream(event)).map(|((at, _), _)| *at)
    }

    pub(super) fn break_stream(&mut self) {
        if let Some(stream) = self.stream {
            self.schedule(self.now, Event::Broken { stream });
        }
    }

    fn end_stream(&mut self, error: Error) {
        let entropy = self.dice.roll();
        self.stream = None;
        if self.opened {
            self.keeper.handle_stream_failed(self.now, error, entropy);
        } else {
            self.keeper.handle_open_failed(self.now, error, entropy);
        }
    }

    fn fail_alone(&mut self, key: LeaseKey, error: Error) {
        let entropy = self.dice.roll();
        self.events.retain(|_, event| match event {
            Event::GiveUpAlone { key: other, .. } | Event::Answer { key: Some(other), .. } => *other != key,
            _ => true,
        });
        self.keeper.handle_renewal_failed(self.now, key, error, entropy);
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.events.insert((at, self.next), event);
        self.next += 1;
    }
}

/// A server's clock that gains five seconds in a thousand.
fn faster(time: Duration) -> Duration {
    time * 1000 / 1005
}

fn cut() -> Error {
    TransportError::new(TransportErrorKind::Closed, Delivery::MaybeSent).into()
}

pub(super) fn silence() -> Error {
    crate::error::Timeout::new(crate::error::TimeoutPhase::Response).into()
}

fn refusal() -> Error {
    let message = EtcdError::PermissionDenied.to_string();
    ErrorKind::from(ServerError::new(Code::PermissionDenied, &message)).into()
}
