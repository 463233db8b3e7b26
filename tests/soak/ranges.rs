//! One watch over ranges that come and go. Each time a range is watched is a watch of its own, and judged as one.

use std::time::Duration;

use anyetcd::error::WatchError;
use anyetcd::{Client, ErrorKind, KeyRange, WatchHandle};
use etcd_guarantees::{WatchItem, WatchRecorder, WatchRequest};
use futures_util::future::{Either, select};

use crate::plan;
use crate::soak::Soak;
use crate::watcher::note_connection;

pub(crate) const NAME: &str = "changing ranges";

/// The ranges that are watched, each with its record.
struct Ranges<'s> {
    soak: &'s Soak,
    present: Vec<(KeyRange, WatchRecorder)>,
}

pub(crate) async fn run(soak: &Soak, client: Client) {
    let mut ranges = Ranges {
        soak,
        present: Vec::new(),
    };
    let mut watch = loop {
        match client.watch(plan::key(0)).await {
            Ok(watch) => break watch,
            Err(error) => soak.must_pass(&error),
        }
    };
    ranges.begins(plan::key(0).into(), watch.position());
    let handle = watch.handle();
    soak.begins(NAME, watch.handle());
    let mut tick = soak.world.tick(Duration::from_millis(50));
    let mut connected = None;
    loop {
        if let Some(end) = soak.end().filter(|end| watch.position() > end.last) {
            for (_, record) in &ranges.present {
                record.push(soak.world.now(), WatchItem::Due { revision: end.last });
            }
            return soak.is_done(NAME);
        }
        let next = {
            let next = std::pin::pin!(watch.try_next());
            match select(next, std::pin::pin!(tick.next())).await {
                Either::Left((next, _)) => next,
                Either::Right(_) => {
                    if soak.end().is_none() && !soak.is_away() {
                        ranges.change(&handle).await;
                    }
                    continue;
                }
            }
        };
        note_connection(soak, NAME, &mut connected, &watch.status());
        match next {
            Ok(Some(batch)) => {
                soak.tally.note(NAME, |counts| {
                    counts.batches += 1;
                    counts.events += batch.events().len();
                });
                let of_it = ranges.present.iter().find(|(keys, _)| keys == batch.keys());
                let (_, record) = of_it.expect("a range that was added and not removed");
                record.batch(soak.world.now(), batch.into_events());
            }
            Ok(None) => panic!("it is never without a range"),
            Err(error) => match error.kind() {
                ErrorKind::Watch(WatchError::Compacted {
                    position,
                    compact_revision,
                }) => {
                    let keys = error.keys().expect("it says which range it was");
                    ranges
                        .compacted(&handle, keys, *position, *compact_revision)
                        .await;
                }
                kind => panic!("{kind:?}"),
            },
        }
    }
}

impl Ranges<'_> {
    fn begins(&mut self, keys: KeyRange, position: i64) {
        let name = format!("range {:?}", keys.key());
        let record = self.soak.recorder.watch(name, WatchRequest::new(keys.clone()));
        record.started(self.soak.world.now(), position);
        self.present.push((keys, record));
    }

    /// Adds or removes a range.
    async fn change(&mut self, handle: &WatchHandle) {
        let dice = &self.soak.dice;
        let first = dice.roll(20);
        let keys: KeyRange = match dice.roll(3) {
            0 => (plan::key(first)..plan::key(first + 5)).into(),
            _ => plan::key(first).into(),
        };
        match self.present.iter().position(|(present, _)| *present == keys) {
            Some(place) if self.present.len() > 3 => {
                assert!(handle.remove(keys));
                self.present.remove(place);
            }
            Some(_) => {}
            None if self.present.len() < 6 => self.add(handle, keys, self.soak.writing.revision()).await,
            None => {
                let (keys, _) = self.present.remove(dice.roll(self.present.len()));
                assert!(handle.remove(keys));
            }
        }
    }

    async fn add(&mut self, handle: &WatchHandle, keys: KeyRange, revision: i64) {
        match handle.add_from(keys.clone(), revision).await {
            Ok(()) => {
                self.soak.tally.note(NAME, |counts| counts.moved += 1);
                self.begins(keys, revision);
            }
            Err(error) => self.soak.must_pass(&error),
        }
    }

    /// The range has ended, and begins anew after what is gone.
    async fn compacted(
        &mut self,
        handle: &WatchHandle,
        keys: &KeyRange,
        position: i64,
        compact_revision: i64,
    ) {
        let soak = self.soak;
        soak.tally.note(NAME, |counts| counts.compacted += 1);
        let compact_revision = soak.compactions.excuse(position, compact_revision);
        let left = handle.keys();
        assert!(
            left.len() + 1 == self.present.len() && !left.contains(keys),
            "{left:?}"
        );
        let gone = self.present.iter().find(|(present, _)| present == keys);
        let (keys, record) = gone.expect("a range that was added and not removed");
        record.push(soak.world.now(), WatchItem::Compacted { compact_revision });
        let revision = compact_revision + 1;
        // Before the watch is asked for more: it ends once it is over nothing.
        while let Err(error) = handle.add_from(keys.clone(), revision).await {
            soak.must_pass(&error);
        }
        record.started(soak.world.now(), revision);
    }
}
