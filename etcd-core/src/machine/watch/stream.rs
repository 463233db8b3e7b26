//! One stream to a server, from its opening to its end: what is still to be answered, and whether the peer is alive.
//!
//! # The greeting
//!
//! A stream begins with a *question*: the creation of a watch over an empty range. Every server answers it at once and
//! creates nothing (`WatchStream.Watch` in `server/storage/mvcc/watcher.go`, `ErrEmptyWatcherRange`), whatever else it is
//! asked. So the head of the response comes at once, and silence can be told from having nothing to say: a request for
//! progress would not do, since servers do not answer one while a watch lies behind or none exists.
//!
//! Then follow a request for progress and a second question. Servers before 3.4.25 and 3.5.8 answer the request between
//! the two, past everything that waits to be sent, and even while watches lie behind (etcd's issue 15220): what they say
//! of progress in answer to a request must not be believed. Later ones do not answer while there is no watch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::key::KeyRange;
use crate::message::{Watch, WatchCreate, WatchProgress};
use crate::runtime::later;

/// The most requests for progress that are remembered as not answered.
const MAX_ASKED: usize = 8;

/// A creation that was not answered while this many other messages came and [`STUCK_FOR`] passed never will be: the
/// server reads nothing any more. It sends answers and events in turn by chance (`sendLoop` in `v3rpc/watch.go`).
const STUCK_AFTER: u64 = 64;
const STUCK_FOR: Duration = Duration::from_secs(30);

/// A stream that is open.
#[derive(Debug)]
pub(super) struct OpenStream {
    pub(super) opened: Instant,
    pub(super) heard: Instant,
    questioned: Option<Instant>,
    messages: u64,
    pending: VecDeque<Awaited>,
    /// What answers to requests for progress are worth.
    pub(super) answers: ProgressAnswers,
    asked: u64,
    /// When it was asked for progress last.
    pub(super) asked_at: Instant,
    unanswered: VecDeque<u64>,
}

/// A creation that was sent and is not answered yet, and since when it is the next to be. Answers come in the order of the
/// creations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    pub(super) wire: i64,
    pub(super) purpose: Purpose,
    since: Instant,
    messages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A watch.
    Create,
    /// A question.
    Question,
    /// The question that ends the greeting.
    EndOfGreeting,
}

/// What the server's answers to requests for progress are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProgressAnswers {
    /// Not known yet.
    Unknown,
    /// Nothing: they are given at once.
    AtOnce,
    /// They come after all events up to their revision.
    InOrder,
}

/// Whether to go on waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Until then.
    Until(Instant),
    /// It is time to ask whether the peer is alive.
    Question,
    /// It is not.
    Dead,
}

impl OpenStream {
    pub(super) fn new(now: Instant, answers: ProgressAnswers) -> Self {
        Self {
            opened: now,
            heard: now,
            questioned: None,
            messages: 0,
            pending: VecDeque::new(),
            answers,
            asked: 0,
            asked_at: now,
            unanswered: VecDeque::new(),
        }
    }

    /// Whether the greeting is over: the server was alive, and has read what followed.
    pub(super) fn is_greeted(&self) -> bool {
        let mut pending = self.pending.iter();
        pending.all(|awaited| awaited.purpose != Purpose::EndOfGreeting)
    }

    /// Takes note that bytes came.
    pub(super) fn handle_activity(&mut self, now: Instant) {
        self.heard = now;
        self.questioned = None;
    }

    /// Takes note that a message came; `false` if the server does not read what it is sent.
    pub(super) fn handle_message(&mut self, now: Instant) -> bool {
        self.messages += 1;
        self.pending.front().is_none_or(|awaited| {
            self.messages - awaited.messages < STUCK_AFTER || now < awaited.since + STUCK_FOR
        })
    }

    pub(super) fn handle_sent(&mut self, now: Instant, wire: i64, purpose: Purpose) {
        self.pending.push_back(Awaited {
            wire,
            purpose,
            since: now,
            messages: self.messages,
        });
    }

    /// Takes note that a question was sent because nothing was heard.
    pub(super) fn handle_questioned(&mut self, now: Instant) {
        self.questioned = Some(now);
    }

    /// What a creation's answer answers; `None` if it answers nothing that was asked.
    pub(super) fn handle_created(&mut self, now: Instant, wire: i64) -> Option<Awaited> {
        let is_next = self
            .pending
            .front()
            .is_some_and(|next| wire == next.wire || wire == NO_WATCH);
        let answered = if is_next { self.pending.pop_front() } else { None };
        // It is reading: the next one is waited for from now on.
        if let (Some(_), Some(next)) = (answered, self.pending.front_mut()) {
            (next.since, next.messages) = (now, self.messages);
        }
        if answered.is_some_and(|answered| answered.purpose == Purpose::EndOfGreeting)
            && self.answers == ProgressAnswers::Unknown
        {
            self.answers = ProgressAnswers::InOrder;
        }
        answered
    }

    /// Numbers a request for progress.
    pub(super) fn ask_for_progress(&mut self) -> Watch {
        self.asked += 1;
        // One more than is remembered makes later answers count for earlier requests, which claims less.
        if self.unanswered.len() < MAX_ASKED {
            self.unanswered.push_back(self.asked);
        }
        WatchProgress::default().into()
    }

    /// Whether there is a request for progress that was not answered.
    pub(super) fn has_unanswered(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// How many requests for progress were sent.
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// Which request an answer may be the answer to, at the earliest; `None` if it is worth nothing.
    ///
    /// Requests go unanswered, and nothing in an answer says which it is for. To take it for the oldest is safe: it
    /// then counts only for watches that had been created before any request was sent that it could answer.
    pub(super) fn handle_progress_answer(&mut self) -> Option<u64> {
        match self.answers {
            ProgressAnswers::Unknown => {
                self.answers = ProgressAnswers::AtOnce;
                None
            }
            ProgressAnswers::AtOnce => None,
            ProgressAnswers::InOrder => self.unanswered.pop_front(),
        }
    }

    pub(super) fn silence(&self, now: Instant, idle: Duration, patience: Duration) -> Silence {
        match self.questioned {
            Some(since) if now >= later(since, patience) => Silence::Dead,
            Some(since) => Silence::Until(later(since, patience)),
            None if now >= later(self.heard, idle) => Silence::Question,
            None => Silence::Until(later(self.heard, idle)),
        }
    }
}

/// The id of answers that concern no watch (`InvalidWatchID` in `client/v3/watch.go`).
pub(super) const NO_WATCH: i64 = -1;

/// A creation that is answered at once and creates nothing.
pub(super) fn question(wire: i64) -> Watch {
    let key = Bytes::from_static(b"\x01");
    WatchCreate::new(KeyRange::from_parts(key.clone(), key))
        .watch_id(wire)
        .into()
}
