//! What goes on by itself after a compaction: an observer and a mirror.

use std::time::Duration;

use anyetcd::{Client, KeyRange, KeyValue, Mirror, ObservationStatus, Observed};
use etcd_guarantees::{ObserverItem, ObserverRecorder};
use futures_util::future::{Either, select};

use crate::plan;
use crate::soak::Soak;

/// What is observed.
fn keys() -> KeyRange {
    plan::some_keys(0..20)
}

/// Follows the keys by events.
pub(crate) async fn observe(soak: &Soak, client: Client) {
    const NAME: &str = "observer";
    let record = soak.recorder.observer(NAME, keys()).prev_kv();
    let now = || soak.world.now();
    let mut observe = loop {
        match client.observe(keys()).prev_kv().await {
            Ok(observe) => break observe,
            Err(error) => soak.must_pass(&error),
        }
    };
    let mut tick = soak.world.tick(Duration::from_millis(100));
    loop {
        if let Some(end) = soak.end().filter(|end| observe.revision() >= end.last) {
            return record.push(now(), ObserverItem::Due { revision: end.last });
        }
        let next = {
            let next = std::pin::pin!(observe.try_next());
            match select(next, std::pin::pin!(tick.next())).await {
                Either::Left((next, _)) => next,
                Either::Right(_) => continue,
            }
        };
        let observed = next.unwrap().expect("it goes on for ever");
        soak.tally.note(NAME, |counts| counts.batches += 1);
        match observed {
            Observed::Snapshot { revision, kvs } => record.snapshot(now(), revision, kvs),
            Observed::Changes {
                revision,
                events,
                is_synthetic,
            } => {
                soak.tally.note(NAME, |counts| {
                    counts.events += events.len();
                    counts.compacted += usize::from(is_synthetic);
                });
                if is_synthetic {
                    record.difference(now(), revision, events);
                } else {
                    record.changes(now(), events);
                    record.progress(now(), revision);
                }
            }
            Observed::Progress { revision } => {
                soak.tally.note(NAME, |counts| counts.progress += 1);
                record.progress(now(), revision);
            }
            observed => panic!("{observed:?}"),
        }
    }
}

/// Keeps the keys in memory, and looks at them now and then.
pub(crate) async fn mirror(soak: &Soak, client: Client) {
    const NAME: &str = "mirror";
    let record = soak.recorder.observer(NAME, keys());
    let mirror = loop {
        match client.mirror(keys()).await {
            Ok(mirror) => break mirror,
            Err(error) => soak.must_pass(&error),
        }
    };
    while soak.end().is_none() {
        note_view(soak, NAME, &record, &mirror, 0);
        soak.world.sleep(Duration::from_millis(50)).await;
        if soak.dice.roll(4) == 0 {
            let written = soak.writing.revision();
            match mirror.sync().await {
                Ok(revision) => {
                    assert!(
                        revision >= written,
                        "synced at {revision} after {written} was written"
                    );
                    note_view(soak, NAME, &record, &mirror, revision);
                }
                Err(error) => soak.must_pass(&error),
            }
        }
    }
    let last = soak.end().expect("it has ended").last;
    while let Err(error) = mirror.wait_for(last).await {
        soak.must_pass(&error);
    }
    note_view(soak, NAME, &record, &mirror, last);
    let held: Vec<KeyValue> = mirror.view().iter().map(|(_, kv)| kv.clone()).collect();
    assert_eq!(
        held,
        client.get(keys()).await.unwrap().kvs,
        "the server has something else"
    );
    let follows = || matches!(mirror.status(), ObservationStatus::Following);
    soak.until("the mirror follows", follows).await;
}

/// What it shows, which is all up to its own revision and up to `synced`.
fn note_view(soak: &Soak, name: &str, record: &ObserverRecorder, mirror: &Mirror, synced: i64) {
    let view = mirror.view();
    soak.tally.note(name, |counts| counts.batches += 1);
    let pairs = view.iter().map(|(_, kv)| kv.clone());
    record.view(soak.world.now(), view.revision().max(synced), pairs);
}
