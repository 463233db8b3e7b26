//! The client, unchanged, in a simulated world.
//!
//! A test runs over many seeds; one that fails prints the command that runs it again. `SIM_SEEDS=10000` runs more,
//! `SIM_FIRST_SEED` others: with `--release` a seed takes about a millisecond.

#![allow(clippy::unwrap_used)]

mod broken_clients;
mod chronicle;
mod determinism;
mod elections;
mod happened;
mod hour;
mod leases;
mod logins;
mod observe;
mod pace;
mod reads;
mod trial;
mod watch;
mod writers;
mod writes;
