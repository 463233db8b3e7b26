//! The reads that are made to learn what no stream says: why each is made, and what follows from its answer.

use std::time::{Duration, Instant};

use super::WatchConnection;
use crate::error::{ClusterChanged, Code, Error, ErrorKind, EtcdError, Retry, ServerError};
use crate::key::KeyRange;
use crate::machine::MAX_LOGINS;
use crate::machine::watch::WatchId;
use crate::machine::watch::watched::Phase;
use crate::message::{Get, WatchCreate};

/// How often in a row a stream may be opened without getting a head, though the server answers other calls, before the
/// way there is held to be unable of carrying both directions at once.
const SILENT_OPENS: u32 = 2;

/// The pause before a read is made again that failed for reasons which may pass.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Why a read is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// A server's revision is lower than one that was seen.
    Revision,
    /// A server says that the watch is not permitted, and may mean that the token is stale.
    Permission,
    /// A stream got no head: does the server answer at all?
    Reachable,
}

impl WatchConnection {
    /// Takes the answer to a read: the revision in its header.
    pub fn handle_read(&mut self, now: Instant, result: Result<i64, Error>, entropy: u64) {
        let Some((reason, id)) = self.reading.take() else {
            return;
        };
        let revision = match result {
            Ok(revision) => revision,
            Err(error) => return self.handle_failed_read(now, reason, id, error),
        };
        self.end_those_ahead_of(revision);
        match reason {
            Reason::Revision => self.reads.retain(|(reason, _)| *reason != Reason::Revision),
            Reason::Permission => {
                // The read has renewed the token, which must have been the matter: open the stream with the new one, for all
                // that were refused.
                if let Some(refusals) = self.queue_checked(id) {
                    let stale = EtcdError::InvalidAuthToken.to_string();
                    let cause = ServerError::new(Code::Unauthenticated, &stale);
                    self.reopen(now, cause.into(), entropy);
                    if refusals <= MAX_LOGINS {
                        self.retry_at_once(now);
                    }
                }
            }
            Reason::Reachable => {
                self.silent_opens += 1;
                self.falls_back = self.silent_opens >= SILENT_OPENS;
            }
        }
    }

    pub(super) fn next_read(&mut self, now: Instant) -> Option<Get> {
        if self.reading.is_some() || self.read_again_at.is_some_and(|at| at > now) {
            return None;
        }
        self.read_again_at = None;
        while let Some((reason, id)) = self.reads.pop_front() {
            let Some(watched) = self.watches.get(&id) else {
                continue;
            };
            let WatchCreate { key, range_end, .. } = watched.create.clone();
            let get = match reason {
                Reason::Permission => Get::new(KeyRange::from_parts(key, range_end)).limit(1),
                Reason::Revision | Reason::Reachable => Get::new(KeyRange::single(key)),
            };
            self.reading = Some((reason, id));
            for watched in self.watches.values_mut() {
                watched.seen_before_read = watched.seen;
            }
            return Some(get.keys_only());
        }
        None
    }

    pub(super) fn ask_whether_reachable(&mut self) {
        if let Some(id) = self.watches.keys().next() {
            self.reads.push_back((Reason::Reachable, *id));
        }
    }

    /// Whatever was to be learned was to be learned for watches that are gone. An answer that still comes is passed over.
    pub(super) fn forget_reads(&mut self) {
        self.reads.clear();
        self.reading = None;
        self.read_again_at = None;
    }

    fn handle_failed_read(&mut self, now: Instant, reason: Reason, id: WatchId, error: Error) {
        if matches!(error.kind(), ErrorKind::ClusterChanged(_)) {
            return self.end_all(&error);
        }
        match (reason, error.retry()) {
            (Reason::Reachable, _) => self.silent_opens = 0,
            // Whatever tokens the call got, they were lost again.
            (Reason::Permission | Reason::Revision, Retry::AfterLogin) if self.logs_in => {
                self.read_again(now, reason, id);
            }
            (Reason::Permission, Retry::Never | Retry::AfterLogin) => self.end(id, error),
            // Not a read that is refused for good: nothing was learned, and nothing will be.
            (Reason::Revision, Retry::Never | Retry::AfterLogin) => {}
            (Reason::Permission | Reason::Revision, _) => self.read_again(now, reason, id),
        }
    }

    fn read_again(&mut self, now: Instant, reason: Reason, id: WatchId) {
        self.reads.push_back((reason, id));
        self.read_again_at = Some(now + READ_AGAIN_AFTER);
    }

    /// Ends the watches that had seen more than there is.
    fn end_those_ahead_of(&mut self, revision: i64) {
        let ahead: Vec<_> = self
            .watches
            .iter()
            .filter(|(_, watched)| watched.seen_before_read > revision)
            .map(|(id, watched)| (*id, watched.seen_before_read))
            .collect();
        for (id, seen) in ahead {
            let actual = revision;
            self.end(id, ClusterChanged::Revision { seen, actual }.into());
        }
    }

    /// Queues a watch whose permission was checked, if it is still there, and with it those that were to be; returns how
    /// often in a row it was refused.
    fn queue_checked(&mut self, id: WatchId) -> Option<u32> {
        let watched = self.watches.get(&id)?;
        let refusals = (watched.phase == Phase::Checking).then_some(watched.refusals)?;
        self.reads.retain(|(reason, _)| *reason != Reason::Permission);
        let checked = self.watches.iter();
        let checked: Vec<_> = checked
            .filter_map(|(id, watched)| (watched.phase == Phase::Checking).then_some(*id))
            .collect();
        checked.into_iter().for_each(|id| self.queue(id));
        Some(refusals)
    }
}
