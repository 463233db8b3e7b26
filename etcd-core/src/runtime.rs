//! The seam to an async runtime: one object-safe trait, defined here and implemented outside.
//!
//! The core itself never calls it; the async layer hands what it returns to the core as plain values.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// A boxed future that can move between threads; what object-safe async traits return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The time `by` after `time`; a century after it where that is beyond what the clock can express.
///
/// Settings and deadlines may be [`Duration::MAX`] for "never", which no clock can add to its time.
///
/// ```
/// use std::time::{Duration, Instant};
/// use etcd_core::runtime::later;
///
/// let now = Instant::now();
/// assert_eq!(later(now, Duration::from_secs(1)), now + Duration::from_secs(1));
/// assert!(later(now, Duration::MAX) > now + Duration::from_secs(3_000_000_000));
/// ```
#[must_use]
pub fn later(time: Instant, by: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    time.checked_add(by).unwrap_or_else(|| time + CENTURY)
}

/// What the client needs of an async runtime besides a [`Transport`](crate::transport::Transport).
///
/// Implement it to run the client anywhere: on an executor of your own, or in a simulation whose
/// [`now`](Self::now) and [`sleep_until`](Self::sleep_until) follow a virtual clock and whose
/// [`entropy`](Self::entropy) is a seed. Four methods decide everything the client can observe of
/// time and chance, so a deterministic implementation makes the whole client deterministic.
///
/// ```
/// use std::time::{Duration, Instant};
/// use etcd_core::runtime::{BoxFuture, Runtime};
///
/// /// One thread per task and per timer: slow, and complete.
/// #[derive(Debug)]
/// struct Threads;
///
/// # fn block_on(task: BoxFuture<'static, ()>) { drop(task) }
/// impl Runtime for Threads {
///     fn spawn(&self, task: BoxFuture<'static, ()>) {
///         std::thread::spawn(move || block_on(task));
///     }
///     fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
///         # let _ = deadline;
///         Box::pin(async move { /* wake a waker from a timer thread */ })
///     }
///     fn now(&self) -> Instant {
///         Instant::now()
///     }
///     fn entropy(&self) -> u64 {
///         4 // chosen by fair dice roll; use the operating system's randomness
///     }
/// }
/// ```
pub trait Runtime: Send + Sync + std::fmt::Debug + 'static {
    /// Runs `task` to its end, independently of the caller.
    ///
    /// A runtime that is shutting down may drop the task instead.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// A future that is ready once [`now`](Self::now) has reached `deadline`.
    ///
    /// Dropping it forgets the timer.
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()>;

    /// The present, on a clock that never runs backwards.
    fn now(&self) -> Instant;

    /// 64 unpredictable bits, for jitter and for identifiers; not for secrets.
    fn entropy(&self) -> u64;

    /// Runs `work`, which may block (a write to a file), away from the threads that run tasks.
    ///
    /// The default starts a thread for each piece of work; runtimes with a pool for it should use that.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        std::thread::spawn(work);
    }
}
