//! Entries of the log.
//!
//! A call runs up to the point where it would enter the log, and once more, to its end, when its entry is applied; then
//! by every member. What it finds out about the caller and draws by chance, it must not find out or draw twice.

use std::time::Instant;

use etcd_core::error::EtcdError;

use super::{AskId, Need};
use crate::Request;
use crate::auth::Identity;
use crate::random::Random;
use crate::server::Server;
use crate::state::Alarm;

/// An entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(super) operation: Operation,
    pub(super) caller: Caller,
    pub(super) seed: u64,
}

/// Who makes a call, or why that cannot be told.
pub(super) type Caller = Result<Option<Identity>, EtcdError>;

#[derive(Clone, Debug)]
pub(super) enum Operation {
    Request(Request),
    /// A lease has expired.
    EndLease(i64),
    /// The database of a member is full.
    OutOfSpace(u64),
    /// Compacts at the revision at which the entry finds the store.
    Compact,
}

impl Entry {
    /// An entry that compacts at the newest revision, in nobody's name.
    pub(crate) fn compaction() -> Self {
        Self {
            operation: Operation::Compact,
            caller: Ok(None),
            seed: 0,
        }
    }

    /// Whether only the leader may propose it.
    pub(crate) fn is_of_the_leader(&self) -> bool {
        matches!(self.operation, Operation::EndLease(_))
    }
    /// An entry in nobody's name, whose meaning leaves nothing to chance.
    pub(super) fn internal(operation: Operation) -> Self {
        Self {
            operation,
            caller: Ok(None),
            seed: 0,
        }
    }
}

impl Server {
    /// Applies an entry of the log; `ask` if this member asked for it.
    pub(crate) fn handle_entry(&mut self, now: Instant, entry: &Entry, ask: Option<AskId>) {
        self.advance(now);
        let call = ask.and_then(|ask| self.answered(ask));
        let random = std::mem::replace(&mut self.random, Random::new(entry.seed));
        self.set_applying(Some(entry.caller.clone()));
        match &entry.operation {
            Operation::Request(Request::Lock(lock)) => {
                let entered = self.enter_lock(None, lock);
                self.set_applying(None);
                if let Some(call) = call {
                    self.entered_lock(call, entered);
                }
            }
            Operation::Request(Request::Campaign(campaign)) => {
                let entered = self.enter_campaign(None, campaign);
                self.set_applying(None);
                if let Some(call) = call {
                    self.entered_campaign(call, entered);
                }
            }
            Operation::Request(request) => {
                let answer = self.answer(None, request.clone());
                self.set_applying(None);
                if let Some(call) = call {
                    self.finish(call, answer);
                }
            }
            Operation::EndLease(lease) => {
                self.applied += 1;
                // It may have been revoked in the meantime.
                let _ = self.state.revoke(*lease);
                if let Some(replica) = &mut self.replica {
                    replica.ending.remove(lease);
                }
            }
            Operation::OutOfSpace(member) => {
                self.applied += 1;
                self.state.alarms.insert((Alarm::NoSpace, *member));
            }
            Operation::Compact => {
                self.applied += 1;
                let keep_deletions = self.config.dialect.compaction_keeps_its_deletions();
                let revision = self.state.store.revision();
                // It may be compacted already.
                let _ = self.state.store.compact(revision, keep_deletions);
            }
        }
        self.set_applying(None);
        self.random = random;
        self.settle();
    }

    /// Comes to the point where a request enters the log. A member of several stops here with an error, of which nobody
    /// hears, and goes on when the entry comes back.
    pub(in crate::server) fn enter_log(&mut self) -> Result<(), EtcdError> {
        if let Some(replica) = &mut self.replica
            && replica.applying.is_none()
        {
            replica.has_proposed = true;
            return Err(EtcdError::Stopped);
        }
        self.applied += 1;
        Ok(())
    }

    /// Raises the alarm that the database is full.
    pub(in crate::server) fn raise_out_of_space(&mut self) {
        let member = self.member_id;
        if self.replica.is_some() {
            self.ask(
                None,
                Need::Propose(Entry::internal(Operation::OutOfSpace(member))),
            );
        } else {
            self.applied += 1;
            self.state.alarms.insert((Alarm::NoSpace, member));
        }
    }

    /// In whose name the entry is that is being applied.
    pub(in crate::server) fn applying(&self) -> Option<&Caller> {
        self.replica.as_ref()?.applying.as_ref()
    }

    fn set_applying(&mut self, caller: Option<Caller>) {
        if let Some(replica) = &mut self.replica {
            replica.applying = caller;
        }
    }
}
