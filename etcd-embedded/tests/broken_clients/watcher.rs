//! A watcher by hand, right or wrong.
//!
//! ```text
//!            ┌── nobody answers, or the stream ends or falls silent: another member, from `position` ──┐
//!            ▼                                                                                         │
//!   Opening ── head ──▶ Reading ── events ──▶ position = revision of the last + 1 ─────────────────────┤
//!                         ├── progress ──▶ position = its revision + 1                                 │
//!                         └── compacted ──▶ position = what history begins with ───────────────────────┘
//! ```

use std::time::Duration;

use etcd_core::key::KeyRange;
use etcd_core::message::{WatchCreate, WatchResponse};
use etcd_core::runtime::Runtime as _;
use etcd_guarantees::{WatchItem, WatchRecorder};

use super::client::RawClient;
use super::messages::Messages;

/// What is wrong with a watcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchBug {
    #[default]
    None,
    /// It goes on from the revision after the one in the header of whatever came last.
    ResumesAfterHeader,
    /// It takes what arrives at once for whole lines, and leaves out what cannot be read.
    SplitsOnChunks,
}

pub struct Watcher {
    client: RawClient,
    keys: KeyRange,
    bug: WatchBug,
    recorder: WatchRecorder,
    /// The first revision that has not been seen.
    position: i64,
}

/// Between a stream's end and the next attempt.
const PAUSE: Duration = Duration::from_millis(50);

impl Watcher {
    pub fn new(client: RawClient, keys: KeyRange, bug: WatchBug, recorder: WatchRecorder) -> Self {
        Self {
            client,
            keys,
            bug,
            recorder,
            position: 1,
        }
    }

    /// Watches for ever.
    pub async fn run(mut self) {
        self.recorder.started(self.client.runtime.now(), self.position);
        loop {
            self.watch().await;
            self.client.move_on();
            self.client.sleep(PAUSE).await;
            let now = self.client.runtime.now();
            self.recorder.reopened(now, self.position);
        }
    }

    /// One stream, from its beginning to its end.
    async fn watch(&mut self) {
        let create = WatchCreate::new(self.keys.clone())
            .start_revision(self.position)
            .watch_id(1)
            .progress_notify()
            .prev_kv();
        let Some(mut messages) = Messages::open(&self.client, create).await else {
            return;
        };
        if self.bug == WatchBug::SplitsOnChunks {
            messages = messages.taking_chunks_for_lines();
        }
        while let Some(message) = messages.next().await {
            if !self.take(message) {
                return;
            }
        }
    }

    /// Takes a message; `false` if the stream is of no more use.
    fn take(&mut self, message: WatchResponse) -> bool {
        let now = self.client.runtime.now();
        let WatchResponse {
            header,
            compact_revision,
            ..
        } = message;
        if compact_revision != 0 {
            self.recorder.push(now, WatchItem::Compacted { compact_revision });
            self.position = compact_revision;
            self.recorder.started(now, self.position);
            return false;
        }
        if message.canceled {
            return false;
        }
        let events: Vec<_> = message
            .events
            .into_iter()
            .filter(|event| event.kv.mod_revision >= self.position)
            .collect();
        if let Some(last) = events.last() {
            self.position = last.kv.mod_revision + 1;
            self.recorder.batch(now, events);
        } else if !message.created && header.revision >= self.position - 1 {
            // A member that lags may report less than another did before.
            self.position = header.revision + 1;
            self.recorder.progress(now, header.revision);
        }
        if self.bug == WatchBug::ResumesAfterHeader {
            self.position = header.revision + 1;
        }
        true
    }
}
