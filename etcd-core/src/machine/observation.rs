//! A range of keys, listed and then followed, whatever happens.
//!
//! ```text
//!              poll_step: List, page by page          the last page            poll_step: Watch
//!   Listing ─────────────────────────────────▶ Listed ─────────▶ Starting ────────────────────────┐
//!      ▲ ▲                                    (a snapshot, or                ▲                    ▼
//!      │ │ the page cannot be had: later,      what changed since)           │ it ended:      Following
//!      │ └──── in smaller pages, or all anew                                 └─ go on there ──────┤
//!      │                                                                                          │
//!      └────── the history in between is compacted ──────────────────────────────────────────────┘
//!
//!   what nothing can mend, in any state: Failed, poll_step: Fail
//! ```
//!
//! # What comes out
//!
//! A snapshot of the range at one revision, then changes of whole revisions, without a gap and without a repetition.
//! Where history was compacted before it was received, the range is listed again, and the difference to what was known
//! is handed out as one batch of synthetic events at the revision of the new list: a put for each key that was written
//! in between and exists, a deletion for each that does not exist any more. So whoever applies everything in order has, after each item, exactly
//! what the range held at the item's revision. What is missing of a compacted past is only how it came to be so: values that
//! were overwritten, keys that came and went.
//!
//! A read may find the range just as it was told, at a later revision: [`Observation::handle_agreement`]. What that means for
//! what is told next stands in `held.rs`.

mod backlog;
mod held;
mod known;
mod terms;

use std::sync::Arc;
use std::time::Instant;

pub use self::backlog::Backlog;
use self::held::Held;
use self::known::Known;
pub use self::terms::{ObservationStatus, ObservationStep, Observed};
use super::{Backoff, Pager};
use crate::error::{Error, ErrorKind, EtcdError, Retry, RetryClass};
use crate::key::KeyRange;
use crate::message::{Event, Get, GetResponse, KeyValue};
use crate::rpc::Request;

/// How often in a row a list is begun anew at once, because history was compacted under it.
const MAX_RESTARTS: u32 = 3;

/// Decides how a range is listed and followed.
#[derive(Debug)]
pub struct Observation {
    keys: KeyRange,
    known: Known,
    revision: i64,
    /// The revision up to which everything was received.
    received: i64,
    held: Held,
    state: State,
    backoff: Backoff,
    /// How often in a row a list was begun anew because history was compacted under it.
    restarts: u32,
    trouble: Option<(Instant, Arc<Error>)>,
    logs_in: bool,
}

#[derive(Debug)]
enum State {
    /// `until` is when to go on, if there has to be a pause.
    Listing {
        pager: Box<Pager>,
        listed: Vec<KeyValue>,
        until: Option<Instant>,
    },
    Starting {
        until: Option<Instant>,
        is_under_way: bool,
    },
    Following,
    Failed(Error),
    /// The failure was handed out.
    Over,
}

impl Observation {
    /// An observation of `keys` that has told nothing yet.
    #[must_use]
    pub fn new(keys: KeyRange) -> Self {
        Self {
            state: listing(&keys),
            keys,
            known: Known::default(),
            revision: 0,
            received: 0,
            held: Held::default(),
            backoff: Backoff::default(),
            restarts: 0,
            trouble: None,
            logs_in: false,
        }
    }

    /// Whether the client can replace a token that a server refuses: a refusal does not end the observation then.
    /// Default no.
    #[must_use]
    pub fn with_login(mut self, logs_in: bool) -> Self {
        self.logs_in = logs_in;
        self
    }

    /// Remembers the pairs themselves, and not just their revisions, so that each event tells the pair before it.
    #[must_use]
    pub fn with_prev_kv(mut self) -> Self {
        self.known = Known::with_pairs();
        self
    }

    /// What is observed.
    #[must_use]
    pub fn keys(&self) -> &KeyRange {
        &self.keys
    }

    /// The revision up to which everything has been told; 0 before the snapshot.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// How many keys the range holds at that revision.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.known.len()
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> ObservationStatus {
        match (&self.state, &self.trouble) {
            (State::Failed(_) | State::Over, _) => ObservationStatus::Over,
            (State::Following, _) => ObservationStatus::Following,
            (_, Some((since, cause))) => ObservationStatus::Interrupted {
                since: *since,
                cause: cause.clone(),
            },
            (State::Listing { .. } | State::Starting { .. }, None) => ObservationStatus::Listing,
        }
    }

    /// What to do next. While something is under way there is nothing to do.
    pub fn poll_step(&mut self, now: Instant) -> ObservationStep {
        match &mut self.state {
            State::Listing {
                until: Some(until), ..
            }
            | State::Starting {
                until: Some(until), ..
            } if now < *until => ObservationStep::Wait { until: *until },
            State::Listing { pager, until, .. } => {
                *until = None;
                pager
                    .poll_request()
                    .map_or(ObservationStep::Idle, ObservationStep::List)
            }
            State::Starting {
                is_under_way: true, ..
            }
            | State::Following
            | State::Over => ObservationStep::Idle,
            State::Starting { until, is_under_way } => {
                (*until, *is_under_way) = (None, true);
                ObservationStep::Watch {
                    start_revision: self.received.saturating_add(1),
                }
            }
            State::Failed(_) => match std::mem::replace(&mut self.state, State::Over) {
                State::Failed(error) => ObservationStep::Fail(error),
                _ => ObservationStep::Idle,
            },
        }
    }

