//! Clients that write, and remember what they were told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyetcd::{Client, prefix};
use etcd_embedded::sim::World;

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

/// A client on a transport of its own.
pub(crate) fn client(world: &World) -> Client {
    Client::builder()
        .endpoints(world.endpoints())
        .transport(world.runtime(), world.transport())
        .build()
        .unwrap()
}

/// Writes, with pauses, and sometimes gives a write up before it has an answer.
pub(crate) async fn write(
    world: &World,
    client: Client,
    name: String,
    count: u32,
    longest_pause: Duration,
    record: Record,
) {
    use futures_util::future::{Either, select};
    for number in 0..count {
        let key = format!("{name}/{number}");
        let put = std::pin::pin!(async { client.put(key.as_str(), name.as_str()).await });
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

/// Compares what clients were told with what there is. Returns how often each was the case: made, not made, unknown
/// and made, unknown and not made.
pub(crate) fn check(world: &World, record: &Record) -> [usize; 4] {
    world.calm_down();
    // Whatever is still under way arrives or is lost: nothing in a network is older than the longest stall.
    world.advance(Duration::from_secs(60));
    let reader = client(world);
    let found = world.block_on(async { reader.get(prefix("c")).await }).unwrap();
    let found: BTreeMap<_, _> = found
        .kvs
        .iter()
        .map(|pair| (String::from_utf8(pair.key.to_vec()).unwrap(), pair))
        .collect();
    let mut counts = [0; 4];
    for (key, told) in record.lock().unwrap().iter() {
        let pair = found.get(key);
        let times = pair.map_or(0, |pair| pair.version);
        assert!(times <= 1, "{key} was written {times} times");
        let case = match (told, pair) {
            (Told::Made(revision), Some(pair)) => {
                assert_eq!(pair.mod_revision, *revision, "{key} was made at another revision");
                0
            }
            (Told::Made(_), None) => panic!("{key} was acknowledged and is lost"),
            (Told::NotMade, Some(_)) => panic!("{key} was said not to be made, and is there"),
            (Told::NotMade, None) => 1,
            (Told::Unknown, Some(_)) => 2,
            (Told::Unknown, None) => 3,
        };
        counts[case] += 1;
    }
    counts
}

/// Between two writes, at most.
const PAUSE: Duration = Duration::from_millis(300);

/// Lets `clients` write at once. Returns what [`check`] counts.
pub(crate) fn run(world: &World, clients: usize, writes: u32) -> [usize; 4] {
    let record = Record::default();
    world.block_on(async {
        let writers = (0..clients).map(|number| {
            write(
                world,
                client(world),
                format!("c{number}"),
                writes,
                PAUSE,
                record.clone(),
            )
        });
        futures_util::future::join_all(writers).await
    });
    check(world, &record)
}
