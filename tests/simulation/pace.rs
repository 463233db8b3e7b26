//! How fast things go wrong, and are noticed.

use std::time::Duration;

use anyetcd::{Client, ClientBuilder};
use etcd_embedded::sim::{Disturbance, Faults, Schedule, World};

/// How fast things go wrong, and are noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long things go wrong.
    pub(crate) trouble: Duration,
    /// After that long without trouble everything has arrived, whatever happened before.
    pub(crate) peace: Duration,
    /// How often something is disturbed.
    interval: Duration,
    /// How long a disturbance lasts at most.
    longest: Duration,
    /// How long bytes are held back at most.
    max_stall: Duration,
    /// How long a writer rests between two writes, at most.
    pub(crate) rest: Duration,
    /// How long a slow consumer takes for what it was told, at most.
    pub(crate) slowness: Duration,
    /// How long a consumer waits for the next thing before it does something else, at most.
    pub(crate) patience: Duration,
    /// The time between two compactions, at most.
    pub(crate) compaction: Duration,
    /// What clients are told about that: idle time of watches, of an attempt, of a call.
    limits: Option<[Duration; 3]>,
}

impl Pace {
    /// A minute of trouble, for clients with their defaults.
    pub(crate) const DEFAULT: Self = Self {
        trouble: Duration::from_secs(60),
        // The longest that a connection may seem alive and not be is a stall of 10 s, and 15 s until it is noticed.
        peace: Duration::from_secs(240),
        interval: Duration::from_secs(3),
        longest: Duration::from_secs(5),
        max_stall: Duration::from_secs(10),
        rest: Duration::from_millis(200),
        slowness: Duration::from_secs(4),
        patience: Duration::from_secs(80),
        compaction: Duration::from_secs(25),
        limits: None,
    };

    /// Some seconds with a disturbance every tenth of one, for clients that soon lose patience: a few milliseconds of real
    /// time, so that there can be a million such worlds.
    pub(crate) const BRISK: Self = Self {
        trouble: Duration::from_secs(2),
        peace: Duration::from_secs(120),
        interval: Duration::from_millis(100),
        longest: Duration::from_millis(500),
        max_stall: Duration::from_millis(800),
        rest: Duration::from_millis(150),
        slowness: Duration::from_millis(500),
        patience: Duration::from_millis(1000),
        compaction: Duration::from_millis(800),
        limits: Some([
            Duration::from_millis(300),
            Duration::from_millis(300),
            Duration::from_secs(2),
        ]),
    };

    /// Ten seconds of trouble, for leases: they last whole seconds.
    pub(crate) const LEASES: Self = Self {
        trouble: Duration::from_secs(10),
        interval: Duration::from_millis(500),
        longest: Duration::from_millis(1500),
        ..Self::BRISK
    };

    /// All disturbances, but for compactions: who compacts has to write down first what it is that will be gone.
    pub(crate) fn schedule(self) -> Schedule {
        Schedule::every(self.interval)
            .longest(self.longest)
            .without(Disturbance::Compact)
    }

    /// The faults, with the times of this pace.
    pub(crate) fn faults(self, mut faults: Faults) -> Faults {
        faults.max_stall = self.max_stall;
        faults
    }

    /// A client as this pace needs it, on a transport of its own.
    pub(crate) fn builder(self, world: &World) -> ClientBuilder {
        let builder = Client::builder()
            .endpoints(world.endpoints())
            .transport(world.runtime(), world.transport());
        match self.limits {
            None => builder,
            Some([idle, attempt, call]) => builder
                .watch_idle_timeout(idle)
                .attempt_timeout(attempt)
                .timeout(call),
        }
    }
}
