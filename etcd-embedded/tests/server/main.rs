//! The server on a virtual clock, one behaviour a test.

#![allow(clippy::unwrap_used, clippy::field_reassign_with_default, unreachable_pub)]

mod auth;
mod contests;
mod http;
mod leases;
mod limits;
mod snapshots;
mod watches;
mod world;
