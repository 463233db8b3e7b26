//! Clients that write, and remember what they were told.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyetcd::{Client, Transport, prefix};
use etcd_embedded::sim::World;
use futures_util::future::{Either, join_all, select};

/// What a client was told of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was made, at this revision.
    Made(i64),
    /// It was not.
    NotMade,
    /// Nothing certain.
    Unknown,
}

/// What all clients were told, by key. Each write has a key of its own, so that its version says how often it was
/// made.
pub(crate) type Record = Arc<Mutex<BTreeMap<String, Told>>>;

/// How many writes were...
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) made: usize,
    pub(crate) not_made: usize,
    pub(crate) unknown_and_made: usize,
    pub(crate) unknown_and_not_made: usize,
}

/// Between two writes, at most.
const PAUSE: Duration = Duration::from_millis(300);

/// Whatever is under way in a network is there or lost after this time: its longest stall, and what a cluster takes to
/// answer.
const SETTLED: Duration = Duration::from_secs(60);

/// A client on a transport of its own.
pub(crate) fn client(world: &World) -> Client {
    client_on(world, world.transport())
}

pub(crate) fn client_on(world: &World, transport: Arc<dyn Transport>) -> Client {
    Client::builder()
        .endpoints(world.endpoints())
        .transport(world.runtime(), transport)
        .build()
        .unwrap()
}

/// Writes with pauses, and sometimes gives a write up before it has an answer.
pub(crate) async fn write(
    world: &World,
    client: Client,
    name: String,
    count: u32,
    longest_pause: Duration,
    record: Record,
) {
    for number in 0..count {
        let key = format!("{name}/{number}");
        let put = pin!(async { client.put(key.as_str(), name.as_str()).await });
        let patience = match world.random(10) {
            0 => Duration::from_micros(world.random(3000)),
            _ => Duration::from_secs(3600),
        };
        let told = match select(put, world.sleep(patience)).await {
            Either::Left((Ok(response), _)) => Told::Made(response.header.revision),
            Either::Left((Err(error), _)) if error.is_outcome_unknown() => Told::Unknown,
            Either::Left((Err(_), _)) => Told::NotMade,
            Either::Right(_) => Told::Unknown,
        };
        world.note(&format!("{key}: {told:?}"));
        record.lock().unwrap().insert(key.clone(), told);
        let pause = u64::try_from(longest_pause.as_micros()).unwrap();
        world.sleep(Duration::from_micros(world.random(pause))).await;
    }
}

/// Lets these clients write at once, then compares what they were told with what there is.
pub(crate) fn run(world: &World, clients: impl IntoIterator<Item = Client>, writes: u32) -> Counts {
    let record = Record::default();
    let clients: Vec<_> = clients.into_iter().collect();
    let reader = clients[0].clone();
    let writers = clients.into_iter().enumerate();
    let writers = writers
        .map(|(number, client)| write(world, client, format!("c{number}"), writes, PAUSE, record.clone()));
    world.block_on(join_all(writers));
    check(world, &reader, &record)
}

/// Compares what clients were told with what there is.
pub(crate) fn check(world: &World, reader: &Client, record: &Record) -> Counts {
    world.calm_down();
    world.advance(SETTLED);
    let found = world.block_on(async { reader.get(prefix("c")).await }).unwrap();
    let found: BTreeMap<_, _> = found.kvs.iter().map(|pair| (pair.key.to_vec(), pair)).collect();
    let mut counts = Counts::default();
    for (key, told) in record.lock().unwrap().iter() {
        let pair = found.get(key.as_bytes());
        let times = pair.map_or(0, |pair| pair.version);
        assert!(times <= 1, "{key} was written {times} times");
        match (told, pair) {
            (Told::Made(revision), Some(pair)) => {
                assert_eq!(pair.mod_revision, *revision, "{key} was made at another revision");
                counts.made += 1;
            }
            (Told::Made(_), None) => panic!("{key} was acknowledged and is lost"),
            (Told::NotMade, Some(_)) => panic!("{key} was said not to be made, and is there"),
            (Told::NotMade, None) => counts.not_made += 1,
            (Told::Unknown, Some(_)) => counts.unknown_and_made += 1,
            (Told::Unknown, None) => counts.unknown_and_not_made += 1,
        }
    }
    counts
}
