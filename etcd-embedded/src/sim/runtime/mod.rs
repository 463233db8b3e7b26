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

mod core;
mod handle;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[cfg(doc)]
use etcd_core::runtime::Runtime;

use self::core::Core;
pub use handle::SimHandle;

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

/// Something that acts by itself as time passes, besides tasks.
pub(super) trait Device: Send + Sync {
    /// When it acts next.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Lets it act.
    fn handle_timeout(&self, now: Instant);
    /// What it waits for, for whoever has to find out why nothing moves.
    fn describe(&self) -> String;
}

impl SimRuntime {
    /// A runtime without tasks. Everything random follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            core: Arc::new(Core::new(seed)),
        }
    }

    /// What to give to whoever needs a [`Runtime`].
    #[must_use]
    pub fn handle(&self) -> Arc<SimHandle> {
        Arc::new(SimHandle::new(self.core.clone()))
    }

    /// How much time has passed since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.core.elapsed()
    }

    /// The number of tasks that have not ended.
    #[must_use]
    pub fn task_count(&self) -> usize {
        self.core.task_count()
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
        let main = self.core.new_waker(None);
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
        self.core.attach(device);
    }

    pub(super) fn describe(&self) -> String {
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
        self.core.close();
    }
}

impl fmt::Debug for SimRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRuntime")
            .field("elapsed", &self.elapsed())
            .finish()
    }
}