    /// Takes the answer to [`ObservationStep::List`]; returns what there is to tell after the last page.
    #[must_use]
    pub fn handle_page(&mut self, page: GetResponse) -> Option<Observed> {
        let State::Listing { pager, listed, .. } = &mut self.state else {
            debug_assert!(false, "a page nobody asked for");
            return None;
        };
        if let Err(error) = pager.handle_page(&page) {
            let error = Error::from(error).with_rpc(Get::RPC.name, RetryClass::Read);
            self.state = State::Failed(error);
            return None;
        }
        self.backoff.reset();
        self.trouble = None;
        listed.extend(page.kvs);
        if !pager.is_done() {
            return None;
        }
        let (revision, listed) = (pager.revision(), std::mem::take(listed));
        Some(self.handle_list(revision, listed))
    }

    /// Takes note that a page could not be had.
    pub fn handle_list_failed(&mut self, now: Instant, error: Error, entropy: u64) {
        let may_mend = self.may_mend(&error);
        let State::Listing { pager, .. } = &mut self.state else {
            debug_assert!(false, "a page nobody asked for");
            return;
        };
        if is_too_large(&error) && pager.handle_too_large() {
            return;
        }
        // The revision of the first page is gone before the last page was read: all of it again, at a newer one.
        if error.etcd() == Some(EtcdError::Compacted) {
            self.state = listing(&self.keys);
            self.restarts += 1;
            if self.restarts <= MAX_RESTARTS {
                return;
            }
        } else if !may_mend {
            self.state = State::Failed(error);
            return;
        }
        let State::Listing { pager, until, .. } = &mut self.state else {
            return;
        };
        *until = Some(now + self.backoff.next_pause(entropy));
        pager.handle_failure();
        self.note_trouble(now, error);
    }

    /// Takes note that the watch is there.
    pub fn handle_watching(&mut self) {
        if let State::Starting { .. } = self.state {
            self.state = State::Following;
            self.backoff.reset();
            self.trouble = None;
        }
    }

    /// Takes events that the watch tells, all there are up to `revision`, or none; returns what there is to tell.
    #[must_use]
    pub fn handle_events(&mut self, revision: i64, mut events: Vec<Event>) -> Option<Observed> {
        if !matches!(self.state, State::Following) {
            return None;
        }
        events.retain(|event| event.kv.mod_revision > self.received);
        let last = events.last().map_or(revision, |event| event.kv.mod_revision);
        let revision = revision.max(last);
        if revision <= self.received {
            return None;
        }
        self.received = revision;
        let mut events = self.held.release(revision, events)?;
        self.revision = revision;
        if events.is_empty() {
            return Some(Observed::Progress { revision });
        }
        for event in &mut events {
            self.known.apply(event);
        }
        Some(Observed::Changes {
            revision,
            events,
            is_synthetic: false,
        })
    }

    /// Takes note that a read found the range at `revision` just as it has been told: from now on nothing is told that would
    /// make it older.
    pub fn handle_agreement(&mut self, revision: i64) {
        self.held.handle_agreement(revision);
    }

    /// Takes note that the watch could not begin, or has ended, because the history it needs is compacted.
    pub fn handle_compacted(&mut self) {
        if let State::Starting { .. } | State::Following = self.state {
            self.state = listing(&self.keys);
        }
    }

    /// Takes note that the watch could not begin, or has ended, for another reason.
    pub fn handle_watch_failed(&mut self, now: Instant, error: Error, entropy: u64) {
        if let State::Failed(_) | State::Over = self.state {
            return;
        }
        if self.may_mend(&error) {
            self.state = State::Starting {
                until: Some(now + self.backoff.next_pause(entropy)),
                is_under_way: false,
            };
            self.note_trouble(now, error);
        } else {
            self.state = State::Failed(error);
        }
    }

    /// Whether the same may work a while later, or elsewhere.
    fn may_mend(&self, error: &Error) -> bool {
        match error.retry() {
            Retry::Elsewhere | Retry::Later => true,
            Retry::AfterLogin => self.logs_in,
            Retry::Never => false,
        }
    }

    fn note_trouble(&mut self, now: Instant, error: Error) {
        let since = self.trouble.as_ref().map_or(now, |(since, _)| *since);
        self.trouble = Some((since, Arc::new(error)));
    }

    /// Takes a whole list: the first one is the snapshot, and of a later one the difference counts.
    fn handle_list(&mut self, revision: i64, listed: Vec<KeyValue>) -> Observed {
        self.restarts = 0;
        let is_first = self.revision == 0;
        // The list may be older than what a read has found meanwhile.
        let agreed = self.held.agreed();
        let is_agreed = !is_first && revision <= agreed;
        let revision = if is_agreed { agreed } else { revision };
        (self.revision, self.received) = (revision, revision);
        self.held.clear();
        self.state = State::Starting {
            until: None,
            is_under_way: false,
        };
        if is_first {
            let mut listed = listed;
            self.known.fill(&mut listed);
            return Observed::Snapshot {
                revision,
                kvs: listed,
            };
        }
        let events = if is_agreed {
            Vec::new()
        } else {
            self.known.replace(listed, revision)
        };
        Observed::Changes {
            revision,
            events,
            is_synthetic: true,
        }
    }
}

fn listing(keys: &KeyRange) -> State {
    State::Listing {
        pager: Box::new(Pager::all(keys.clone())),
        listed: Vec::new(),
        until: None,
    }
}

/// Whether a smaller page would have come through.
fn is_too_large(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ResponseTooLarge { .. })
        || error.etcd() == Some(EtcdError::MessageTooLarge)
}

#[cfg(test)]
mod tests;
