//! Records a run while it happens, from wherever it happens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_core::key::KeyRange;
use etcd_core::message::{Event, KeyValue, Txn};

use crate::record::write;
use crate::{
    Effect, HolderState, LeaseEnd, LeaseItem, LeaseRecord, ObserverItem, ObserverRecord, Outcome, Record,
    Timed, WatchItem, WatchRecord, WatchRequest, WriteRecord,
};

/// Collects what happens in a run. Clones record into the same [`Record`]. Time is an argument.
#[derive(Clone, Debug)]
pub struct Recorder {
    begin: Instant,
    record: Arc<Mutex<Record>>,
}

impl Recorder {
    /// For a run that begins `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            begin: now,
            record: Arc::default(),
        }
    }

    /// What has been recorded so far.
    #[must_use]
    pub fn record(&self) -> Record {
        self.lock().clone()
    }

    /// A watch.
    #[must_use]
    pub fn watch(&self, name: impl Into<String>, request: WatchRequest) -> WatchRecorder {
        let mut record = self.lock();
        record.watches.push(WatchRecord {
            name: name.into(),
            request,
            items: Vec::new(),
        });
        WatchRecorder {
            index: record.watches.len() - 1,
            recorder: self.clone(),
        }
    }

    /// A put or a delete that begins, or anything else with these effects. Its outcome is unknown until it is recorded.
    pub fn write(
        &self,
        now: Instant,
        name: impl Into<String>,
        effects: impl IntoIterator<Item = impl Into<Effect>>,
    ) -> WriteRecorder {
        let branch = effects.into_iter().map(Into::into).collect();
        self.write_in_branches(now, name.into(), vec![branch])
    }

    /// A transaction that begins. Its outcome is unknown until it is recorded.
    pub fn txn(&self, now: Instant, name: impl Into<String>, txn: &Txn) -> WriteRecorder {
        self.write_in_branches(now, name.into(), write::branches(txn))
    }

    /// A lease that was granted for `ttl`. `tolerance` is how late the record of what its holder believes may be:
    /// nothing under virtual time.
    #[must_use]
    pub fn lease(
        &self,
        name: impl Into<String>,
        id: i64,
        ttl: Duration,
        tolerance: Duration,
    ) -> LeaseRecorder {
        let mut record = self.lock();
        record.leases.push(LeaseRecord {
            name: name.into(),
            id,
            ttl,
            tolerance,
            items: Vec::new(),
        });
        LeaseRecorder {
            index: record.leases.len() - 1,
            recorder: self.clone(),
        }
    }

    /// An observer or a mirror of `keys`.
    #[must_use]
    pub fn observer(&self, name: impl Into<String>, keys: impl Into<KeyRange>) -> ObserverRecorder {
        let mut record = self.lock();
        record.observers.push(ObserverRecord {
            name: name.into(),
            keys: keys.into(),
            prev_kv: false,
            items: Vec::new(),
        });
        ObserverRecorder {
            index: record.observers.len() - 1,
            recorder: self.clone(),
        }
    }

    fn write_in_branches(&self, now: Instant, name: String, branches: Vec<Vec<Effect>>) -> WriteRecorder {
        let (invoked, mut record) = self.passed(now);
        record.writes.push(WriteRecord {
            name,
            branches,
            invoked,
            returned: None,
            outcome: Outcome::Unknown,
        });
        WriteRecorder {
            index: record.writes.len() - 1,
            recorder: self.clone(),
        }
    }

    /// The present as the record has it, which then lasts until this moment at least.
    fn passed(&self, now: Instant) -> (Duration, MutexGuard<'_, Record>) {
        let at = self.since_begin(now);
        let mut record = self.lock();
        record.lasted = record.lasted.max(at);
        (at, record)
    }

    fn since_begin(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begin)
    }

    /// Even after a panic elsewhere: what was recorded until then is what explains it.
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records what one watch is told; see [`WatchItem`].
#[derive(Clone, Debug)]
pub struct WatchRecorder {
    recorder: Recorder,
    index: usize,
}

impl WatchRecorder {
    /// The watch promises the events from `revision` on.
    pub fn started(&self, now: Instant, revision: i64) {
        self.push(now, WatchItem::Started { revision });
    }

    /// Events arrived together.
    pub fn batch(&self, now: Instant, events: impl IntoIterator<Item = Event>) {
        let events = events.into_iter().collect();
        self.push(now, WatchItem::Batch { events });
    }

    /// Everything up to `revision` has arrived.
    pub fn progress(&self, now: Instant, revision: i64) {
        self.push(now, WatchItem::Progress { revision });
    }

    /// The server is asked to go on from `revision`.
    pub fn reopened(&self, now: Instant, revision: i64) {
        self.push(now, WatchItem::Reopened { revision });
    }

