//! The decisions a client takes, as state machines without input, output or clock.
//!
//! # Driving them
//!
//! All machines share one grammar and one contract:
//!
//! 1. `handle_*` methods tell a machine what happened, with the time it happened at where time matters.
//! 2. `poll_*` methods ask what to do next. After every `handle_*`, poll until there is nothing left to do, do
//!    what the machine says, and tell it how that went.
//! 3. A deadline that a machine answers with is when to poll again, if nothing happens before.
//! 4. Time must not run backwards. Entropy is an argument: the same inputs give the same outputs.
//! 5. Everything else is a getter and changes nothing.
//!
//! | machine | decides |
//! |---|---|
//! | [`UnaryCall`] | for one unary call: where to send it, whether and when to send it again, when to log in |
//! | [`EndpointRing`] | which member is asked first, for all calls of a client |
//! | [`Session`] | which token calls carry, and when it needs to be replaced |
//! | [`ClusterGuard`] | whether answers still come from the cluster, and the history, they came from before |
//! | [`LeaderObservation`] | who leads an election, by what is observed of its candidates |
//! | [`LeaseKeeper`] | when and how each lease is renewed, and when it must be taken for lost |
//! | [`Observation`] | how a range is listed and then followed, across compactions |
//! | [`Pager`] | what the next page of a large range is, and how large |
//! | [`WatchConnection`] | for all watches of one connection: when to create them, from which revision, what of the answers is theirs, when to begin anew |
//! | [`BatchBuffer`] | what a watch may hold that nobody has taken yet |
//! | [`Backlog`] | what an observer may hold that nobody has taken yet |
//! | [`SnapshotVerifier`] | whether a snapshot arrived as it was sent |

mod backoff;
mod cluster_guard;
mod endpoint_ring;
mod leader_observation;
mod lease_keeper;
mod observation;
mod pager;
mod session;
mod snapshot;
mod unary_call;
mod watch;

pub use backoff::Backoff;
pub use cluster_guard::ClusterGuard;
pub use endpoint_ring::EndpointRing;
pub use leader_observation::{ElectionLeader, LeaderObservation, ObservedLeader};
pub use lease_keeper::{KeeperStep, LeaseKeeper, LeaseKey, LeaseState};
pub use observation::{Backlog, Observation, ObservationStatus, ObservationStep, Observed};
pub use pager::{FIRST_PAGE_KEYS, MAX_PAGE_KEYS, PAGE_BYTES, Pager};
pub use session::{Credentials, Session, TokenGeneration};
pub use snapshot::{SnapshotProgress, SnapshotVerifier};
pub use unary_call::{CallStep, MAX_LOGINS, UnaryCall};
pub use watch::{
    BatchBuffer, BufferLimits, BufferPolicy, ConnectionStatus, EventBatch, Offered, ResumeToken, Taken,
    WatchConnection, WatchId, WatchMode, WatchOrigin, WatchOutput, WatchStep, WatchTimes,
};
