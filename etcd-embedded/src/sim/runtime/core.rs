//! Tasks, timers and the time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use etcd_core::runtime::BoxFuture;

use super::Device;
use crate::random::Random;

/// Tasks, timers and the time.
pub(super) struct Core {
    start: Instant,
    state: Mutex<State>,
    ready: Arc<Ready>,
}

/// What changes.
struct State {
    now: Instant,
    random: Random,
    tasks: Vec<Slot>,
    /// Places in `tasks` that are free.
    vacant: Vec<usize>,
    timers: BTreeMap<TimerKey, Waker>,
    next_timer: u64,
    device: Option<Weak<dyn Device>>,
    /// No task runs before.
    frozen_until: Option<Instant>,
    closed: bool,
}

/// A place for a task.
#[derive(Default)]
struct Slot {
    waker: Option<Arc<TaskWaker>>,
    /// Absent while it runs.
    task: Option<BoxFuture<'static, ()>>,
}

/// By time, and in the order in which they were set where that is the same.
pub(super) type TimerKey = (Instant, u64);

/// The tasks that have been woken.
#[derive(Default)]
struct Ready(Mutex<Vec<Arc<TaskWaker>>>);

pub(super) struct TaskWaker {
    /// The place of the task, `None` for the future that `block_on` runs.
    place: Option<usize>,
    is_queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::Relaxed) {
            lock(&self.ready.0).push(self.clone());
        }
    }
}

/// Nothing panics while it holds a lock of this module; if it did, there is nothing better to go on with.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    pub(super) fn new(seed: u64) -> Self {
        let start = Instant::now();
        let state = State {
            now: start,
            random: Random::new(seed),
            tasks: Vec::new(),
            vacant: Vec::new(),
            timers: BTreeMap::new(),
            next_timer: 0,
            device: None,
            frozen_until: None,
            closed: false,
        };
        Self {
            start,
            state: Mutex::new(state),
            ready: Arc::default(),
        }
    }

    /// Drops every task, and takes no more.
    pub(super) fn close(&self) {
        let (tasks, timers) = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.vacant.clear();
            (
                std::mem::take(&mut state.tasks),
                std::mem::take(&mut state.timers),
            )
        };
        // What is dropped here may use the runtime.
        drop((tasks, timers));
        lock(&self.ready.0).clear();
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now() - self.start
    }

    pub(super) fn entropy(&self) -> u64 {
        lock(&self.state).random.next_u64()
    }

    /// The number of tasks that have not ended.
    pub(super) fn task_count(&self) -> usize {
        let state = lock(&self.state);
        state.tasks.len() - state.vacant.len()
    }

    /// Adds what acts by itself.
    pub(super) fn attach(&self, device: Weak<dyn Device>) {
        lock(&self.state).device = Some(device);
    }

    pub(super) fn new_waker(&self, place: Option<usize>) -> Arc<TaskWaker> {
        Arc::new(TaskWaker {
            place,
            is_queued: AtomicBool::new(false),
            ready: self.ready.clone(),
        })
    }

    pub(super) fn spawn(&self, task: BoxFuture<'static, ()>) {
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            return drop(task);
        }
        let place = state.vacant.pop().unwrap_or(state.tasks.len());
        let waker = self.new_waker(Some(place));
        let slot = Slot {
            waker: Some(waker.clone()),
            task: Some(task),
        };
        if place == state.tasks.len() {
            state.tasks.push(slot);
        } else {
            state.tasks[place] = slot;
        }
        drop(state);
        waker.wake();
    }

    /// Sets a timer, or its waker anew; `None` once its time has come.
    pub(super) fn set_timer(
        &self,
        deadline: Instant,
        key: Option<TimerKey>,
        waker: &Waker,
    ) -> Option<TimerKey> {
        let mut state = lock(&self.state);
        if state.now >= deadline {
            return None;
        }
        let key = key.unwrap_or_else(|| {
            state.next_timer += 1;
            (deadline, state.next_timer)
        });
        state.timers.insert(key, waker.clone());
        Some(key)
    }

    pub(super) fn forget_timer(&self, key: TimerKey) {
        // Not under the lock: what a waker drops with it is not known here.
        let waker = lock(&self.state).timers.remove(&key);
        drop(waker);
    }

    pub(super) fn now(&self) -> Instant {
        lock(&self.state).now
    }

    /// One of the tasks that have been woken: which, is a matter of chance.
    pub(super) fn next_ready(&self) -> Option<Arc<TaskWaker>> {
        if lock(&self.state).frozen_until.is_some() {
            return None;
        }
        let mut ready = lock(&self.ready.0);
        let position = match ready.len() {
            0 => return None,
            1 => 0,
            several => {
                let drawn = lock(&self.state).random.below(several as u64);
                usize::try_from(drawn).unwrap_or_default()
            }
        };
        let woken = ready.swap_remove(position);
        woken.is_queued.store(false, Ordering::Relaxed);
        Some(woken)
    }

    pub(super) fn run_task(&self, woken: Arc<TaskWaker>) {
        let Some(place) = woken.place else { return };
        let task = {
            let mut state = lock(&self.state);
            let slot = state.tasks.get_mut(place).filter(|slot| {
                slot.waker
                    .as_ref()
                    .is_some_and(|waker| Arc::ptr_eq(waker, &woken))
            });
            slot.and_then(|slot| slot.task.take())
        };
        // A task that has ended may still be woken.
        let Some(mut task) = task else { return };
        let waker = Waker::from(woken);
        let is_over = task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if is_over {
            // Before its place is given away, since its end may spawn.
            drop(task);
            let mut state = lock(&self.state);
            if let Some(slot) = state.tasks.get_mut(place) {
                *slot = Slot::default();
                state.vacant.push(place);
            }
        } else if let Some(slot) = lock(&self.state).tasks.get_mut(place) {
            slot.task = Some(task);
        }
    }

    pub(super) fn device(&self) -> Option<Arc<dyn Device>> {
        lock(&self.state).device.as_ref()?.upgrade()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let device = self.device().and_then(|device| device.poll_timeout());
        let state = lock(&self.state);
        let own = match state.frozen_until {
            Some(until) => Some(until),
            None => state.timers.first_key_value().map(|(key, _)| key.0),
        };
        own.into_iter().chain(device).min()
    }

    fn set_now(&self, now: Instant) -> Instant {
        let mut state = lock(&self.state);
        state.now = state.now.max(now);
        state.now
    }

    /// Lets no task run for a while, the future of `block_on` included; then all that came in the meantime is there at
    /// once.
    pub(super) fn freeze(&self, duration: Duration) {
        let mut state = lock(&self.state);
        let until = state.now + duration;
        state.frozen_until = state.frozen_until.max(Some(until));
    }

    /// Moves the clock without running anything that becomes due on the way: all of it is late.
    pub(super) fn leap(&self, duration: Duration) {
        let mut state = lock(&self.state);
        state.now += duration;
    }

    /// Moves the clock and fires what is due.
    pub(super) fn move_to(&self, now: Instant) {
        let now = self.set_now(now);
        if let Some(device) = self.device() {
            device.handle_timeout(now);
        }
        {
            let mut state = lock(&self.state);
            // The device may have moved the clock on.
            if state.frozen_until.is_some_and(|until| until > state.now) {
                return;
            }
            state.frozen_until = None;
        }
        loop {
            let mut state = lock(&self.state);
            let now = state.now;
            let Some(timer) = state.timers.first_entry().filter(|timer| timer.key().0 <= now) else {
                return;
            };
            let waker = timer.remove();
            drop(state);
            waker.wake();
        }
    }
}
