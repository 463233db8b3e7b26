//! A simulated world: clients, the members of a cluster, and the network between them, on one seeded clock.
//!
//! ```text
//!   client ── SimTransport ─┐                      ┌── member 0 ──┐
//!   client ── SimTransport ─┼── Network ── Faults ─┼── member 1 ──┼── one log, one leader: Cluster
//!   client ── SimTransport ─┘                      └── member 2 ──┘
//!        └──────────────── SimRuntime: tasks, timers, the clock ────┘
//!                      Schedule: what happens to all of them, and when
//! ```
//!
//! Everything that has to do with time or chance follows from the seed of the [`World`]: the same code in a world of the
//! same seed sees the same bytes at the same times. Time passes only when nothing else can, so that an hour costs what
//! happens in it. Nothing leaves the thread.
//!
//! A test that is to hold whatever happens runs over many seeds, with [`seeds`]; when one fails, it prints the command
//! that runs it again.
//!
//! ```
//! use std::time::Duration;
//! use etcd_embedded::sim::{Faults, Schedule, World, seeds};
//!
//! seeds(10, |seed| {
//!     let world = World::builder(seed)
//!         .members(3)
//!         .faults(Faults::rare())
//!         .schedule(Schedule::every(Duration::from_secs(1)))
//!         .build();
//!     // Clients at work; then, with all well again, a look at what they left:
//!     world.advance(Duration::from_secs(60));
//!     world.calm_down();
//!     world.advance(Duration::from_secs(10));
//!     assert!(world.cluster().leader().is_some());
//! });
//! ```
//!
//! What the members do is what [`Server`](crate::Server) does; a cluster of one *is* a server. That several agree is
//! simulated by its outcome, without raft's messages: see [`Cluster`].

mod builder;
mod cluster;
mod faults;
mod network;
mod node;
mod run;
mod runtime;
mod schedule;
mod trace;
mod universe;
mod world;

pub use builder::WorldBuilder;
pub use cluster::Cluster;
pub use faults::Faults;
pub use network::{Network, SimTransport};
pub use run::{run, seeds};
pub use runtime::{SimHandle, SimRuntime};
pub use schedule::{Disturbance, Schedule};
pub use world::World;