    /// Anything else.
    pub fn push(&self, now: Instant, item: WatchItem) {
        let (at, mut record) = self.recorder.passed(now);
        record.watches[self.index].items.push(Timed { at, item });
    }
}

/// Records what becomes of one write. Dropped without a word, the outcome stays unknown.
#[derive(Debug)]
pub struct WriteRecorder {
    recorder: Recorder,
    index: usize,
}

impl WriteRecorder {
    /// It was acknowledged at `revision`, and changed something.
    pub fn applied(self, now: Instant, revision: i64) {
        self.returned(now, Outcome::Applied { revision });
    }

    /// It was acknowledged at `revision`, and there was nothing to change.
    pub fn unchanged(self, now: Instant, revision: i64) {
        self.returned(now, Outcome::Unchanged { revision });
    }

    /// It failed, and was definitely not applied.
    pub fn not_applied(self, now: Instant) {
        self.returned(now, Outcome::NotApplied);
    }

    /// It failed, and may have been applied.
    pub fn unknown(self, now: Instant) {
        self.returned(now, Outcome::Unknown);
    }

    fn returned(self, now: Instant, outcome: Outcome) {
        let (at, mut record) = self.recorder.passed(now);
        let write = &mut record.writes[self.index];
        (write.returned, write.outcome) = (Some(at), outcome);
    }
}

/// Records what happens to one lease.
#[derive(Clone, Debug)]
pub struct LeaseRecorder {
    recorder: Recorder,
    index: usize,
}

impl LeaseRecorder {
    /// The holder is told that it holds the lease until `deadline`.
    pub fn alive(&self, now: Instant, deadline: Instant) {
        let deadline = self.recorder.since_begin(deadline);
        self.push(now, LeaseItem::Holder(HolderState::Alive { deadline }));
    }

    /// The holder is told that the lease cannot be renewed at present.
    pub fn degraded(&self, now: Instant) {
        self.push(now, LeaseItem::Holder(HolderState::Degraded));
    }

    /// The holder is told that the lease is lost.
    pub fn lost(&self, now: Instant) {
        self.push(now, LeaseItem::Holder(HolderState::Lost));
    }

    /// The server ended the lease.
    pub fn ended(&self, now: Instant, end: LeaseEnd) {
        self.push(now, LeaseItem::Ended(end));
    }

    fn push(&self, now: Instant, item: LeaseItem) {
        let (at, mut record) = self.recorder.passed(now);
        record.leases[self.index].items.push(Timed { at, item });
    }
}

/// Records what one observer or mirror is told.
#[derive(Clone, Debug)]
pub struct ObserverRecorder {
    recorder: Recorder,
    index: usize,
}

impl ObserverRecorder {
    /// Each event has to tell the pair before it; otherwise, none may.
    #[must_use]
    pub fn prev_kv(self) -> Self {
        self.recorder.lock().observers[self.index].prev_kv = true;
        self
    }

    /// All pairs at `revision`.
    pub fn snapshot(&self, now: Instant, revision: i64, pairs: impl IntoIterator<Item = KeyValue>) {
        let pairs = pairs.into_iter().collect();
        self.push(now, ObserverItem::Snapshot { revision, pairs });
    }

    /// Events of a watch.
    pub fn changes(&self, now: Instant, events: impl IntoIterator<Item = Event>) {
        let events = events.into_iter().collect();
        self.push(now, ObserverItem::Changes { events });
    }

    /// Synthetic events that lead to the state at `revision`.
    pub fn difference(&self, now: Instant, revision: i64, events: impl IntoIterator<Item = Event>) {
        let events = events.into_iter().collect();
        self.push(now, ObserverItem::Difference { revision, events });
    }

    /// Everything up to `revision` has arrived.
    pub fn progress(&self, now: Instant, revision: i64) {
        self.push(now, ObserverItem::Progress { revision });
    }

    /// What a mirror shows at `revision`.
    pub fn view(&self, now: Instant, revision: i64, pairs: impl IntoIterator<Item = KeyValue>) {
        let pairs: BTreeMap<Bytes, KeyValue> =
            pairs.into_iter().map(|pair| (pair.key.clone(), pair)).collect();
        self.push(now, ObserverItem::View { revision, pairs });
    }

    /// It says that it has caught up with `revision`; `written` was the newest revision when it was asked.
    pub fn caught_up(&self, now: Instant, revision: i64, written: i64) {
        self.push(now, ObserverItem::CaughtUp { revision, written });
    }

    /// It says that it has been cut off since a moment at which `newest` was the newest revision.
    pub fn cut_off(&self, now: Instant, newest: i64) {
        self.push(now, ObserverItem::CutOff { newest });
    }

    /// Anything else.
    pub fn push(&self, now: Instant, item: ObserverItem) {
        let (at, mut record) = self.recorder.passed(now);
        record.observers[self.index].items.push(Timed { at, item });
    }
}
