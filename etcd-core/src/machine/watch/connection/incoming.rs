//! What the server says, and what it means.

use std::time::Instant;

use super::{Reason, StreamState, WatchConnection};
use crate::error::{Code, Error, EtcdError, ProtocolError, Retry, ServerError, WatchError};
use crate::machine::MAX_LOGINS;
use crate::machine::watch::stream::{NO_WATCH, Purpose};
use crate::machine::watch::watched::Phase;
use crate::machine::watch::{WatchId, WatchMode, WatchOutput};
use crate::message::{WatchCancel, WatchResponse};

/// How often in a row a server may end a watch without a reason, and no event between, before it is believed.
const MAX_UNEXPLAINED: u32 = 3;

/// How often in a row servers may deny a watch whose range may be read, which may be the fault of tokens that are lost
/// again and again, before they are believed.
const MAX_DENIALS: u32 = 10;

/// The most ids of which the server was told to stop using them. One that invents more cannot be followed.
const MAX_STRANGERS: usize = 256;

impl WatchConnection {
    /// Takes a message of the server, whose header [`ClusterGuard`](crate::machine::ClusterGuard) has seen: what it finds
    /// is a reason to [close](Self::handle_closed).
    pub fn handle_message(&mut self, now: Instant, message: WatchResponse, entropy: u64) {
        self.handle_activity(now);
        let StreamState::Open(stream) = &mut self.stream else {
            // Of a stream that is about to be closed.
            return;
        };
        let is_read = stream.handle_message(now);
        if message.created {
            self.handle_created(now, &message, entropy);
        } else if message.canceled {
            self.handle_ended(now, &message, entropy);
        } else if message.watch_id == NO_WATCH {
            self.handle_progress_answer(message.header.revision);
        } else {
            self.handle_events(now, message, entropy);
        }
        if !is_read && matches!(self.stream, StreamState::Open(_)) {
            self.reopen(now, ProtocolError::OutOfOrder.into(), entropy);
            self.avoid(true, false);
        }
    }

    fn handle_created(&mut self, now: Instant, message: &WatchResponse, entropy: u64) {
        let StreamState::Open(stream) = &mut self.stream else {
            return;
        };
        let asked_before = stream.asked();
        let answered = match stream.handle_created(now, message.watch_id) {
            Some(answered) if message.canceled || message.watch_id == answered.wire => answered,
            _ => return self.reopen(now, ProtocolError::OutOfOrder.into(), entropy),
        };
        if answered.purpose != Purpose::Create {
            return;
        }
        let wire = answered.wire;
        if message.canceled {
            self.handle_left(wire);
        }
        // A watch that was cancelled or paused meanwhile is not among them.
        let Some(id) = self.wires.get(&wire).copied() else {
            return;
        };
        if message.canceled {
            self.wires.remove(&wire);
            let refusal = ServerError::from_cancel_reason(&message.cancel_reason);
            return self.handle_refused(now, id, refusal, message.watch_id == wire, entropy);
        }
        let Some(watched) = self.watches.get_mut(&id) else {
            return;
        };
        watched.phase = Phase::Live { wire, asked_before };
        watched.refusals = 0;
        let revision = message.header.revision;
        if watched.is_overtaken(revision) {
            self.queue(id);
            return self.leave_server(Some(wire), None);
        }
        if revision != 0 && revision < watched.seen {
            self.reads.push_back((Reason::Revision, id));
        }
        watched.take_revision(revision);
        if !std::mem::replace(&mut watched.is_announced, true) {
            self.outputs.push_back((id, WatchOutput::Created));
        }
    }

