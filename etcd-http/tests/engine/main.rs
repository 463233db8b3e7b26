//! The engine alone: sockets in memory, a clock that moves by itself, every read and write as the test cuts it.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

mod dialing;
mod exchanges;
mod world;
