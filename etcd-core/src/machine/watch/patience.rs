//! How long a server may take to answer when it is asked whether it is there.
//!
//! A gateway says nothing while it puts a long history into one line, whatever it is asked: seconds for tens of megabytes,
//! and more on a machine that is busy. A client that left it each time would never get that line, and have it made again
//! and again. So a server that was alive when the stream was opened is given more time on the next one.
//!
//! ```text
//!              left for its silence: twice as long
//!   as set ───────────────────────────────────────▶ longer ──┐ again, up to 16 times
//!     ▲                                               │ ▲    │
//!     └───────────────────────────────────────────────┘ └────┘
//!       a stream has outlived what it was given,
//!       and is not silent for longer than as set
//! ```

use std::time::{Duration, Instant};

use super::stream::OpenStream;
use super::{WatchMode, WatchTimes};
use crate::runtime::later;

/// The longest, in multiples of what is set: 80 s by default. On two cores that others kept busy, etcd took 15 s for a
/// line of 54 MB; that leaves time enough for the longest line that is taken by default, 256 MiB.
const MOST: u32 = 16;

#[derive(Debug)]
pub(super) struct Patience {
    times: WatchTimes,
    factor: u32,
}

impl Patience {
    pub(super) fn new(times: WatchTimes) -> Self {
        Self { times, factor: 1 }
    }

    /// After how long a silence the server is asked, and how long it may take to answer.
    ///
    /// Where nothing can be asked, a stream without events is as silent as one whose server is gone, and is opened anew
    /// in the same time however often.
    pub(super) fn limits(&self, mode: WatchMode) -> (Duration, Duration) {
        match mode {
            WatchMode::Duplex => (self.times.idle, self.times.patience * self.factor),
            WatchMode::Single => (self.times.idle_single, self.times.patience),
        }
    }

    /// Takes note that the server was asked on `stream` and did not answer in time.
    pub(super) fn handle_silence(&mut self, stream: &OpenStream) {
        if stream.is_greeted() {
            self.factor = (self.factor * 2).min(MOST);
        }
    }

    /// Takes note that something was heard on `stream`, which does not know it yet.
    pub(super) fn handle_heard(&mut self, now: Instant, stream: &OpenStream) {
        let (idle, patience) = self.limits(WatchMode::Duplex);
        let outlives = now >= later(later(stream.opened, idle), patience);
        let is_lively = now < later(later(stream.heard, idle), self.times.patience);
        if outlives && is_lively {
            self.factor = 1;
        }
    }
}
