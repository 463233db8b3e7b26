//! Readers of a mirror.

use std::pin::pin;

use anyetcd::{Mirror, MirrorView, ObservationStatus};
use etcd_guarantees::ObserverRecorder;
use futures_util::future::select;

use super::compaction::begin_while_compacting;
use super::line::Line;
use super::wish::Wish;
use crate::trial::Trial;

/// Reads a mirror for ever; now and then another one, with another client.
pub(super) async fn mirror(trial: &Trial, wish: &Wish, line: &Line, record: &ObserverRecorder) {
    let world = &trial.world;
    let mut client = line.connect(trial);
    loop {
        let written = trial.chronicle.continue_with(world);
        let call = client.mirror(wish.keys.clone()).into_future();
        let begun = match world.random(4) {
            0 if trial.is_troubled() => Some(begin_while_compacting(trial, call).await),
            1 => trial.within(trial.pace.patience, call).await,
            _ => Some(call.await),
        };
        let Some(Ok(mirror)) = begun else {
            world.sleep(trial.part(trial.pace.rest)).await;
            continue;
        };
        let reader = Reader {
            trial,
            line,
            record,
            mirror: &mirror,
        };
        let shown = reader.look(&mirror.view());
        record.caught_up(world.now(), shown, written);
        select(pin!(reader.read()), pin!(reader.take_updates(wish.slow))).await;
        if world.random(2) == 0 {
            client = line.connect(trial);
        }
    }
}

struct Reader<'a> {
    trial: &'a Trial,
    line: &'a Line,
    record: &'a ObserverRecorder,
    mirror: &'a Mirror,
}

impl Reader<'_> {
    /// Reads until it is to begin anew.
    async fn read(&self) {
        let world = &self.trial.world;
        loop {
            match world.random(6) {
                0 => drop(self.look(&self.mirror.view())),
                1 => self.wait_for_what_there_is().await,
                2 => self.look_at_status(),
                3 if self.trial.is_troubled() && world.random(8) == 0 => return,
                _ => self.sync().await,
            }
            world.sleep(self.trial.part(self.trial.pace.rest)).await;
        }
    }

    /// What is read after it is what there is.
    async fn sync(&self) {
        let world = &self.trial.world;
        let written = self.trial.chronicle.continue_with(world);
        let synced = self
            .trial
            .within(self.trial.pace.patience, self.mirror.sync())
            .await;
        // It may be given up, and it may fail while servers cannot be reached.
        let Some(Ok(revision)) = synced else { return };
        self.look(&self.mirror.view());
        self.record.caught_up(world.now(), revision, written);
        self.line.caught_up.set(revision);
    }

    /// What is read after it shows what was written at the revision.
    async fn wait_for_what_there_is(&self) {
        let world = &self.trial.world;
        let newest = self.trial.chronicle.continue_with(world);
        let revision = newest - (world.random(3) as i64).min(newest - 1);
        let waited = self.mirror.wait_for(revision);
        if let Some(Ok(())) = self.trial.within(self.trial.pace.patience, waited).await {
            self.look(&self.mirror.view());
            self.record.caught_up(world.now(), revision, revision);
        }
    }

    fn look_at_status(&self) {
        let world = &self.trial.world;
        self.look(&self.mirror.view());
        let status = self.mirror.status();
        if let ObservationStatus::Interrupted { since, .. } = status {
            let newest = self.trial.chronicle.newest_at(world, since);
            self.record.cut_off(world.now(), newest);
        }
        self.line.set_status(&status);
    }

    /// Takes what changes, of which the last has to come.
    async fn take_updates(&self, slow: bool) {
        let world = &self.trial.world;
        let mut updates = self.mirror.updates();
        loop {
            match self.trial.within(self.trial.pace.patience, updates.next()).await {
                Some(Some(view)) => {
                    self.look(&view);
                    self.line.update();
                }
                Some(None) => panic!("nothing may end it: {:?}", self.mirror),
                None => {}
            }
            if slow && self.trial.is_troubled() {
                world.sleep(self.trial.part(self.trial.pace.slowness)).await;
            }
        }
    }

    /// Takes down what it shows; returns the revision.
    fn look(&self, view: &MirrorView<anyetcd::KeyValue>) -> i64 {
        let pairs: Vec<_> = view.iter().map(|(_, pair)| pair.clone()).collect();
        let (now, revision) = (self.trial.world.now(), view.revision());
        self.line.show(revision, pairs.clone());
        self.record.view(now, revision, pairs);
        revision
    }
}
