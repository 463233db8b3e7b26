//! A consumer of an observation.

use anyetcd::error::WatchError;
use anyetcd::{ErrorKind, Observe, Observed};
use etcd_guarantees::ObserverRecorder;
use futures_util::FutureExt;

use super::compaction::begin_while_compacting;
use super::line::Line;
use super::wish::Wish;
use crate::trial::Trial;

/// Observes for ever; now and then from the beginning, with another client.
pub(super) async fn observe(trial: &Trial, wish: &Wish, line: &Line, record: &ObserverRecorder) {
    let world = &trial.world;
    let mut client = line.connect(trial);
    loop {
        let written = trial.chronicle.continue_with(world);
        let call = wish.observe(&client).into_future();
        let begun = match world.random(4) {
            0 if trial.is_troubled() => Some(begin_while_compacting(trial, call).await),
            1 => trial.within(trial.pace.patience, call).await,
            _ => Some(call.await),
        };
        let Some(Ok(observe)) = begun else {
            world.sleep(trial.part(trial.pace.rest)).await;
            continue;
        };
        let follower = Follower {
            trial,
            wish,
            line,
            record,
        };
        follower.follow(observe, written).await;
        if world.random(2) == 0 {
            client = line.connect(trial);
        }
    }
}

struct Follower<'a> {
    trial: &'a Trial,
    wish: &'a Wish,
    line: &'a Line,
    record: &'a ObserverRecorder,
}

impl Follower<'_> {
    /// Follows until it begins anew. `written` is what had been written before this observation began.
    async fn follow(&self, mut observe: Observe, written: i64) {
        let world = &self.trial.world;
        let first = observe.try_next().now_or_never();
        let Some(Ok(Some(snapshot @ Observed::Snapshot { .. }))) = first else {
            panic!("it begins with {first:?}");
        };
        let revision = snapshot.revision();
        self.take(snapshot);
        self.record.caught_up(world.now(), revision, written);
        loop {
            self.line.set_status(&observe.status());
            if world.random(4) == 0 {
                self.catch_up(&mut observe).await;
                continue;
            }
            // The future of what comes next is dropped now and then: nothing may be lost with it.
            match self.trial.within(self.trial.patience(), observe.try_next()).await {
                Some(next) => self.take_next(next),
                None if self.trial.is_troubled() && world.random(4) == 0 => return,
                None => {}
            }
            // Once nothing goes wrong any more, they have to catch up.
            if self.wish.slow && self.trial.is_troubled() {
                world.sleep(self.trial.part(self.trial.pace.slowness)).await;
            }
        }
    }

    /// What it has received then, it need not wait for; that, and what it was told before, is what there is.
    async fn catch_up(&self, observe: &mut Observe) {
        let world = &self.trial.world;
        let written = self.trial.chronicle.continue_with(world);
        let caught_up = self
            .trial
            .within(self.trial.pace.patience, observe.caught_up())
            .await;
        let revision = match caught_up {
            Some(Ok(revision)) => revision,
            Some(Err(error)) if matches!(error.kind(), ErrorKind::Watch(WatchError::BacklogFull)) => {
                return self.take_backlog(observe);
            }
            // It may be given up, and it may fail while servers cannot be reached; what would end the observation comes next.
            _ => return,
        };
        while let Some(next) = observe.try_next().now_or_never() {
            self.take_next(next);
        }
        self.record.caught_up(world.now(), revision, written);
        self.line.caught_up.set(revision);
    }

    /// All that fills it lies ready.
    fn take_backlog(&self, observe: &mut Observe) {
        assert!(self.wish.tight, "it has room for everything");
        let received = observe.revision();
        while self.line.told.get() < received {
            let next = observe.try_next().now_or_never();
            self.take_next(next.expect("it was received"));
        }
        self.line.backlogs.set(self.line.backlogs.get() + 1);
    }

    fn take_next(&self, next: anyetcd::Result<Option<Observed>>) {
        match next {
            Ok(Some(Observed::Snapshot { .. })) => panic!("a second snapshot"),
            Ok(Some(observed)) => self.take(observed),
            end => panic!("nothing may end it: {end:?}"),
        }
    }

    fn take(&self, observed: Observed) {
        let now = self.trial.world.now();
        let revision = observed.revision();
        match observed {
            Observed::Snapshot { kvs, .. } => self.record.snapshot(now, revision, kvs),
            Observed::Changes {
                events,
                is_synthetic: true,
                ..
            } => self.record.difference(now, revision, events),
            Observed::Changes { events, .. } => {
                assert!(!events.is_empty(), "changes without a change");
                self.record.changes(now, events);
                self.record.progress(now, revision);
            }
            Observed::Progress { .. } => self.record.progress(now, revision),
            other => panic!("{other:?}"),
        }
        self.line.told.set(revision);
    }
}
