//! Waiting in line for a lock, or for the lead of an election: one key below the name for each that holds it or waits.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use anyetcd::{BoxFuture, Result, prefix};
use futures_util::future::{Either, select};

use super::World;

/// Long enough for a server to write the key of a waiter: given up just then, it would leave the key to its lease.
pub(super) const ENOUGH_TO_QUEUE: Duration = Duration::from_secs(5);

/// Long enough, unless the machine is very busy, for a server to notice that it has written the key of a waiter.
const ENOUGH_TO_SETTLE: Duration = Duration::from_millis(300);

/// Long enough for a server to notice that a waiter has gone, and to take its key away.
const ENOUGH_TO_LEAVE: Duration = Duration::from_secs(15);

/// Waits until `count` hold what they want or wait for it.
pub(super) async fn until_in_line(world: &World, name: &str, count: i64) {
    let keys = prefix(format!("{name}/"));
    World::until(async || world.client.get(keys.clone()).count_only().await.unwrap().count == count).await;
}

/// Drops `second` once it waits behind the one that holds what it wants; returns whether it leaves the line. Dropped just when
/// its key was written, it may leave the key to its lease.
pub(super) async fn leaves_when_dropped<T: Debug>(
    world: &World,
    name: &str,
    second: BoxFuture<'_, Result<T>>,
) -> bool {
    match select(second, pin!(until_in_line(world, name, 2))).await {
        Either::Left((got, _)) => panic!("it did not have to wait: {got:?}"),
        Either::Right(((), waiting)) => {
            World::pause(ENOUGH_TO_SETTLE).await;
            drop(waiting);
        }
    }
    let left = pin!(until_in_line(world, name, 1));
    matches!(
        select(left, pin!(World::pause(ENOUGH_TO_LEAVE))).await,
        Either::Left(_)
    )
}
