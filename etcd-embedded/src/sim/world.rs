//! A world: clients, members, the network between them, and one clock.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_core::runtime::Runtime as _;

use super::cluster::Cluster;
use super::network::{Network, SimTransport};
use super::node::host;
use super::runtime::{SimHandle, SimRuntime};
use super::schedule::ClockFault;
use super::trace::Mark;
use super::universe::Shared;
use super::{Faults, Schedule, WorldBuilder};

/// A world of its own, all of which follows from one seed.
///
/// ```
/// use etcd_core::transport::{RequestBody, Transport as _};
/// use etcd_embedded::sim::World;
/// use http::Request;
///
/// let world = World::new(7);
/// let transport = world.transport();
/// let put = Request::post(format!("{}/v3/kv/put", world.endpoints()[0]))
///     .body(RequestBody::from(r#"{"key":"Zm9v","value":"YmFy"}"#))?;
/// let answer = world.block_on(transport.exchange(put))?;
/// assert_eq!(answer.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A client is made of [`endpoints`](Self::endpoints), [`runtime`](Self::runtime), and a
/// [`transport`](Self::transport) of its own. Everything else, a test says while it runs: what becomes of
/// [members](Self::cluster) and [network](Self::network), and how time passes.
///
/// Dropping it drops every task.
pub struct World {
    seed: u64,
    // Before what its tasks use.
    runtime: SimRuntime,
    handle: Arc<SimHandle>,
    shared: Arc<Shared>,
}

impl World {
    pub(super) fn of(seed: u64, runtime: SimRuntime, shared: Arc<Shared>) -> Self {
        let handle = runtime.handle();
        Self {
            seed,
            runtime,
            handle,
            shared,
        }
    }

    /// A world with one member and a network without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::builder(seed).build()
    }

    /// Sets how a world is to be.
    pub fn builder(seed: u64) -> WorldBuilder {
        WorldBuilder::new(seed)
    }

    /// What everything follows from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The runtime to give to clients.
    #[must_use]
    pub fn runtime(&self) -> Arc<SimHandle> {
        self.handle.clone()
    }

    /// A transport for one more client.
    #[must_use]
    pub fn transport(&self) -> Arc<SimTransport> {
        Arc::new(SimTransport::new(self.shared.clone()))
    }

    /// Where the members are reached, in order.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        (0..self.cluster().len())
            .map(|index| format!("http://{}", host(index)))
            .collect()
    }

    /// The members, to be disturbed and looked at.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Cluster::new(self.shared.clone())
    }

    /// The network, to be disturbed.
    #[must_use]
    pub fn network(&self) -> Network {
        Network::new(self.shared.clone())
    }

    /// Follows a schedule from now on, in place of the one there was.
    pub fn follow(&self, schedule: Schedule) {
        self.shared.act(|universe| universe.follow(Some(schedule)));
    }

    /// Makes everything well: no schedule, a network without faults, all members up and together, all clients
    /// connected. What has been broken before stays broken.
    pub fn calm_down(&self) {
        self.shared.act(|universe| {
            universe.follow(None);
            universe.net.faults = Faults::none();
            for client in &mut universe.net.clients {
                client.faults = None;
            }
            universe.heal();
        });
    }

    /// Runs `future` to its end, and everything beside it; see [`SimRuntime::block_on`].
    ///
    /// # Panics
    ///
    /// If the future waits for something that can never come, or for ten days.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Runs a future beside the others.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(Box::pin(future));
    }

    /// Lets `duration` pass: everything that becomes due until then happens, in order.
    pub fn advance(&self, duration: Duration) {
        self.runtime.advance(duration);
    }

    /// Runs everything until `instant`.
    pub fn run_until(&self, instant: Instant) {
        self.advance(instant.saturating_duration_since(self.now()));
    }

    /// Lets `duration` pass in which no client runs, as when a laptop sleeps; members and network go on. Called from
    /// within the world, it takes effect as soon as the caller waits for something.
    pub fn suspend_clients(&self, duration: Duration) {
        self.shared
            .act(|universe| universe.clock_fault = Some(ClockFault::Freeze(duration)));
    }

    /// Moves the clock on at once, for all: whatever was due on the way is late.
    pub fn leap(&self, duration: Duration) {
        self.shared
            .act(|universe| universe.clock_fault = Some(ClockFault::Leap(duration)));
    }

    /// A future that is ready after `duration`.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.handle.sleep_until(self.now() + duration)
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.handle.now()
    }

    /// How much time has passed since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.shared.elapsed()
    }

    /// Chance, from the seed: one of `0..bound`.
    ///
    /// # Panics
    ///
    /// If `bound` is 0.
    #[must_use]
    pub fn random(&self, bound: u64) -> u64 {
        self.shared.act(|universe| universe.random.below(bound))
    }

    /// Puts something into the [fingerprint](Self::fingerprint): what a client saw, for instance.
    pub fn note(&self, text: &str) {
        self.shared
            .act(|universe| universe.note(Mark::Note, 0, text.as_bytes()));
    }

    /// All that has happened, as one number: every connection, all bytes that arrived, every disturbance, and when.
    ///
    /// Two worlds with the same seed that ran the same code agree on it.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.shared.act(|universe| universe.trace.fingerprint())
    }

    /// What members, connections and tasks are doing, for whoever has to find out why something fails.
    #[must_use]
    pub fn describe(&self) -> String {
        self.runtime.describe()
    }

    /// How many disturbances of schedules there have been.
    #[must_use]
    pub fn disturbance_count(&self) -> u64 {
        self.shared.act(|universe| universe.disturbances)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed)
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}
