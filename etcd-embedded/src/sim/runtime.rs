//! A runtime for one thread, whose clock moves when nothing else can.
//!
//! # How time passes
//!
//! ```text
//!             a task is ready                nothing is ready, something is due at t
//!            ┌───────────────┐              ┌──────────────────────────────────────┐
//!            ▼               │              ▼                                      │
//!         Running ───────────┘──────▶ the clock moves to t, timers fire ───────────┘
//!            │
//!            ├── the future of `block_on` is ready ──▶ done; the other tasks stay where they are
//!            └── nothing is ready and nothing is due ──▶ panic: it would wait for ever
//! ```
//!
//! An hour in which nothing happens costs nothing. Which of several ready tasks runs first is drawn from the seed, and
//! so is [`Runtime::entropy`]; there is no other source of chance, and everything happens on the caller's thread.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use etcd_core::runtime::{BoxFuture, Runtime};

use crate::random::Random;

/// A [`block_on`](SimRuntime::block_on) that takes longer than this of virtual time hangs: 10 days.
const HANGS_AFTER: Duration = Duration::from_secs(10 * 24 * 3600);

/// Tasks that are polled this often at one instant wake each other without end.
const SPINS_AFTER: u64 = 10_000_000;

/// Executor and virtual clock.
///
/// [`handle`](Self::handle) is what a client is given. Dropping the runtime drops its tasks.
///
/// ```
/// use std::time::Duration;
/// use etcd_core::runtime::Runtime as _;
/// use etcd_embedded::sim::SimRuntime;
///
/// let runtime = SimRuntime::new(7);
/// let handle = runtime.handle();
/// let start = handle.now();
/// runtime.block_on(async { handle.sleep_until(start + Duration::from_secs(3600)).await });
/// assert_eq!(handle.now() - start, Duration::from_secs(3600));
/// ```
pub struct SimRuntime {
    core: Arc<Core>,
}

/// A [`Runtime`] on a [`SimRuntime`]; clones are the same one.
#[derive(Clone)]
pub struct SimHandle {
    core: Arc<Core>,
}

/// Something that acts by itself as time passes, besides tasks.
pub(super) trait Device: Send + Sync {
    /// When it acts next.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Lets it act.
    fn handle_timeout(&self, now: Instant);
    /// What it waits for, for whoever has to find out why nothing moves.
    fn describe(&self) -> String;
}

struct Core {
    start: Instant,
    state: Mutex<State>,
    ready: Arc<Ready>,
}

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

#[derive(Default)]
struct Slot {
    waker: Option<Arc<TaskWaker>>,
    /// Absent while it runs.
    task: Option<BoxFuture<'static, ()>>,
}

/// By time, and in the order in which they were set where that is the same.
type TimerKey = (Instant, u64);

/// The tasks that have been woken.
#[derive(Default)]
struct Ready(Mutex<Vec<Arc<TaskWaker>>>);

struct TaskWaker {
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

impl SimRuntime {
    /// A runtime without tasks. Everything random follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
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
            core: Arc::new(Core {
                start,
                state: Mutex::new(state),
                ready: Arc::default(),
            }),
        }
    }

    /// What to give to whoever needs a [`Runtime`].
    #[must_use]
    pub fn handle(&self) -> Arc<SimHandle> {
        Arc::new(SimHandle {
            core: self.core.clone(),
        })
    }

    /// How much time has passed since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.core.now() - self.core.start
    }

    /// The number of tasks that have not ended.
    #[must_use]
    pub fn task_count(&self) -> usize {
        let state = lock(&self.core.state);
        state.tasks.len() - state.vacant.len()
    }

    /// Runs `future` to its end, and the tasks beside it. The clock moves on whenever none of them can.
    ///
    /// The future need be neither `Send` nor `'static`. What the tasks still have to do when it ends is done in the
    /// next call.
    ///
    /// # Panics
    ///
    /// If the future waits for something that can never come; the message says what is pending. If it has not ended
    /// after ten days of virtual time.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let main = Arc::new(TaskWaker {
            place: None,
            is_queued: AtomicBool::new(false),
            ready: self.core.ready.clone(),
        });
        let waker = Waker::from(main.clone());
        waker.wake_by_ref();
        let give_up = self.core.now().checked_add(HANGS_AFTER);
        loop {
            let mut polls = 0;
            while let Some(woken) = self.core.next_ready() {
                polls += 1;
                assert!(
                    polls < SPINS_AFTER,
                    "tasks wake each other without end: {}",
                    self.describe()
                );
                if Arc::ptr_eq(&woken, &main) {
                    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                        return output;
                    }
                } else {
                    self.core.run_task(woken);
                }
            }
            let Some(next) = self.core.next_timeout() else {
                panic!("nothing is ready and nothing is due: {}", self.describe());
            };
            assert!(
                give_up.is_none_or(|give_up| next < give_up),
                "not over after {HANGS_AFTER:?}: {}",
                self.describe()
            );
            self.core.move_to(next);
        }
    }

    /// Lets `duration` pass: runs all that is ready and all that becomes due, in the order in which it does.
    pub fn advance(&self, duration: Duration) {
        let until = self.core.now() + duration;
        self.run_ready();
        while let Some(next) = self.core.next_timeout().filter(|next| *next <= until) {
            self.core.move_to(next);
            self.run_ready();
        }
        self.core.move_to(until);
        self.run_ready();
    }

    /// Runs what is ready, without letting time pass.
    pub fn run_ready(&self) {
        let mut polls = 0;
        while let Some(woken) = self.core.next_ready() {
            polls += 1;
            assert!(
                polls < SPINS_AFTER,
                "tasks wake each other without end: {}",
                self.describe()
            );
            self.core.run_task(woken);
        }
    }

    /// Adds what acts by itself.
    pub(super) fn attach(&self, device: Weak<dyn Device>) {
        lock(&self.core.state).device = Some(device);
    }

    fn describe(&self) -> String {
        let device = self.core.device().map(|device| device.describe());
        format!(
            "{} tasks wait, {:?} after the beginning. {}",
            self.task_count(),
            self.elapsed(),
            device.unwrap_or_default()
        )
    }
}

