//! A watch, and who follows it: what it was told is recorded, to be judged.

use std::time::{Duration, Instant};

use anyetcd::error::WatchError;
use anyetcd::message::{Event, EventType, WatchFilter};
use anyetcd::{
    BufferLimits, BufferPolicy, Client, ErrorKind, KeyRange, Watch, WatchBatch, WatchCall, WatchStatus,
};
use etcd_guarantees::{WatchItem, WatchRecorder, WatchRequest};
use futures_util::future::{Either, select};

use crate::soak::{End, Soak};

/// What one watch asks for, and how it is read.
#[derive(Clone)]
pub(crate) struct Watcher {
    name: String,
    keys: KeyRange,
    filter: Option<WatchFilter>,
    prev_kv: bool,
    fragment: bool,
    progress: bool,
    policy: BufferPolicy,
    limits: BufferLimits,
    pace: Pace,
    moves: bool,
}

impl Watcher {
    pub(crate) fn new(name: &str, keys: impl Into<KeyRange>) -> Self {
        Self {
            name: name.to_owned(),
            keys: keys.into(),
            filter: None,
            prev_kv: false,
            fragment: false,
            progress: false,
            policy: BufferPolicy::Wait,
            limits: BufferLimits::default(),
            pace: Pace::Fast,
            moves: false,
        }
    }

    pub(crate) fn filter(self, filter: WatchFilter) -> Self {
        Self {
            filter: Some(filter),
            ..self
        }
    }

    pub(crate) fn prev_kv(self) -> Self {
        Self {
            prev_kv: true,
            ..self
        }
    }

    pub(crate) fn fragment(self) -> Self {
        Self {
            fragment: true,
            ..self
        }
    }

    pub(crate) fn progress(self) -> Self {
        Self {
            progress: true,
            ..self
        }
    }

    /// Has little room, and takes its time, until the writers are done.
    pub(crate) fn slow(self, policy: BufferPolicy) -> Self {
        let limits = BufferLimits {
            events: 20,
            bytes: 1 << 20,
        };
        let pace = Pace::Slow;
        Self {
            policy,
            limits,
            pace,
            ..self
        }
    }

    /// Has little room, and comes for more when it lies so far behind that it is told of the rest in several messages.
    pub(crate) fn sleepy(self) -> Self {
        let pace = Pace::Sleepy;
        Self {
            pace,
            ..self.slow(BufferPolicy::Wait)
        }
    }

    /// Goes on from a resume token in another client now and then.
    pub(crate) fn moves(self) -> Self {
        Self { moves: true, ..self }
    }

