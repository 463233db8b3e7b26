//! The sans-IO core of anyetcd.
//!
//! *Does*: messages of every etcd v3 RPC, their JSON (gateway) encoding, stream framing, typed errors, and
//! every decision a client takes (retry, endpoint choice, re-authentication, paging).
//!
//! *Does not*: sockets, timers, clocks, threads, randomness, globals. Time and entropy come in as arguments;
//! bytes, values and deadlines come out. The two traits in [`transport`] and [`runtime`] are what the outside
//! supplies; nothing in this crate calls them.

pub mod codec;
pub mod endpoint;
pub mod error;
pub mod frame;
pub mod gateway;
pub mod key;
pub mod machine;
pub mod message;
pub mod rpc;
pub mod runtime;
pub mod transport;
