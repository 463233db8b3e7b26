//! The simulated world, seen by requests and responses, without a client.

#![allow(clippy::unwrap_used)]

mod cluster;
mod fidelity;
#[path = "../generator/mod.rs"]
#[allow(unreachable_pub, dead_code)]
mod generator;
mod leases;
mod network;
mod runtime;
mod schedule;
mod steps;