    /// Follows the watch to the end.
    pub(crate) async fn run(self, soak: &Soak, new_client: &dyn Fn() -> Client) {
        let record = soak.recorder.watch(&self.name, self.request());
        let now = || soak.world.now();
        let mut client = new_client();
        let mut call = self.call(&client);
        // A token continues what began; anything else begins.
        let mut begins = true;
        let mut connected = None;
        loop {
            let mut watch = match call.clone().await {
                Ok(watch) => watch,
                Err(error) => {
                    soak.must_pass(&error);
                    soak.world.sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            soak.begins(&self.name, watch.handle());
            if begins {
                record.started(now(), watch.position());
            }
            begins = false;
            match self.follow(soak, &mut watch, &record, &mut connected).await {
                Turn::Done(end) => {
                    record.push(now(), WatchItem::Due { revision: end.last });
                    return soak.is_done(&self.name);
                }
                Turn::Compacted {
                    position,
                    compact_revision,
                } => {
                    let compact_revision = soak.compactions.excuse(position, compact_revision);
                    record.push(now(), WatchItem::Compacted { compact_revision });
                    call = self.call(&client).start_revision(compact_revision + 1);
                    begins = true;
                }
                Turn::Lagged { position } => {
                    record.push(
                        now(),
                        WatchItem::Lagged {
                            resume_revision: position,
                        },
                    );
                    let token = watch.resume_token();
                    assert_eq!(token.revision(), position);
                    record.reopened(now(), position);
                    call = self.call(&client).resume(token);
                }
                Turn::Moves => {
                    let token = watch.resume_token();
                    drop(watch);
                    record.reopened(now(), token.revision());
                    client = new_client();
                    connected = None;
                    call = self.call(&client).resume(token);
                }
            }
        }
    }

    /// Takes batches until something else happens.
    async fn follow(
        &self,
        soak: &Soak,
        watch: &mut Watch,
        record: &WatchRecorder,
        connected: &mut Option<Instant>,
    ) -> Turn {
        let mut tick = soak.world.tick(Duration::from_millis(100));
        loop {
            if let Some(end) = soak.end().filter(|end| watch.position() > self.goal(*end)) {
                return Turn::Done(end);
            }
            let next = {
                let next = std::pin::pin!(watch.try_next());
                match select(next, std::pin::pin!(tick.next())).await {
                    Either::Left((next, _)) => next,
                    // The future of the next batch was dropped: nothing may be lost with it.
                    Either::Right(_) if self.moves && soak.dice.roll(15) == 0 => {
                        soak.tally.note(&self.name, |counts| counts.moved += 1);
                        return Turn::Moves;
                    }
                    Either::Right(_) => continue,
                }
            };
            note_connection(soak, &self.name, connected, &watch.status());
            match next {
                Ok(Some(batch)) => self.take(soak, record, batch, watch.position()),
                Ok(None) => panic!("{}: nobody cancelled it", self.name),
                Err(error) => return self.turn_for(soak, &error),
            }
            self.rest(soak, watch.position()).await;
        }
    }

    async fn rest(&self, soak: &Soak, position: i64) {
        let until = match self.pace {
            Pace::Fast => return,
            Pace::Slow => 0,
            Pace::Sleepy if position < soak.writing.revision() - FEW_REVISIONS => return,
            Pace::Sleepy => soak.writing.count() + MANY_REVISIONS,
        };
        loop {
            if soak.end().is_some() {
                return;
            }
            soak.world.sleep(Duration::from_millis(40)).await;
            if soak.writing.count() >= until {
                return;
            }
        }
    }

    fn take(&self, soak: &Soak, record: &WatchRecorder, batch: WatchBatch, position: i64) {
        assert_eq!(batch.revision() + 1, position, "{}", self.name);
        soak.tally.note(&self.name, |counts| {
            counts.batches += 1;
            counts.events += batch.events().len();
            counts.progress += usize::from(batch.is_progress());
            counts.coalesced += usize::from(batch.is_coalesced());
        });
        assert!(
            !batch.is_coalesced() || self.policy == BufferPolicy::Coalesce,
            "{}",
            self.name
        );
        if batch.is_progress() {
            assert!(self.progress, "{}", self.name);
        } else {
            self.has_pairs_before(soak, batch.events());
            record.batch(soak.world.now(), batch.into_events());
        }
        record.progress(soak.world.now(), position - 1);
        soak.is_at(&self.name, position);
    }

    /// Whether each event tells the pair before it, unless a compaction that was asked for by now excuses it.
    fn has_pairs_before(&self, soak: &Soak, events: &[Event]) {
        let compacted = soak.compactions.newest();
        for event in events {
            let had_one = event.event_type == EventType::Delete || event.kv.version > 1;
            let is_due = self.prev_kv && had_one && event.kv.mod_revision > compacted;
            assert!(
                event.prev_kv.is_some() || !is_due,
                "{}: {event:?}, compacted {compacted}",
                self.name
            );
        }
    }

    fn turn_for(&self, soak: &Soak, error: &anyetcd::Error) -> Turn {
        match error.kind() {
            ErrorKind::Watch(WatchError::Compacted {
                position,
                compact_revision,
            }) => {
                soak.tally.note(&self.name, |counts| counts.compacted += 1);
                Turn::Compacted {
                    position: *position,
                    compact_revision: *compact_revision,
                }
            }
            ErrorKind::Watch(WatchError::Lagged { position }) => {
                soak.tally.note(&self.name, |counts| counts.lagged += 1);
                assert_eq!(self.policy, BufferPolicy::Lag, "{}", self.name);
                Turn::Lagged { position: *position }
            }
            kind => panic!("{}: {kind:?}", self.name),
        }
    }

    fn call(&self, client: &Client) -> WatchCall {
        let call = client.watch(self.keys.clone());
        let mut call = call.buffer(self.policy).buffer_limits(self.limits);
        if let Some(filter) = &self.filter {
            call = call.filter(filter.clone());
        }
        if self.prev_kv {
            call = call.prev_kv();
        }
        if self.fragment {
            call = call.fragment();
        }
        if self.progress {
            call = call.progress_notify();
        }
        call
    }

    fn request(&self) -> WatchRequest {
        let mut request = WatchRequest::new(self.keys.clone());
        if let Some(filter) = &self.filter {
            request = request.filter(filter.clone());
        }
        if self.prev_kv {
            request = request.prev_kv();
        }
        if self.policy == BufferPolicy::Coalesce {
            request = request.coalesced();
        }
        request
    }

    /// The last revision that holds anything for it.
    fn goal(&self, end: End) -> i64 {
        match self.filter {
            Some(WatchFilter::NoPut) => end.all_deleted,
            _ => end.last,
        }
    }
}

/// How soon the next batch is taken.
#[derive(Clone, Copy)]
enum Pace {
    Fast,
    /// After a moment.
    Slow,
    /// After many revisions, once it has caught up.
    Sleepy,
}

/// More than a server sends in one message (`watchBatchMaxRevs`).
const MANY_REVISIONS: usize = 1_500;

/// Who is no further behind has caught up.
const FEW_REVISIONS: i64 = 100;

/// What following a watch comes to.
enum Turn {
    Done(End),
    Compacted { position: i64, compact_revision: i64 },
    Lagged { position: i64 },
    Moves,
}

/// Counts a connection that was opened anew.
pub(crate) fn note_connection(soak: &Soak, name: &str, last: &mut Option<Instant>, status: &WatchStatus) {
    if let WatchStatus::Connected { since } = status
        && last.replace(*since).is_some_and(|last| last != *since)
    {
        soak.tally.note(name, |counts| counts.reopened += 1);
    }
}
