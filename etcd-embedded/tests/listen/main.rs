//! The embedded server on sockets.

#![allow(clippy::unwrap_used)]

mod disconnects;
mod duplex;
mod endings;
mod own_engine;
mod program;
mod socket;
