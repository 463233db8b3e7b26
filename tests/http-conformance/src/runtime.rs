//! The other seam: spawn, sleep, now, entropy.

use std::time::Duration;

use futures_channel::oneshot;

use crate::World;

pub async fn spawned_tasks_run(world: World) {
    let (send, receive) = oneshot::channel();
    world
        .runtime
        .spawn(Box::pin(async move { send.send(7).unwrap() }));
    assert_eq!(receive.await, Ok(7));
}

pub async fn blocking_work_runs_elsewhere(world: World) {
    let here = std::thread::current().id();
    let (send, receive) = oneshot::channel();
    world
        .runtime
        .spawn_blocking(Box::new(move || send.send(std::thread::current().id()).unwrap()));
    assert_ne!(receive.await.unwrap(), here);
}

pub async fn a_sleep_ends_at_its_deadline_and_not_before(world: World) {
    let deadline = world.runtime.now() + Duration::from_millis(20);
    world.runtime.sleep_until(deadline).await;
    assert!(world.runtime.now() >= deadline);
}

pub async fn a_deadline_in_the_past_is_over(world: World) {
    let past = world.runtime.now();
    world.runtime.sleep_until(past).await;
    assert!(world.runtime.now() >= past);
}

pub async fn entropy_does_not_repeat(world: World) {
    let numbers: std::collections::HashSet<u64> = (0..64).map(|_| world.runtime.entropy()).collect();
    assert_eq!(numbers.len(), 64);
}
