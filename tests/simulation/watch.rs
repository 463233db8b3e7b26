//! Watches in a world where everything fails: what each was told, held against what happened.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyetcd::error::WatchError;
use anyetcd::message::{Event, EventType, WatchFilter};
use anyetcd::{
    BufferLimits, BufferPolicy, Client, Delete, ErrorKind, KeyRange, Put, Txn, Watch, WatchCall, prefix,
};
use etcd_embedded::sim::{Disturbance, Faults, Schedule, World, seeds};
use etcd_embedded::store::ChangeKind;
use etcd_embedded::{Config, Dialect};
use etcd_guarantees::{History, Recorder, WatchItem, WatchRecorder, WatchRequest};

use crate::writers::client;

const KEYS: u64 = 6;
const SECOND: Duration = Duration::from_secs(1);
/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(60);
/// After that long without trouble, everything has arrived: the longest that a connection may seem alive and not be is
/// a stall of 10 s, and 15 s until it is noticed.
const PEACE: Duration = Duration::from_secs(120);

/// All that happened, taken from the server before a compaction can drop it.
#[derive(Clone, Default)]
struct Chronicle(Arc<Mutex<Chapters>>);

#[derive(Default)]
struct Chapters {
    events: Vec<Event>,
    revision: i64,
    compacted: i64,
}

impl Chronicle {
    /// Writes down what has happened since the last time; returns the newest revision.
    fn continue_with(&self, world: &World) -> i64 {
        let cluster = world.cluster();
        let newest = (0..cluster.len())
            .max_by_key(|member| cluster.inspect(*member, |server| server.store().revision()))
            .unwrap();
        let mut chapters = self.0.lock().unwrap();
        cluster.inspect(newest, |server| {
            let store = server.store();
            for revision in chapters.revision + 1..=store.revision() {
                for change in store.changes(revision) {
                    let mut event = Event::default();
                    event.kv = (*change.pair).clone();
                    if change.kind == ChangeKind::Delete {
                        event.event_type = EventType::Delete;
                    }
                    chapters.events.push(event);
                }
                chapters.revision = revision;
            }
        });
        chapters.revision
    }

    /// Excuses watches that are told that everything before `revision` is compacted, if it almost is.
    fn allow_compacted(&self, revision: i64) {
        let mut chapters = self.0.lock().unwrap();
        if revision == chapters.compacted + 1 {
            chapters.compacted = revision;
        }
    }

    fn history(&self) -> History {
        let chapters = self.0.lock().unwrap();
        let history = History::new(chapters.events.clone()).unwrap();
        history.compacted(chapters.compacted)
    }
}

/// Puts, deletes and transactions, over a few keys.
async fn write(world: &World, client: Client) {
    loop {
        let key = || format!("k/{}", world.random(KEYS));
        let value = world.random(1000).to_string();
        let write = async {
            match world.random(6) {
                0 => drop(client.delete(key()).await),
                1 | 2 => {
                    let (first, second) = (world.random(KEYS), world.random(KEYS - 1) + 1);
                    let other = format!("k/{}", (first + second) % KEYS);
                    let txn = Txn::new().then([Put::new(format!("k/{first}"), &value)]);
                    let txn = match world.random(2) {
                        0 => txn.then([Put::new(other, &value)]),
                        _ => txn.then([Delete::new(other)]),
                    };
                    drop(client.txn(txn).await);
                }
                3 => drop(client.put("elsewhere", &value).await),
                _ => drop(client.put(key(), &value).await),
            }
        };
        // Some are given up.
        let patience = Duration::from_millis(1 + world.random(3000));
        futures_util::future::select(std::pin::pin!(write), std::pin::pin!(world.sleep(patience))).await;
        world.sleep(Duration::from_millis(world.random(200))).await;
    }
}

/// Compacts now and then, up to what is written down.
async fn compact(world: &World, client: Client, chronicle: Chronicle) {
    loop {
        world.sleep(Duration::from_secs(5 + world.random(20))).await;
        let newest = chronicle.continue_with(world);
        if newest < 3 {
            continue;
        }
        let revision = newest - world.random(3) as i64;
        {
            let mut chapters = chronicle.0.lock().unwrap();
            // Whether it will be applied is not known if it fails.
            chapters.compacted = chapters.compacted.max(revision);
        }
        drop(client.compact(revision).await);
    }
}

