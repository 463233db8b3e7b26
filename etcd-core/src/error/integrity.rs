//! Answers that are well-formed and cannot be true.

use std::error::Error as StdError;
use std::sync::Arc;

/// The cluster behind the endpoints is not the one it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterChanged {
    /// Another cluster answered: an endpoint that leads elsewhere, or a cluster that was made anew.
    #[error("the cluster {actual:x} answered instead of {expected:x}")]
    ClusterId {
        /// The id of the cluster this client has been talking to.
        expected: u64,
        /// The id in the answer.
        actual: u64,
    },
    /// The store's revision is lower than one already seen: the cluster lost data or was restored from a backup.
    #[error("the revision went back from {seen} to {actual}")]
    Revision {
        /// The highest revision seen.
        seen: i64,
        /// The revision in the answer.
        actual: i64,
    },
}

/// A snapshot that did not arrive as it is on the server.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Its SHA-256 is not the one the server sent along.
    #[error("the snapshot's SHA-256 is not the one the server sent")]
    Checksum,
    /// The stream ended early.
    #[error("the snapshot ended after {received} bytes with {missing} to come")]
    Truncated {
        /// The bytes that arrived.
        received: u64,
        /// The bytes the server had announced beyond them.
        missing: u64,
    },
    /// The stream ended without a SHA-256 to compare with.
    #[error("the snapshot ended without its SHA-256")]
    NoChecksum,
    /// It could not be written where it should go.
    #[error("the snapshot could not be written")]
    Destination(#[source] Arc<dyn StdError + Send + Sync>),
}
