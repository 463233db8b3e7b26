//! Executor and clock.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use etcd_core::runtime::Runtime as _;
use etcd_embedded::sim::SimRuntime;

use crate::steps::seconds;

#[test]
fn timers_fire_in_their_order_and_the_clock_shows_their_time() {
    let runtime = SimRuntime::new(1);
    let handle = runtime.handle();
    let start = handle.now();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for after in [3, 1, 2] {
        let (handle, seen, sleep) = (
            handle.clone(),
            seen.clone(),
            handle.sleep_until(start + seconds(after)),
        );
        runtime.handle().spawn(Box::pin(async move {
            sleep.await;
            seen.lock().unwrap().push((after, handle.now() - start));
        }));
    }
    runtime.block_on(handle.sleep_until(start + seconds(10)));
    assert_eq!(
        *seen.lock().unwrap(),
        [1, 2, 3].map(|after| (after, seconds(after)))
    );
    assert_eq!(runtime.task_count(), 0);
}

#[test]
fn ready_tasks_run_in_an_order_that_the_seed_decides() {
    let order = |seed| {
        let runtime = SimRuntime::new(seed);
        let seen = Arc::new(Mutex::new(Vec::new()));
        for number in 0..10 {
            let seen = seen.clone();
            let task = async move { seen.lock().unwrap().push(number) };
            runtime.handle().spawn(Box::pin(task));
        }
        runtime.run_ready();
        Arc::try_unwrap(seen).unwrap().into_inner().unwrap()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn time_stepped_by_hand_stops_where_it_was_told_to() {
    let runtime = SimRuntime::new(1);
    let handle = runtime.handle();
    let seen = Arc::new(Mutex::new(0));
    let task = {
        let (handle, seen) = (handle.clone(), seen.clone());
        async move {
            loop {
                handle.sleep_until(handle.now() + seconds(1)).await;
                *seen.lock().unwrap() += 1;
            }
        }
    };
    handle.spawn(Box::pin(task));
    runtime.advance(Duration::from_millis(2500));
    assert_eq!(*seen.lock().unwrap(), 2);
    assert_eq!(runtime.elapsed(), Duration::from_millis(2500));
    runtime.advance(Duration::from_millis(500));
    assert_eq!(*seen.lock().unwrap(), 3);
}

#[test]
#[should_panic(expected = "nothing is ready and nothing is due: 1 tasks wait")]
fn to_wait_for_what_cannot_come_is_a_panic_that_says_what_waits() {
    let runtime = SimRuntime::new(1);
    runtime.handle().spawn(Box::pin(std::future::pending()));
    runtime.block_on(std::future::pending::<()>());
}

#[test]
#[should_panic(expected = "not over after")]
fn to_wait_for_ever_is_a_panic_too() {
    let runtime = SimRuntime::new(1);
    let handle = runtime.handle();
    runtime.block_on(async {
        loop {
            handle.sleep_until(handle.now() + seconds(60)).await;
        }
    });
}

#[test]
fn a_forgotten_timer_does_not_move_the_clock() {
    let runtime = SimRuntime::new(1);
    let handle = runtime.handle();
    let start = handle.now();
    let mut forgotten = handle.sleep_until(start + seconds(1));
    runtime.block_on(async {
        let polled = std::future::poll_fn(|cx| Poll::Ready(forgotten.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
        drop(forgotten);
        handle.sleep_until(start + seconds(5)).await;
    });
    assert_eq!(runtime.elapsed(), seconds(5));
}

#[test]
fn tasks_are_dropped_with_the_runtime() {
    let held = Arc::new(());
    let runtime = SimRuntime::new(1);
    let task = {
        let (held, handle) = (held.clone(), runtime.handle());
        async move {
            handle.sleep_until(handle.now() + seconds(1)).await;
            drop(held);
        }
    };
    runtime.handle().spawn(Box::pin(task));
    runtime.run_ready();
    assert_eq!(Arc::strong_count(&held), 2);
    drop(runtime);
    assert_eq!(Arc::strong_count(&held), 1);
}
