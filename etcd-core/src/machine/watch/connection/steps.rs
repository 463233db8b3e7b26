//! What is to be done next.

use std::time::Instant;

use super::{Reason, StreamState, WatchConnection};
use crate::error::{Timeout, TimeoutPhase};
use crate::machine::watch::stream::{ProgressAnswers, Purpose, Silence, question};
use crate::machine::watch::watched::Phase;
use crate::machine::watch::{WatchMode, WatchStep};
use crate::message::Watch;

impl WatchConnection {
    /// What to do next.
    pub fn poll_step(&mut self, now: Instant, entropy: u64) -> WatchStep {
        if std::mem::take(&mut self.must_close) {
            return WatchStep::Close;
        }
        if self.watches.is_empty() {
            return self.poll_rest();
        }
        if std::mem::take(&mut self.falls_back) {
            return WatchStep::FallBack;
        }
        if let Some(read) = self.next_read(now) {
            return WatchStep::Read(read);
        }
        match &self.stream {
            StreamState::Closed { retry_at } => self.poll_closed(now, *retry_at),
            StreamState::Opening { .. } => self.wait(None),
            StreamState::Open(_) => self.poll_open(now, entropy),
        }
    }

    fn poll_rest(&mut self) -> WatchStep {
        self.forget_reads();
        if matches!(self.stream, StreamState::Open(_) | StreamState::Opening { .. }) {
            self.close(None);
            self.must_close = false;
            return WatchStep::Close;
        }
        self.disconnected = None;
        WatchStep::Wait { until: None }
    }

    fn poll_closed(&mut self, now: Instant, retry_at: Option<Instant>) -> WatchStep {
        if let Some(at) = retry_at.filter(|at| *at > now) {
            return self.wait(Some(at));
        }
        // While it is being asked whether the server can be reached, another attempt would only fail like the last.
        let is_asked = self
            .reading
            .is_some_and(|(reason, _)| reason == Reason::Reachable)
            || self.reads.iter().any(|(reason, _)| *reason == Reason::Reachable);
        if is_asked {
            return self.wait(None);
        }
        if !self.has_queued() {
            if self.has_only_paused() {
                self.disconnected = None;
            }
            return self.wait(None);
        }
        let (stream, first) = match self.mode {
            WatchMode::Duplex => {
                let (first, last) = (self.new_wire(), self.new_wire());
                (StreamState::Opening { first, last }, question(first))
            }
            WatchMode::Single => match self.next_create() {
                Some((wire, create)) => {
                    let (first, last) = (wire, wire);
                    (StreamState::Opening { first, last }, create)
                }
                None => return self.wait(None),
            },
        };
        self.stream = stream;
        self.disconnected.get_or_insert((now, None));
        WatchStep::Open {
            first,
            elsewhere: std::mem::take(&mut self.elsewhere),
            stale_token: std::mem::take(&mut self.stale_token),
            mode: self.mode,
        }
    }

    fn poll_open(&mut self, now: Instant, entropy: u64) -> WatchStep {
        if let Some(message) = self.outbox.pop_front() {
            return WatchStep::Send(message);
        }
        if self.mode == WatchMode::Duplex {
            if let Some((wire, create)) = self.next_create() {
                if let StreamState::Open(stream) = &mut self.stream {
                    stream.handle_sent(now, wire, Purpose::Create);
                }
                return WatchStep::Send(create);
            }
            if let Some(request) = self.next_progress_request(now) {
                return WatchStep::Send(request);
            }
        }
        let (idle, patience) = self.patience.limits(self.mode);
        let StreamState::Open(stream) = &mut self.stream else {
            return self.wait(None);
        };
        match stream.silence(now, idle, patience) {
            Silence::Until(at) => {
                let asks = stream.answers == ProgressAnswers::InOrder;
                let asks_at = asks.then_some(stream.asked_at + self.times.progress);
                self.wait(asks_at.into_iter().chain([at]).min())
            }
            Silence::Question if self.mode == WatchMode::Duplex => {
                stream.handle_questioned(now);
                let wire = self.new_wire();
                if let StreamState::Open(stream) = &mut self.stream {
                    stream.handle_sent(now, wire, Purpose::Question);
                }
                WatchStep::Send(question(wire))
            }
            silence => {
                self.patience.handle_silence(stream);
                let limit = idle + patience;
                let cause = Timeout::new(TimeoutPhase::Body).with_limit(limit).into();
                self.reopen(now, cause, entropy);
                // It has waited long enough.
                self.retry_at_once(now);
                self.elsewhere = silence == Silence::Dead;
                self.poll_step(now, entropy)
            }
        }
    }

    fn next_create(&mut self) -> Option<(i64, Watch)> {
        while let Some(id) = self.queued.pop_front() {
            let wire = self.next_wire;
            let Some(watched) = self.watches.get_mut(&id) else {
                continue;
            };
            if watched.phase != Phase::Queued {
                continue;
            }
            watched.phase = Phase::Creating { wire };
            let create = watched.next_create(wire);
            self.new_wire();
            self.wires.insert(wire, id);
            return Some((wire, create.into()));
        }
        None
    }

    fn has_queued(&self) -> bool {
        self.queued.iter().any(|id| {
            self.watches
                .get(id)
                .is_some_and(|watched| watched.phase == Phase::Queued)
        })
    }

    /// Whether no watch can be served, because none has room.
    fn has_only_paused(&self) -> bool {
        self.watches
            .values()
            .all(|watched| watched.phase == Phase::Paused)
    }

    fn new_wire(&mut self) -> i64 {
        let wire = self.next_wire;
        // 2^63 creations would take a million a second for 292,000 years.
        self.next_wire += 1;
        wire
    }

    fn next_progress_request(&mut self, now: Instant) -> Option<Watch> {
        let StreamState::Open(stream) = &mut self.stream else {
            return None;
        };
        let is_due = now >= stream.asked_at + self.times.progress;
        match stream.answers {
            ProgressAnswers::InOrder if self.wants_progress || is_due => {
                if stream.has_unanswered() && self.restart_those_ahead() {
                    return self.outbox.pop_front();
                }
                let StreamState::Open(stream) = &mut self.stream else {
                    return None;
                };
                self.wants_progress = false;
                stream.asked_at = now;
                Some(stream.ask_for_progress())
            }
            ProgressAnswers::InOrder | ProgressAnswers::Unknown => None,
            ProgressAnswers::AtOnce => {
                self.wants_progress = false;
                None
            }
        }
    }

    /// Has those watches created anew which may be why a request for progress is not answered; whether there are any.
    fn restart_those_ahead(&mut self) -> bool {
        let ahead: Vec<_> = self
            .watches
            .iter()
            .filter_map(|(id, watched)| watched.is_ahead().then_some((*id, watched.wire())))
            .collect();
        for (id, wire) in &ahead {
            self.queue(*id);
            self.leave_server(*wire, None);
        }
        !ahead.is_empty()
    }

    fn wait(&self, until: Option<Instant>) -> WatchStep {
        let reads = self.read_again_at.filter(|_| self.reading.is_none());
        WatchStep::Wait {
            until: until.into_iter().chain(reads).min(),
        }
    }
}
