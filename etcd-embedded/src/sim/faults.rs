//! How bad the network is.

use std::time::Duration;

/// What goes wrong by chance with each exchange; what a test or a [`Schedule`](super::Schedule) does on purpose comes
/// on top. Chances are between 0 (never) and 1 (always).
///
/// ```
/// use etcd_embedded::sim::{Faults, World};
///
/// let mut faults = Faults::none();
/// faults.lose_response = 0.5;
/// let world = World::builder(7).faults(faults).build();
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// The least time bytes take from one end to the other. Default 100 µs.
    pub min_latency: Duration,
    /// The most time they take, unless they are [stalled](Self::stall). Default 1 ms.
    pub max_latency: Duration,
    /// The chance that what the server wrote arrives in other pieces: cut anywhere, single bytes and the middle of a
    /// character included, or joined. Default 0.5: networks do that, and it is no fault.
    pub recut: f64,
    /// The chance that a connection is refused.
    pub refuse: f64,
    /// The chance that nobody answers an attempt to connect, which then times out.
    pub unreachable: f64,
    /// The chance that the connection is reset before the request arrives.
    pub lose_request: f64,
    /// The chance that the request is acted on and the connection reset before the answer arrives.
    pub lose_response: f64,
    /// The chance that a connection falls silent for ever: at its beginning, or with each thing the server writes.
    pub black_hole: f64,
    /// The chance, with each thing the server writes, that the connection breaks in the middle of it.
    pub cut: f64,
    /// The chance, with each thing the server writes to a stream, that the stream ends after it, in good order and
    /// without a line that says why.
    pub end: f64,
    /// The chance, with each thing either side writes, that it is held back, and all that follows with it.
    pub stall: f64,
    /// The longest time for that. Default 10 s.
    pub max_stall: Duration,
    /// The chance that the server does not see that a client went away, and keeps what the connection held.
    pub linger: f64,
    /// The longest time until it does see it. Default 150 s: Go's servers probe a connection after 15 s, and give it
    /// up after nine probes.
    pub max_linger: Duration,
}

impl Faults {
    /// None: each exchange takes its latency, and is cut into pieces at most.
    #[must_use]
    pub fn none() -> Self {
        Self {
            min_latency: Duration::from_micros(100),
            max_latency: Duration::from_millis(1),
            recut: 0.5,
            refuse: 0.0,
            unreachable: 0.0,
            lose_request: 0.0,
            lose_response: 0.0,
            black_hole: 0.0,
            cut: 0.0,
            end: 0.0,
            stall: 0.0,
            max_stall: Duration::from_secs(10),
            linger: 0.0,
            max_linger: Duration::from_secs(150),
        }
    }

    /// Each kind with one exchange in a hundred.
    #[must_use]
    pub fn rare() -> Self {
        Self::each(0.01)
    }

    /// Each kind with one exchange in twenty: about every third one has some.
    #[must_use]
    pub fn frequent() -> Self {
        Self::each(0.05)
    }

    /// Each kind with this chance, but the silent ones, on which a client loses much time, with a fifth of it.
    #[must_use]
    pub fn each(chance: f64) -> Self {
        Self {
            refuse: chance,
            unreachable: chance / 5.0,
            lose_request: chance,
            lose_response: chance,
            black_hole: chance / 5.0,
            cut: chance,
            end: chance,
            stall: chance,
            linger: chance,
            ..Self::none()
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}
