//! Snapshots: all that a cluster agrees on, as one file.
//!
//! The format is our own. What a snapshot promises on the wire is kept: pieces of 32 KiB, a length that is a multiple
//! of 512 bytes, and the SHA-256 of all of it as the last 32 bytes.
//!
//! ```text
//! magic "anyetcd snapshot 1\n" | length of the body, u64 | body | zeros up to a whole page | SHA-256 of what precedes
//! ```
//!
//! Integers are little-endian; bytes and lists are preceded by their length.

mod reader;
mod writer;

use std::time::Instant;

use sha2::{Digest as _, Sha256};

pub(crate) use reader::Reader;
pub(crate) use writer::Writer;

use crate::state::State;

/// How much of a snapshot one message carries (`snapshotSendBufferSize` in `api/v3rpc/maintenance.go`).
pub(crate) const SNAPSHOT_CHUNK_BYTES: usize = 32 * 1024;

const MAGIC: &[u8] = b"anyetcd snapshot 1\n";
const PAGE_BYTES: usize = 4096;
const DIGEST_BYTES: usize = 32;

/// Why a snapshot could not be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It does not begin as a snapshot of an embedded server does; it may be one of a real server.
    #[error("not a snapshot of an embedded etcd")]
    Foreign,
    /// It is shorter than it says.
    #[error("the snapshot is truncated")]
    Truncated,
    /// Its checksum is that of other bytes.
    #[error("the checksum of the snapshot does not match")]
    Checksum,
    /// It contradicts itself.
    #[error("the snapshot is corrupt")]
    Corrupt,
}

/// All but the checksum.
pub(crate) fn encode(state: &State) -> Vec<u8> {
    let mut body = Writer::default();
    state.write(&mut body);
    let body = body.into_bytes();
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes.resize(bytes.len().next_multiple_of(PAGE_BYTES), 0);
    bytes
}

pub(crate) fn digest(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::digest(bytes).into()
}

/// Reads a snapshot with its checksum into a state that has no members yet. Leases begin to live at `now`.
pub(crate) fn decode(bytes: &[u8], now: Instant, state: &mut State) -> Result<(), SnapshotError> {
    if !bytes.starts_with(MAGIC) {
        return Err(SnapshotError::Foreign);
    }
    let (content, trailer) = bytes
        .split_last_chunk::<DIGEST_BYTES>()
        .ok_or(SnapshotError::Truncated)?;
    if digest(content) != *trailer {
        return Err(SnapshotError::Checksum);
    }
    let rest = content.strip_prefix(MAGIC).ok_or(SnapshotError::Truncated)?;
    let (length, rest) = rest.split_first_chunk::<8>().ok_or(SnapshotError::Truncated)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| SnapshotError::Truncated)?;
    let mut reader = Reader::new(rest.get(..length).ok_or(SnapshotError::Truncated)?);
    state.read(&mut reader, now)
}
