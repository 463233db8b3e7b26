//! A simulated world: clients, members of a cluster, and the network between them, on one seeded virtual clock.

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

pub use cluster::Cluster;
pub use faults::Faults;
pub use network::{Network, SimTransport};
pub use run::{run, seeds};
pub use runtime::{SimHandle, SimRuntime};
pub use schedule::{Disturbance, Schedule};
pub use world::{World, WorldBuilder};
