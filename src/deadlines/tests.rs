//! Deadlines under a clock that is moved by hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Duration;

use super::*;

/// A runtime whose time stands still until it is moved, and whose tasks run when they are told to.
#[derive(Debug)]
struct ByHand {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    now: Instant,
    sleeps: Vec<(Instant, Waker)>,
    sleeps_made: usize,
    tasks: Vec<BoxFuture<'static, ()>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inner")
    }
}

impl Runtime for ByHand {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        lock(&self.inner).tasks.push(task);
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        lock(&self.inner).sleeps_made += 1;
        let inner = self.inner.clone();
        Box::pin(std::future::poll_fn(move |cx| {
            let mut inner = lock(&inner);
            if inner.now >= deadline {
                return Poll::Ready(());
            }
            inner.sleeps.push((deadline, cx.waker().clone()));
            Poll::Pending
        }))
    }

    fn now(&self) -> Instant {
        lock(&self.inner).now
    }

    fn entropy(&self) -> u64 {
        0
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Scenario {
    runtime: Arc<ByHand>,
    deadlines: Deadlines,
    start: Instant,
}

impl Scenario {
    fn new() -> Self {
        let start = Instant::now();
        let runtime = Arc::new(ByHand {
            inner: Arc::new(Mutex::new(Inner {
                now: start,
                sleeps: Vec::new(),
                sleeps_made: 0,
                tasks: Vec::new(),
            })),
        });
        Self {
            deadlines: Deadlines::new(runtime.clone()),
            runtime,
            start,
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    /// Moves the clock, and runs the tasks; how many are left.
    fn advance_to(&self, seconds: u64) -> usize {
        lock(&self.runtime.inner).now = self.at(seconds);
        self.run()
    }

    fn run(&self) -> usize {
        let tasks = std::mem::take(&mut lock(&self.runtime.inner).tasks);
        for mut task in tasks {
            if task
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
            {
                lock(&self.runtime.inner).tasks.push(task);
            }
        }
        lock(&self.runtime.inner).tasks.len()
    }

    fn sleeps_made(&self) -> usize {
        lock(&self.runtime.inner).sleeps_made
    }
}

fn poll(reached: &mut Reached<'_>, woken: &Arc<Woken>) -> bool {
    let waker = Waker::from(woken.clone());
    Pin::new(reached)
        .poll(&mut Context::from_waker(&waker))
        .is_ready()
}

#[test]
fn each_is_woken_at_its_own_time_whatever_the_order_of_coming() {
    let scenario = Scenario::new();
    let times = [5, 3, 9, 3];
    let woken: Vec<Arc<Woken>> = times.iter().map(|_| Arc::default()).collect();
    let mut waiting: Vec<_> = times
        .map(|time| scenario.deadlines.reached(scenario.at(time)))
        .into();
    for (reached, woken) in waiting.iter_mut().zip(&woken) {
        assert!(!poll(reached, woken));
        scenario.run();
    }
    for now in 0..=10 {
        scenario.advance_to(now);
        for ((reached, woken), time) in waiting.iter_mut().zip(&woken).zip(times) {
            let due = now >= time;
            assert_eq!(
                woken.0.load(Ordering::SeqCst),
                usize::from(due),
                "{time} at {now}"
            );
            assert_eq!(poll(reached, woken), due);
        }
    }
}

#[test]
fn calls_that_end_in_time_share_one_sleep() {
    let scenario = Scenario::new();
    for call in 0..1000u64 {
        let mut reached = scenario
            .deadlines
            .reached(scenario.at(10) + Duration::from_millis(call));
        assert!(!poll(&mut reached, &Arc::default()));
        scenario.run();
    }
    assert_eq!(scenario.sleeps_made(), 1);
}

#[test]
fn the_task_ends_when_nothing_is_waiting_and_comes_back() {
    let scenario = Scenario::new();
    let woken = Arc::<Woken>::default();
    drop({
        let mut reached = scenario.deadlines.reached(scenario.at(10));
        assert!(!poll(&mut reached, &woken));
        reached
    });
    assert_eq!(scenario.run(), 1, "it sleeps on, for whoever comes next");
    assert_eq!(scenario.advance_to(10), 0);
    let mut reached = scenario.deadlines.reached(scenario.at(20));
    assert!(!poll(&mut reached, &woken));
    assert_eq!(scenario.run(), 1);
    assert_eq!(scenario.advance_to(20), 0);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(poll(&mut reached, &woken));
}

#[test]
fn a_task_that_the_runtime_dropped_is_replaced() {
    let scenario = Scenario::new();
    let woken = Arc::<Woken>::default();
    let mut first = scenario.deadlines.reached(scenario.at(10));
    assert!(!poll(&mut first, &woken));
    scenario.run();
    drop(std::mem::take(&mut lock(&scenario.runtime.inner).tasks));
    let mut second = scenario.deadlines.reached(scenario.at(15));
    assert!(!poll(&mut second, &woken));
    scenario.run();
    scenario.advance_to(15);
    assert!(poll(&mut first, &woken) && poll(&mut second, &woken));
}

#[test]
fn the_task_ends_with_the_client() {
    let Scenario {
        runtime,
        deadlines,
        start,
    } = Scenario::new();
    let mut reached = deadlines.reached(start + Duration::from_secs(3600));
    assert!(!poll(&mut reached, &Arc::default()));
    drop(reached);
    let scenario = Scenario {
        deadlines: Deadlines::new(runtime.clone()),
        runtime,
        start,
    };
    assert_eq!(scenario.run(), 1);
    drop(deadlines);
    assert_eq!(scenario.run(), 0);
}

#[test]
fn a_deadline_in_the_past_is_reached_at_once() {
    let scenario = Scenario::new();
    let mut reached = scenario.deadlines.reached(scenario.start);
    assert!(poll(&mut reached, &Arc::default()));
    assert_eq!(scenario.run(), 0, "no task was needed");
}
