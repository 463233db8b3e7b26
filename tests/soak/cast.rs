//! Who takes part: watches of every kind, and writers.

use std::pin::Pin;

use anyetcd::message::WatchFilter;
use anyetcd::{BufferPolicy, Client, from_key};
use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream::FuturesUnordered;

use crate::plan::{self, QUIET};
use crate::soak::{End, Soak};
use crate::watcher::Watcher;
use crate::writing::{write, write_closing};
use crate::{observers, ranges, truth};

/// How many numbers are written at the same time.
const WRITERS: usize = 24;

pub(crate) const EVERYTHING: &str = "everything";
const QUIET_ONE: &str = "quiet";
const COALESCING: &str = "slow, coalesces";
const LAGGING: &str = "slow, lags";
const MOVING: &str = "moving";

type Task<'s> = Pin<Box<dyn Future<Output = ()> + 's>>;

/// Plays a soak to its end and judges it: watches by clients as `new_client` makes them, writes by `writers` in turn, and
/// meanwhile `disturb`.
pub(crate) async fn play<D>(
    soak: &Soak,
    new_client: &dyn Fn() -> Client,
    writers: &[Client],
    disturb: impl Future<Output = D>,
) {
    // What was disturbed has to be there until the end.
    let mut disturbed = None;
    let mut tasks = watching(soak, new_client);
    tasks.push(Box::pin(async {
        let mut writing = FuturesUnordered::new();
        for client in writers.iter().cycle().take(WRITERS) {
            writing.push(write(soak, client.clone()));
        }
        let all_written = async { while writing.next().await.is_some() {} };
        let ((), after) = join(all_written, disturb).await;
        disturbed = Some(after);
        let (all_deleted, last) = write_closing(soak, &writers[0]).await;
        soak.tell("all is written");
        soak.ends(End { all_deleted, last });
    }));
    soak.run(async { while tasks.next().await.is_some() {} }).await;
    drop(tasks);
    soak.tell("all was told");
    soak.judge(truth::history(&writers[0], &soak.plan).await);
    soak.tell("all is judged");
    drop(disturbed);
    all_were_disturbed(soak);
}

fn watching<'s>(soak: &'s Soak, new_client: &'s dyn Fn() -> Client) -> FuturesUnordered<Task<'s>> {
    let few = || plan::some_keys(10..15);
    // On one connection.
    let shared = new_client();
    let fast = [
        Watcher::new("one key", plan::key(7)).prev_kv(),
        Watcher::new("a range", plan::some_keys(20..30)),
        Watcher::new("with prev_kv", plan::some_keys(30..45)).prev_kv(),
        Watcher::new("deletions", plan::keys())
            .filter(WatchFilter::NoPut)
            .prev_kv(),
        Watcher::new("puts", few()).filter(WatchFilter::NoDelete),
        Watcher::new(EVERYTHING, from_key("k/")).fragment(),
        Watcher::new(QUIET_ONE, QUIET).progress(),
    ];
    let slow = [
        Watcher::new("slow, waits", few()).slow(BufferPolicy::Wait),
        Watcher::new(LAGGING, few()).slow(BufferPolicy::Lag),
        Watcher::new(COALESCING, few()).slow(BufferPolicy::Coalesce),
        Watcher::new("sleepy", from_key("k/")).fragment().sleepy(),
        Watcher::new(MOVING, few()).moves().progress(),
    ];
    let tasks: FuturesUnordered<Task<'_>> = FuturesUnordered::new();
    for watcher in fast {
        let client = shared.clone();
        tasks.push(Box::pin(
            async move { watcher.run(soak, &|| client.clone()).await },
        ));
    }
    for watcher in slow {
        tasks.push(Box::pin(watcher.run(soak, new_client)));
    }
    tasks.push(Box::pin(ranges::run(soak, shared.clone())));
    tasks.push(Box::pin(observers::observe(soak, shared)));
    tasks.push(Box::pin(observers::mirror(soak, new_client())));
    tasks
}

/// A soak that disturbed nobody would prove nothing.
fn all_were_disturbed(soak: &Soak) {
    let tally = &soak.tally;
    assert!(tally.of(EVERYTHING).reopened >= 2, "connections have ended");
    assert!(tally.of(LAGGING).lagged > 0, "a slow one has lagged");
    assert!(
        tally.of(COALESCING).coalesced > 0,
        "a slow one has left events out"
    );
    assert!(tally.of(MOVING).moved > 0, "one has moved to other clients");
    assert!(tally.of(QUIET_ONE).progress > 0, "one was told how far it is");
    assert!(tally.of(ranges::NAME).moved > 0, "ranges were added");
    assert!(
        tally.sum(|counts| counts.compacted) > 0,
        "some were told of compaction"
    );
    assert!(
        soak.writing.unknown() > 0,
        "nobody knew what had become of some writes"
    );
}
