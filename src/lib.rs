//! The etcd v3 client for every Rust async runtime.
//!
//! One [`Client`], the same over Tokio, async-std and smol: it finds the runtime it is made in, or is given
//! one. It speaks etcd's JSON gateway over HTTP/1.1, without `protoc`, code generation or C.
//!
//! ```
//! use anyetcd::{Client, Compare, Get, Put, Txn, prefix};
//!
//! # async fn a_real_one() -> anyetcd::Result<()> {
//! let client = Client::connect(["http://127.0.0.1:2379"]).await?;
//! # Ok(())
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyetcd::Result<()> {
//! # let client = Client::embedded()?;
//!
//! client.put("config/mode", "fast").await?;
//! for kv in client.get(prefix("config/")).limit(100).await?.kvs {
//!     println!("{:?} = {:?} since revision {}", kv.key, kv.value, kv.mod_revision);
//! }
//!
//! let swapped = client
//!     .txn(
//!         Txn::when([Compare::version("config/mode").eq(1)])
//!             .then([Put::new("config/mode", "safe")])
//!             .otherwise([Get::new("config/mode")]),
//!     )
//!     .await?;
//! assert!(swapped.succeeded, "somebody was faster");
//! # Ok(())
//! # }
//! ```
//!
//! `Client::embedded`, with the feature of that name, makes a client of an etcd within the process: for unit tests,
//! and for a first look without a server.
//!
//! # Calls
//!
//! Methods of the client return a [`Call`]: set its options, then await it. Nothing happens before. Calls
//! take `&self` and can be made from any number of tasks at once; [`Client`] is cheap to clone.
//!
//! # Deadlines, retries, and what became of a write
//!
//! Every call ends by its deadline ([`Call::timeout`], [`ClientBuilder::timeout`]). Until then a call that
//! only reads is repeated, at another endpoint if there is one, after any failure that another attempt can
//! mend. A write is repeated only if it provably was not applied; otherwise its error says that the outcome is
//! unknown ([`Error::is_outcome_unknown`]) and leaves it to the application to find out.
//!
//! # Cancel safety
//!
//! Dropping any future or stream of this crate leaves the client usable and closes what was under way on the
//! server: a waiting lock gives its place up, at the latest when its lease ends. A write that is dropped after
//! it was sent may or may not be applied, now or a moment later.

mod alarm;
mod builder;
mod call;
mod client;
mod conditional;
mod deadlines;
mod duplex;
#[cfg(feature = "embedded")]
pub mod embedded;
mod exchange;
mod group;
mod latest;
mod lease;
mod login;
mod messages;
mod observe;
mod pages;
#[cfg(feature = "http")]
mod runtime;
mod snapshot;
mod watch;

pub use builder::{
    ClientBuilder, DEFAULT_ATTEMPT_TIMEOUT, DEFAULT_MAX_RESPONSE_BYTES, DEFAULT_TIMEOUT, DEFAULT_WAIT_TIMEOUT,
};
pub use call::Call;
pub use client::Client;
pub use conditional::{ConditionalDelete, ConditionalOutcome, ConditionalPut};
pub use group::{Auth, Cluster, Elections, KeepAliveOnce, Leases, Locks, Maintenance};
pub use lease::{
    KeepAliveCall, Lease, LeaseCall, LeaseStates, Registration, RegistrationCall, RegistrationState,
    RegistrationStates,
};
pub use observe::{
    DecodeError, Mirror, MirrorCall, MirrorUpdates, MirrorView, Observe, ObserveCall, ObserveLeader,
    ObserveLeaderCall,
};
pub use pages::{KeyValues, Pages};
pub use snapshot::{SnapshotCall, SnapshotStream};
pub use watch::{Watch, WatchBatch, WatchCall, WatchHandle, WatchStatus};

pub use etcd_core::codec::Secret;
pub use etcd_core::endpoint::Endpoint;
pub use etcd_core::error::{self, Error, ErrorKind, EtcdError, LeaseLost, LostReason, Result};
pub use etcd_core::key::{self, IntoBytes, KeyRange, all_keys, from_key, prefix};
pub use etcd_core::machine::{
    BufferLimits, BufferPolicy, ElectionLeader, LeaseState, ObservationStatus, Observed, ObservedLeader,
    ResumeToken, SnapshotProgress,
};
pub use etcd_core::message::{
    self, Compare, Delete, Event, EventType, Get, KeyValue, Put, SortOrder, SortTarget, Txn, TxnOp,
    TxnOpResponse, WatchFilter,
};
pub use etcd_core::rpc::MAX_TXN_DEPTH;
pub use etcd_core::runtime::{BoxFuture, Runtime};
pub use etcd_core::transport::{self, Transport};

/// The HTTP engine's settings, and what an adapter to another runtime implements.
#[cfg(feature = "http")]
pub use etcd_http::{Connect, HttpConfig, PoolConfig};

/// The runtimes.
#[cfg(feature = "async-std")]
pub use etcd_async_std::AsyncStdRuntime;
#[cfg(feature = "smol")]
pub use etcd_smol::SmolRuntime;
#[cfg(feature = "tokio")]
pub use etcd_tokio::TokioRuntime;

/// The README's programs compile, and those that need no server run.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// What is promised, what is not, and why: the repository's pages on it.
pub mod guide {
    #[doc = include_str!("../docs/leases.md")]
    pub mod leases {}
    #[doc = include_str!("../docs/observing.md")]
    pub mod observing {}
    #[doc = include_str!("../docs/watching.md")]
    pub mod watching {}
}

/// So do those about the embedded etcd.
#[cfg(all(doctest, feature = "tokio", feature = "embedded"))]
#[doc = include_str!("../docs/embedded.md")]
struct EmbeddedGuide;
