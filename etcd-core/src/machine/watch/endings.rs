//! How watches and streams end, and what becomes of the watches of a stream that does.

use std::sync::Arc;
use std::time::Instant;

use super::connection::{StreamState, WatchConnection};
use super::interface::{WatchId, WatchMode, WatchOutput};
use super::watched::Phase;
use crate::error::Error;
use crate::machine::Backoff;
use crate::message::WatchCancel;

impl WatchConnection {
    /// Has a watch created when there is a stream.
    pub(super) fn queue(&mut self, id: WatchId) {
        if let Some(watched) = self.watches.get_mut(&id) {
            watched.leave(Phase::Queued);
            self.queued.push_back(id);
        }
    }

    /// Ends a watch with an error.
    pub(super) fn end(&mut self, id: WatchId, error: Error) {
        if let Some(watched) = self.watches.remove(&id) {
            self.leave_server(watched.wire(), None);
            self.outputs.push_back((id, WatchOutput::Ended(error)));
        }
    }

    /// Ends all watches, each with the error.
    pub(super) fn end_all(&mut self, error: &Error) {
        let ids: Vec<_> = self.watches.keys().copied().collect();
        for id in ids {
            self.end(id, error.clone());
        }
    }

    /// Ends a creation on the server, of a watch that is to hear of it if it is named.
    pub(super) fn leave_server(&mut self, wire: Option<i64>, watch: Option<WatchId>) {
        if let (Some(wire), StreamState::Open(_) | StreamState::Opening) = (wire, &self.stream) {
            self.wires.remove(&wire);
            if self.mode == WatchMode::Duplex {
                self.leaving.insert(wire, watch);
                self.outbox.push_back(WatchCancel::new(wire).into());
                return;
            }
            self.close(None);
        }
        self.outputs.extend(watch.map(|watch| (watch, WatchOutput::Left)));
    }

    /// Takes note that a creation is gone; `false` if it was not meant to be.
    pub(super) fn handle_left(&mut self, wire: i64) -> bool {
        let Some(watch) = self.leaving.remove(&wire) else {
            return false;
        };
        self.outputs.extend(watch.map(|watch| (watch, WatchOutput::Left)));
        true
    }

    /// Closes the stream, to open another after a pause.
    pub(super) fn reopen(&mut self, now: Instant, cause: Error, entropy: u64) {
        if let StreamState::Open(stream) = &self.stream
            && now >= stream.opened + Backoff::CEILING
        {
            self.backoff.reset();
        }
        let pause = self.backoff.next_pause(entropy);
        let since = self.disconnected.take().map_or(now, |(since, _)| since);
        self.disconnected = Some((since, Some(Arc::new(cause))));
        self.close(Some(now + pause));
    }

    pub(super) fn retry_at_once(&mut self, now: Instant) {
        if let StreamState::Closed { retry_at } = &mut self.stream {
            *retry_at = Some(now);
        }
    }

    /// Has the next stream opened at another endpoint, or with another token.
    pub(super) fn avoid(&mut self, elsewhere: bool, stale_token: bool) {
        self.elsewhere |= elsewhere;
        self.stale_token |= stale_token;
    }

    pub(super) fn close(&mut self, retry_at: Option<Instant>) {
        self.must_close = !matches!(self.stream, StreamState::Closed { .. });
        self.stream = StreamState::Closed { retry_at };
        self.wires.clear();
        let left = std::mem::take(&mut self.leaving).into_values().flatten();
        self.outputs.extend(left.map(|watch| (watch, WatchOutput::Left)));
        self.strangers.clear();
        self.outbox.clear();
        self.queued.clear();
        for (id, watched) in &mut self.watches {
            match watched.phase {
                Phase::Queued | Phase::Creating { .. } | Phase::Live { .. } => {
                    watched.leave(Phase::Queued);
                    self.queued.push_back(*id);
                }
                Phase::Paused | Phase::Checking => {}
            }
        }
    }
}