    /// A watch that was alive has ended on the server.
    fn handle_ended(&mut self, now: Instant, message: &WatchResponse, entropy: u64) {
        let wire = message.watch_id;
        if self.handle_left(wire) {
            return;
        }
        let Some(id) = self.wires.remove(&wire) else {
            return;
        };
        let Some(watched) = self.watches.get_mut(&id) else {
            return;
        };
        let position = watched.position();
        watched.leave(Phase::Queued);
        if message.compact_revision != 0 {
            // History is not whole at the very revision.
            let compact_revision = message.compact_revision.max(position.saturating_add(1));
            let compacted = WatchError::Compacted {
                position,
                compact_revision,
            };
            // The server says that it is canceled and keeps it (`watcher_group.go`, `chooseAll`) until it is told to cancel it;
            // while it has one whose history is gone, no request for progress is answered.
            self.leave_server(Some(wire), None);
            return self.end(id, compacted.into());
        }
        if !message.cancel_reason.is_empty() {
            let refusal = ServerError::from_cancel_reason(&message.cancel_reason);
            return self.handle_refused(now, id, refusal, false, entropy);
        }
        watched.unexplained += 1;
        if watched.unexplained > MAX_UNEXPLAINED {
            let canceled = ServerError::new(Code::Canceled, &EtcdError::WatchCanceled.to_string());
            self.end(id, canceled.into());
        } else if self.mode == WatchMode::Single {
            // What was its stream carries nothing any more.
            self.close(None);
        } else {
            self.queue(id);
        }
    }

    /// A server does not let a watch be. `is_ambiguous`: it is one of those that say "permission denied" whatever the
    /// reason.
    fn handle_refused(
        &mut self,
        now: Instant,
        id: WatchId,
        refusal: ServerError,
        is_ambiguous: bool,
        entropy: u64,
    ) {
        let Some(watched) = self.watches.get_mut(&id) else {
            return;
        };
        watched.refusals += 1;
        // The first few times it is put right at once, and after that with pauses.
        let is_prompt = watched.refusals <= MAX_LOGINS;
        let is_denial = refusal.kind() == EtcdError::PermissionDenied;
        let may_be_token = is_prompt || self.logs_in && watched.refusals <= MAX_DENIALS;
        if is_denial && is_ambiguous && may_be_token {
            watched.leave(Phase::Checking);
            self.reads.push_back((Reason::Permission, id));
            return;
        }
        match refusal.retry() {
            Retry::AfterLogin if is_prompt || self.logs_in => {
                self.queue(id);
                self.reopen(now, refusal.into(), entropy);
                if is_prompt {
                    self.retry_at_once(now);
                }
                self.avoid(false, true);
            }
            Retry::Elsewhere | Retry::Later => {
                let elsewhere = refusal.retry() == Retry::Elsewhere;
                self.queue(id);
                self.reopen(now, refusal.into(), entropy);
                self.avoid(elsewhere, false);
            }
            _ => self.end(id, Error::from(refusal)),
        }
    }

    /// Progress of all watches, in answer to a request.
    fn handle_progress_answer(&mut self, revision: i64) {
        let StreamState::Open(stream) = &mut self.stream else {
            return;
        };
        let Some(request) = stream.handle_progress_answer() else {
            return;
        };
        for (id, watched) in &mut self.watches {
            let Phase::Live { asked_before, .. } = watched.phase else {
                continue;
            };
            if asked_before < request && watched.take_progress(revision) {
                let position = WatchOutput::Position(watched.position());
                self.outputs.push_back((*id, position));
            }
        }
    }

    /// Events, or progress, of one watch.
    fn handle_events(&mut self, now: Instant, message: WatchResponse, entropy: u64) {
        let wire = message.watch_id;
        if self.leaving.contains_key(&wire) {
            return;
        }
        let Some(id) = self.wires.get(&wire).copied() else {
            return self.handle_stranger(now, wire, entropy);
        };
        let Some(watched) = self.watches.get_mut(&id) else {
            return;
        };
        if message.events.is_empty() && !message.fragment {
            if watched.take_progress(message.header.revision) {
                let position = WatchOutput::Position(watched.position());
                self.outputs.push_back((id, position));
            }
            return;
        }
        match watched.take_events(message, self.max_bytes) {
            Ok(Some(batch)) => self.outputs.push_back((id, WatchOutput::Batch(batch))),
            Ok(None) => {}
            Err(kind) => self.end(id, kind.into()),
        }
    }

    /// The server tells of a watch that was never asked for: it is told once to stop.
    fn handle_stranger(&mut self, now: Instant, wire: i64, entropy: u64) {
        if !self.strangers.insert(wire) {
            return;
        }
        if self.strangers.len() > MAX_STRANGERS {
            return self.reopen(now, ProtocolError::OutOfOrder.into(), entropy);
        }
        self.outbox.push_back(WatchCancel::new(wire).into());
    }
}
