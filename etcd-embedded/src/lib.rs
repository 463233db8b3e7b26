//! An etcd server in memory.
//!
//! *Does*: key-value store with history, transactions, leases, watches, locks, elections, users and roles, snapshots;
//! the JSON gateway, in the dialect of one's choice; a transport that needs no socket. It behaves like an etcd of one
//! member, down to messages, codes and quirks, and runs on the clock of whoever drives it.
//!
//! *Does not*: raft, disks, threads, sockets, clocks, chance. Time and a seed come in as arguments. Only the feature
//! `listen` brings threads and sockets, around all this.
//!
//! It is made for tests and for trying things out, not for keeping data.
//!
//! | layer | what goes in and out |
//! |---|---|
//! | [`store`], [`lease`] | what a cluster agrees on, as plain data structures |
//! | [`Server`] | calls as messages: [`Request`] in, [`Output`] out |
//! | [`Gateway`] | HTTP: requests in, heads and bodies out |
//! | [`EmbeddedTransport`] | a client's transport, on the runtime's clock |
//! | [`sim`] | a world: clients, several members, a network that fails, one clock and one seed |
//! | `listen::HttpServer` (feature `listen`) | sockets: HTTP/1.1 for clients of any language |
// Messages of etcd-core are `#[non_exhaustive]`: from here they can only be filled in after `default()`.
#![allow(clippy::field_reassign_with_default)]

mod auth;
mod call;
mod config;
mod dialect;
mod gateway;
pub mod lease;
#[cfg(feature = "listen")]
pub mod listen;
mod protobuf;
mod random;
mod server;
pub mod sim;
mod snapshot;
mod span;
mod state;
mod status;
pub mod store;
mod transport;
mod watch;

pub use call::{Request, Response};
pub use config::Config;
pub use dialect::Dialect;
pub use gateway::{ExchangeId, Gateway, GatewayEvent, GatewayOutput, MAX_BODY_BYTES};
pub use server::{CallId, CallOptions, Output, OutputEvent, Server};
pub use snapshot::SnapshotError;
pub use status::Status;
pub use transport::{EMBEDDED_ENDPOINT, EmbeddedTransport};
