//! The engine alone: sockets in memory, a clock that moves by itself, every read and write as the test cuts it.

mod dialing;
mod exchanges;
mod world;
