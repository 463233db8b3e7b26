//! A watch whose ranges change.

use std::time::Duration;

use anyetcd::error::WatchError;
use anyetcd::{ErrorKind, KeyRange};
use etcd_guarantees::{Recorder, WatchItem, WatchRecorder, WatchRequest};

use crate::trial::{KEYS, Reached, Trial};

/// One range, for as long as it is watched.
struct Member {
    keys: KeyRange,
    record: WatchRecorder,
    /// The revision of the last event, or the one before the first.
    reached: i64,
}

/// One watch over ranges that come and go, and one record for each time a range is watched; `reached` is what the one
/// that is last has reached.
pub(super) async fn change_ranges(trial: &Trial, recorder: &Recorder, reached: Reached) {
    let world = &trial.world;
    let client = trial.client();
    let mut watch = loop {
        match client.watch("k/0").await {
            Ok(watch) => break watch,
            Err(_) => world.sleep(Duration::from_millis(500)).await,
        }
    };
    let begin = |keys: KeyRange, position: i64| {
        let name = format!("range {:?}", keys.key());
        let record = recorder.watch(name, WatchRequest::new(keys.clone()));
        record.started(world.now(), position);
        Member {
            keys,
            record,
            reached: position - 1,
        }
    };
    let mut present = vec![begin("k/0".into(), watch.position())];
    let handle = watch.handle();
    loop {
        reached.set(present.iter().map(|member| member.reached).min().unwrap());
        match trial.within(trial.pace.patience / 15, watch.try_next()).await {
            Some(Ok(Some(batch))) => {
                let of_it = present.iter_mut().find(|member| member.keys == *batch.keys());
                let member = of_it.expect("a range that was added and not removed");
                member.reached = batch.revision();
                member.record.batch(world.now(), batch.into_events());
            }
            Some(Ok(None)) => panic!("it is never without a range"),
            Some(Err(error)) => {
                let ErrorKind::Watch(WatchError::Compacted { compact_revision, .. }) = *error.kind() else {
                    panic!("{error:?}");
                };
                let keys = error.keys().expect("it says which range it was").clone();
                let place = present.iter().position(|member| member.keys == keys);
                let member = present.swap_remove(place.expect("a range that was added and not removed"));
                trial.chronicle.allow_compacted(compact_revision);
                member
                    .record
                    .push(world.now(), WatchItem::Compacted { compact_revision });
                // The watch is over if it is polled without a range.
                let start = compact_revision + 1;
                while present.is_empty() {
                    match handle.add_from(keys.clone(), start).await {
                        Ok(()) => present.push(begin(keys.clone(), start)),
                        Err(_) => world.sleep(Duration::from_millis(500)).await,
                    }
                }
            }
            None if !trial.is_troubled() => {}
            None => {
                let keys: KeyRange = format!("k/{}", world.random(KEYS)).into();
                let place = present.iter().position(|member| member.keys == keys);
                match place {
                    Some(place) if present.len() > 1 => {
                        assert!(handle.remove(keys));
                        present.remove(place);
                    }
                    Some(_) => {}
                    None => {
                        let revision = world.cluster().inspect(0, |server| server.store().revision());
                        if handle.add_from(keys.clone(), revision.max(1)).await.is_ok() {
                            present.push(begin(keys, revision.max(1)));
                        }
                    }
                }
            }
        }
    }
}
