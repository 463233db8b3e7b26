//! The client, unchanged, in a simulated world.
//!
//! A test runs over many seeds; one that fails prints the command that runs it again. `SIM_SEEDS=10000` runs more,
//! `SIM_FIRST_SEED` others. With `--release` a seed takes some milliseconds.

#![allow(clippy::unwrap_used)]

mod determinism;
mod hour;
mod watch;
mod writers;
mod writes;