impl Drop for SimRuntime {
    fn drop(&mut self) {
        let (tasks, timers) = {
            let mut state = lock(&self.core.state);
            state.closed = true;
            state.vacant.clear();
            (
                std::mem::take(&mut state.tasks),
                std::mem::take(&mut state.timers),
            )
        };
        // What is dropped here may use the runtime.
        drop((tasks, timers));
        lock(&self.core.ready.0).clear();
    }
}

impl Core {
    fn now(&self) -> Instant {
        lock(&self.state).now
    }

    /// One of the tasks that have been woken: which, is a matter of chance.
    fn next_ready(&self) -> Option<Arc<TaskWaker>> {
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

    fn run_task(&self, woken: Arc<TaskWaker>) {
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

    fn device(&self) -> Option<Arc<dyn Device>> {
        lock(&self.state).device.as_ref()?.upgrade()
    }

    fn next_timeout(&self) -> Option<Instant> {
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
    fn freeze(&self, duration: Duration) {
        let mut state = lock(&self.state);
        let until = state.now + duration;
        state.frozen_until = state.frozen_until.max(Some(until));
    }

    /// Moves the clock without running anything that becomes due on the way: all of it is late.
    fn leap(&self, duration: Duration) {
        let mut state = lock(&self.state);
        state.now += duration;
    }

    /// Moves the clock and fires what is due.
    fn move_to(&self, now: Instant) {
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

impl SimHandle {
    pub(super) fn freeze(&self, duration: Duration) {
        self.core.freeze(duration);
    }

    pub(super) fn leap(&self, duration: Duration) {
        self.core.leap(duration);
    }
}

impl Runtime for SimHandle {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let mut state = lock(&self.core.state);
        if state.closed {
            drop(state);
            return drop(task);
        }
        let place = state.vacant.pop().unwrap_or(state.tasks.len());
        let waker = Arc::new(TaskWaker {
            place: Some(place),
            is_queued: AtomicBool::new(false),
            ready: self.core.ready.clone(),
        });
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

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(Sleep {
            core: Arc::downgrade(&self.core),
            deadline,
            key: None,
        })
    }

    fn now(&self) -> Instant {
        self.core.now()
    }

    fn entropy(&self) -> u64 {
        lock(&self.core.state).random.next_u64()
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

struct Sleep {
    core: Weak<Core>,
    deadline: Instant,
    key: Option<TimerKey>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(core) = self.core.upgrade() else {
            return Poll::Pending;
        };
        let mut state = lock(&core.state);
        if state.now >= self.deadline {
            return Poll::Ready(());
        }
        let deadline = self.deadline;
        let key = *self.key.get_or_insert_with(|| {
            state.next_timer += 1;
            (deadline, state.next_timer)
        });
        state.timers.insert(key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key
            && let Some(core) = self.core.upgrade()
        {
            let waker = lock(&core.state).timers.remove(&key);
            drop(waker);
        }
    }
}

impl fmt::Debug for SimRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRuntime")
            .field("elapsed", &self.elapsed())
            .finish()
    }
}

impl fmt::Debug for SimHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimHandle")
    }
}