/// What one watch asks for.
#[derive(Clone)]
struct Wish {
    keys: KeyRange,
    filter: Option<WatchFilter>,
    prev_kv: bool,
    fragment: bool,
    progress: bool,
    policy: BufferPolicy,
    slow: bool,
}

impl Wish {
    fn random(world: &World) -> Self {
        let key = format!("k/{}", world.random(KEYS));
        Self {
            keys: match world.random(3) {
                0 => key.into(),
                1 => (key..format!("k/{KEYS}")).into(),
                _ => prefix("k/"),
            },
            filter: match world.random(5) {
                0 => Some(WatchFilter::NoPut),
                1 => Some(WatchFilter::NoDelete),
                _ => None,
            },
            prev_kv: world.random(3) == 0,
            fragment: world.random(4) == 0,
            progress: world.random(3) == 0,
            policy: match world.random(4) {
                0 => BufferPolicy::Lag,
                1 => BufferPolicy::Coalesce,
                _ => BufferPolicy::Wait,
            },
            slow: world.random(3) == 0,
        }
    }

    fn call(&self, client: &Client) -> WatchCall {
        let mut call = client
            .watch(self.keys.clone())
            .buffer(self.policy)
            .buffer_limits(BufferLimits {
                events: 10,
                bytes: 1 << 20,
            });
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
}

/// Watches for ever: begins anew after an end, and sometimes from a token, with another client.
async fn watch(world: &World, wish: Wish, record: WatchRecorder, chronicle: Chronicle) {
    let mut client = client(world);
    let mut call = wish.call(&client);
    // A token continues what has begun: what lies between would not be missed in a new beginning.
    let mut begins = true;
    loop {
        let Ok(mut watch) = call.clone().await else {
            world.sleep(SECOND).await;
            continue;
        };
        if begins {
            record.started(world.now(), watch.position());
        }
        begins = false;
        let revision = match follow(world, &wish, &mut watch, &record).await {
            End::Over(error) => match error.kind() {
                ErrorKind::Watch(WatchError::Compacted {
                    position,
                    compact_revision,
                }) => {
                    // At the very revision, deletions may be lost: a watch that needs it ends as well.
                    let compact_revision = (*compact_revision).max(position + 1);
                    chronicle.allow_compacted(compact_revision);
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
                client = crate::writers::client(world);
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

async fn follow(world: &World, wish: &Wish, watch: &mut Watch, record: &WatchRecorder) -> End {
    loop {
        let patience = world.sleep(Duration::from_secs(20 + world.random(60)));
        let next = {
            let next = std::pin::pin!(watch.try_next());
            match futures_util::future::select(next, std::pin::pin!(patience)).await {
                futures_util::future::Either::Left((next, _)) => next,
                // The future of the next batch was dropped: nothing may be lost with it.
                futures_util::future::Either::Right(_) if world.random(4) == 0 => return End::Moved,
                futures_util::future::Either::Right(_) => continue,
            }
        };
        match next {
            Ok(Some(batch)) => {
                assert_eq!(batch.revision() + 1, watch.position());
                if batch.is_progress() {
                    assert!(wish.progress);
                } else {
                    record.batch(world.now(), batch.into_events());
                }
                record.progress(world.now(), watch.position() - 1);
            }
            Ok(None) => panic!("nobody cancelled it"),
            Err(error) => return End::Over(error),
        }
        // Once nothing goes wrong any more, they have to catch up.
        if wish.slow && world.elapsed() < TROUBLE {
            world.sleep(Duration::from_millis(world.random(4000))).await;
        }
    }
}

/// One watch over ranges that come and go, and one record for each time a range is watched.
async fn change_ranges(world: &World, recorder: Recorder) {
    let client = client(world);
    let mut watch = loop {
        match client.watch("k/0").await {
            Ok(watch) => break watch,
            Err(_) => world.sleep(SECOND).await,
        }
    };
    let mut present: Vec<(KeyRange, WatchRecorder)> = Vec::new();
    let name = |keys: &KeyRange| format!("range {:?}", keys.key());
    let begin = |keys: KeyRange, position: i64| {
        let record = recorder.watch(name(&keys), WatchRequest::new(keys.clone()));
        record.started(world.now(), position);
        (keys, record)
    };
    present.push(begin("k/0".into(), watch.position()));
    let handle = watch.handle();
    loop {
        let patience = world.sleep(Duration::from_millis(world.random(5000)));
        let next = {
            let next = std::pin::pin!(watch.try_next());
            match futures_util::future::select(next, std::pin::pin!(patience)).await {
                futures_util::future::Either::Left((next, _)) => Some(next),
                futures_util::future::Either::Right(_) => None,
            }
        };
        match next {
            Some(Ok(Some(batch))) => {
                let of_it = present.iter().find(|(keys, _)| keys == batch.keys());
                let (_, record) = of_it.expect("a range that was added and not removed");
                record.batch(world.now(), batch.into_events());
            }
            Some(Ok(None)) => panic!("it is never without a range"),
            Some(Err(error)) => {
                // It does not say which range it was; with compactions this would need it.
                panic!("{error:?}");
            }
            None => {
                let keys: KeyRange = format!("k/{}", world.random(KEYS)).into();
                let place = present.iter().position(|(present, _)| *present == keys);
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

/// A run of everything; returns how many events were told, and how many watches were ended by compaction or lag.
fn run(world: &World, watches: usize, compacts: bool) -> [usize; 3] {
    let recorder = Recorder::new(world.now());
    let chronicle = Chronicle::default();
    let mut records = Vec::new();
    let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    for number in 0..2 {
        let _ = number;
        tasks.push(Box::pin(write(world, client(world))));
    }
    for number in 0..watches {
        let wish = Wish::random(world);
        let record = recorder.watch(format!("watch {number}"), wish.request());
        records.push(record.clone());
        tasks.push(Box::pin(watch(world, wish, record, chronicle.clone())));
    }
    if compacts {
        tasks.push(Box::pin(compact(world, client(world), chronicle.clone())));
    } else {
        tasks.push(Box::pin(change_ranges(world, recorder.clone())));
    }
    let mut all = futures_util::future::join_all(tasks);
    let mut for_a_while = |time: Duration| {
        world.block_on(futures_util::future::select(
            &mut all,
            std::pin::pin!(world.sleep(time)),
        ));
    };
    for_a_while(TROUBLE);
    world.calm_down();
    for_a_while(PEACE);
    let due = chronicle.continue_with(world);
    for_a_while(PEACE);
    drop(all);
    for record in records {
        record.push(world.now(), WatchItem::Due { revision: due });
    }
    chronicle.continue_with(world);
    let record = recorder.record();
    let judged = record.check(&chronicle.history());
    if let Err(violations) = judged {
        for watch in &record.watches {
            eprintln!("{} {:?}", watch.name, watch.request);
            for timed in watch.items.iter().enumerate() {
                eprintln!("  {timed:?}");
            }
        }
        panic!("{violations}");
    }
    // Whatever a client left behind is gone once the server has noticed.
    world.advance(Duration::from_secs(200));
    assert_eq!(world.cluster().watch_count(), 0, "watchers are left behind");
    let items = || {
        record
            .watches
            .iter()
            .flat_map(|watch| &watch.items)
            .map(|timed| &timed.item)
    };
    [
        items()
            .map(|item| match item {
                WatchItem::Batch { events } => events.len(),
                _ => 0,
            })
            .sum(),
        items()
            .filter(|item| matches!(item, WatchItem::Compacted { .. }))
            .count(),
        items()
            .filter(|item| matches!(item, WatchItem::Lagged { .. }))
            .count(),
    ]
}

fn dialect(seed: u64) -> Dialect {
    [Dialect::G1_6, Dialect::G1_16, Dialect::G2][(seed % 3) as usize]
}

fn config(seed: u64) -> Config {
    Config::new()
        .dialect(dialect(seed))
        .watch_progress_notify_interval(2 * SECOND)
}

#[test]
fn watches_of_one_member_keep_their_promises() {
    let mut happened = [0; 3];
    seeds(30, |seed| {
        let faults = if seed % 2 == 0 {
            Faults::frequent()
        } else {
            Faults::rare()
        };
        let world = World::builder(seed)
            .config(config(seed))
            .faults(faults)
            .schedule(Schedule::every(3 * SECOND).without(Disturbance::Compact))
            .build();
        let told = run(&world, 5, seed % 3 != 0);
        happened = std::array::from_fn(|index| happened[index] + told[index]);
    });
    eprintln!("events, compactions and lags told: {happened:?}");
}

#[test]
fn watches_of_a_cluster_keep_their_promises() {
    seeds(20, |seed| {
        let world = World::builder(seed)
            .members(3)
            .config(config(seed))
            .faults(Faults::rare())
            .schedule(Schedule::every(2 * SECOND).without(Disturbance::Compact))
            .build();
        run(&world, 4, seed % 3 != 0);
    });
}
