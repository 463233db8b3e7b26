//! Every RPC of etcd v3 in one table, and what ties each request to its row.
//!
//! The table says all that is needed to make a call over either wire: the gRPC service and method, the paths
//! of the JSON gateway, whether messages stream, and what a repetition would do. Code that handles "an RPC"
//! handles a row; tests iterate [`RPCS`].
//!
//! Source: the `google.api.http` options in `api/etcdserverpb/rpc.proto`, `v3lock.proto` and
//! `v3election.proto`; which aliases really exist was measured on servers of all dialects.

mod request;
mod table;
mod txn;

pub use request::{Limits, Request};
pub use table::{RPCS, rows};
pub use txn::MAX_TXN_DEPTH;

pub use crate::error::RetryClass;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rpc {
    /// The gRPC service, with its package.
    pub service: &'static str,
    /// The method.
    pub method: &'static str,
    /// Service and method as people write them: `KV/Put`.
    pub name: &'static str,
    /// The paths of the JSON gateway, the one to use first; none if the gateway does not carry the call.
    pub paths: &'static [&'static str],
    /// Which messages stream.
    pub kind: RpcKind,
    /// What a repetition would do.
    pub retry: RetryClass,
    /// Whether the answer may take as long as it likes, because the server waits for something to happen.
    pub waits: bool,
}

/// Which messages of a call stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RpcKind {
    /// One request, one response.
    Unary,
    /// One request, a stream of responses.
    ServerStream,
    /// Requests and responses stream, independently of each other.
    Bidirectional,
}
