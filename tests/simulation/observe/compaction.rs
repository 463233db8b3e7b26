//! Compactions where they hurt.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::line::Line;
use crate::trial::Trial;

/// As long as a list of several pages takes.
const A_FEW_MESSAGES: Duration = Duration::from_millis(6);

/// Cuts a consumer off, or not, compacts around the very revision that it needs next, and connects it again.
pub(super) async fn compact_ahead_of(trial: &Trial, lines: &[Line]) {
    let (world, pace) = (&trial.world, &trial.pace);
    let client = trial.client();
    loop {
        world
            .sleep(pace.compaction / 5 + trial.part(pace.compaction))
            .await;
        if !trial.is_troubled() {
            return;
        }
        let line = &lines[world.random(lines.len() as u64) as usize];
        let transport = line.transport().filter(|_| world.random(2) == 0);
        if let Some(transport) = &transport {
            match world.random(2) {
                0 => transport.refuse(),
                _ => transport.silence(),
            }
            world.sleep(trial.part(pace.rest * 3)).await;
        }
        let newest = trial.chronicle.continue_with(world);
        let revision = match world.random(4) {
            0 => newest,
            ahead => line.told.get() + ahead as i64 - 1,
        };
        if (1..=newest).contains(&revision) {
            trial.chronicle.will_compact(revision);
            drop(client.compact(revision).await);
        }
        if let Some(transport) = &transport {
            world.sleep(trial.part(pace.rest)).await;
            transport.restore();
        }
    }
}

/// Begins something while the newest revision is compacted: perhaps between two pages of a list.
pub(super) async fn begin_while_compacting<F: Future>(trial: &Trial, beginning: F) -> F::Output {
    let world = &trial.world;
    let client = trial.client();
    let compact = async {
        world.sleep(trial.part(A_FEW_MESSAGES)).await;
        let newest = trial.chronicle.continue_with(world);
        trial.chronicle.will_compact(newest);
        drop(client.compact(newest).await);
    };
    match select(pin!(beginning), pin!(compact)).await {
        Either::Left((begun, _)) => begun,
        Either::Right((_, beginning)) => beginning.await,
    }
}
