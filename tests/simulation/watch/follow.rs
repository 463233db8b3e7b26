//! A consumer of a watch.

use std::time::Duration;

use anyetcd::error::WatchError;
use anyetcd::{ErrorKind, Watch};
use etcd_guarantees::{WatchItem, WatchRecorder};

use super::wish::Wish;
use crate::trial::{Reached, Trial};

/// Watches for ever: begins anew after an end, and sometimes from a token, with another client.
pub(super) async fn watch(trial: &Trial, wish: &Wish, record: &WatchRecorder, reached: Reached) {
    let world = &trial.world;
    let mut client = trial.client();
    let mut call = wish.call(&client);
    // A token continues what has begun: what lies between would not be missed in a new beginning.
    let mut begins = true;
    loop {
        let Ok(mut watch) = call.clone().await else {
            world.sleep(Duration::from_millis(500)).await;
            continue;
        };
        if begins {
            record.started(world.now(), watch.position());
        }
        begins = false;
        let revision = match follow(trial, wish, &mut watch, record, &reached).await {
            End::Over(error) => match error.kind() {
                ErrorKind::Watch(WatchError::Compacted {
                    position,
                    compact_revision,
                }) => {
                    // At the very revision, deletions may be lost: a watch that needs it ends as well.
                    let compact_revision = (*compact_revision).max(position + 1);
                    trial.chronicle.allow_compacted(compact_revision);
                    record.push(world.now(), WatchItem::Compacted { compact_revision });
                    // Of that one itself, older servers have lost the deletions.
                    compact_revision + 1
                }
                ErrorKind::Watch(WatchError::Lagged { position }) => {
                    let resume_revision = *position;
                    record.push(world.now(), WatchItem::Lagged { resume_revision });
                    let token = watch.resume_token();
                    assert_eq!(token.revision(), resume_revision);
                    record.reopened(world.now(), resume_revision);
                    call = wish.call(&client).resume(token);
                    continue;
                }
                _ => panic!("{error:?}"),
            },
            End::Moved => {
                let token = watch.resume_token();
                drop(watch);
                record.reopened(world.now(), token.revision());
                client = trial.client();
                call = wish.call(&client).resume(token);
                continue;
            }
        };
        call = wish.call(&client).start_revision(revision);
        begins = true;
    }
}

enum End {
    Over(anyetcd::Error),
    /// As if the process had been replaced.
    Moved,
}

async fn follow(
    trial: &Trial,
    wish: &Wish,
    watch: &mut Watch,
    record: &WatchRecorder,
    reached: &Reached,
) -> End {
    let world = &trial.world;
    loop {
        reached.set(watch.position() - 1);
        // The future of the next batch is dropped now and then: nothing may be lost with it.
        match trial.within(trial.pace.patience, watch.try_next()).await {
            None if world.random(4) == 0 => return End::Moved,
            None => continue,
            Some(Ok(Some(batch))) => {
                assert_eq!(batch.revision() + 1, watch.position());
                if batch.is_progress() {
                    assert!(wish.progress);
                } else {
                    record.batch(world.now(), batch.into_events());
                }
                record.progress(world.now(), watch.position() - 1);
            }
            Some(Ok(None)) => panic!("nobody cancelled it"),
            Some(Err(error)) => return End::Over(error),
        }
        // Once nothing goes wrong any more, they have to catch up.
        if wish.slow && trial.is_troubled() {
            world.sleep(trial.part(trial.pace.slowness)).await;
        }
    }
}
