//! The life of the stream: how it opens and ends, when the next one is opened and in what way, and what becomes of the
//! watches meanwhile.

use std::sync::Arc;
use std::time::Instant;

use super::WatchConnection;
use crate::error::{Error, ErrorKind, Retry};
use crate::machine::Backoff;
use crate::machine::watch::stream::{OpenStream, ProgressAnswers, Purpose, question};
use crate::machine::watch::watched::Phase;
use crate::machine::watch::{WatchMode, WatchOutput};
use crate::message::WatchProgress;

/// Whether there is a stream.
#[derive(Debug)]
pub(super) enum StreamState {
    Closed {
        retry_at: Option<Instant>,
    },
    /// With the ids of the creations it begins with: the greeting's two questions, or the only watch.
    Opening {
        first: i64,
        last: i64,
    },
    Open(OpenStream),
}

impl WatchConnection {
    /// Takes note that the stream is open.
    pub fn handle_opened(&mut self, now: Instant) {
        let StreamState::Opening { first, last } = self.stream else {
            // Its only watch was cancelled meanwhile: it is about to be closed.
            return;
        };
        self.silent_opens = 0;
        self.disconnected = None;
        match self.mode {
            WatchMode::Duplex => {
                let mut stream = OpenStream::new(now, ProgressAnswers::Unknown);
                stream.handle_sent(now, first, Purpose::Question);
                stream.handle_sent(now, last, Purpose::EndOfGreeting);
                // Not numbered: what answers this one is worth nothing in any case.
                self.outbox.push_back(WatchProgress::default().into());
                self.outbox.push_back(question(last));
                self.stream = StreamState::Open(stream);
            }
            WatchMode::Single => {
                let mut stream = OpenStream::new(now, ProgressAnswers::AtOnce);
                stream.handle_sent(now, first, Purpose::Create);
                self.stream = StreamState::Open(stream);
            }
        }
    }

    /// Takes note that bytes came, even if they do not make a message yet.
    pub fn handle_activity(&mut self, now: Instant) {
        if let StreamState::Open(stream) = &mut self.stream {
            self.patience.handle_heard(now, stream);
            stream.handle_activity(now);
        }
    }

    /// Takes note that the stream ended, with `cause` or without one, or that it could not be opened.
    pub fn handle_closed(&mut self, now: Instant, cause: Error, entropy: u64) {
        let was_opening = matches!(self.stream, StreamState::Opening { .. });
        let retry = cause.retry();
        let is_silent = matches!(cause.kind(), ErrorKind::Timeout(_));
        if was_opening && is_silent && self.mode == WatchMode::Duplex {
            self.ask_whether_reachable();
        }
        match retry {
            Retry::Never => {
                self.close(None);
                self.end_all(&cause);
            }
            _ => self.reopen(now, cause, entropy),
        }
        self.must_close = false;
        self.avoid(
            retry == Retry::Elsewhere && !was_opening,
            retry == Retry::AfterLogin,
        );
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
        self.must_close |= !matches!(self.stream, StreamState::Closed { .. });
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
