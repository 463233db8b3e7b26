//! Whether a snapshot arrived as it was sent.
//!
//! ```text
//!              handle_message                handle_end
//!                ┌──────┐
//!    new ────▶ Receiving ┘ ─────────────────────▶ Ok, or what is wrong
//! ```
//!
//! A server sends the database in pieces and, last, the SHA-256 of all of it. The file that `etcdctl snapshot
//! save` writes holds both; `etcdctl snapshot restore` checks the one against the other. So does this machine,
//! without knowing in advance which bytes are the last 32.
//!
//! Source: `sendSnapshot` in `server/etcdserver/api/v3rpc/maintenance.go`, `client/v3/snapshot`.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::error::SnapshotError;
use crate::message::SnapshotResponse;

/// The length of a SHA-256 in bytes.
const CHECKSUM: usize = 32;

/// How far a snapshot has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotProgress {
    /// The bytes of the database that have arrived.
    pub received: u64,
    /// The bytes of the whole database.
    pub total: u64,
}

/// Checks the pieces of a snapshot against the checksum that ends it.
#[derive(Debug, Default)]
pub struct SnapshotVerifier {
    hash: Sha256,
    /// The last bytes, which may be the checksum: at most [`CHECKSUM`] of them.
    tail: Vec<u8>,
    /// All bytes, the tail included.
    received: u64,
    announced: u64,
}

impl SnapshotVerifier {
    /// A verifier that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece; returns its bytes, to be written as they are, and how far that is.
    #[must_use = "the bytes are the snapshot"]
    pub fn handle_message(&mut self, message: SnapshotResponse) -> (Bytes, SnapshotProgress) {
        let blob = message.blob;
        self.received += blob.len() as u64;
        // The checksum itself is not part of what remains, nor of what is announced.
        self.announced = self
            .announced
            .max(self.received.saturating_add(message.remaining_bytes));
        self.absorb(&blob);
        let progress = SnapshotProgress {
            received: self.received.min(self.database()),
            total: self.database(),
        };
        (blob, progress)
    }

    /// Takes note that the stream ended without an error.
    ///
    /// # Errors
    ///
    /// If the snapshot is incomplete, has no checksum, or another one than its bytes.
    pub fn handle_end(self) -> Result<SnapshotProgress, SnapshotError> {
        let database = self.received.saturating_sub(CHECKSUM as u64);
        if self.received < self.announced {
            return Err(SnapshotError::Truncated {
                received: self.received,
                missing: self.announced - self.received,
            });
        }
        // A database consists of pages, so that its length alone tells whether 32 more bytes follow it
        // (`client/v3/snapshot/v3_snapshot.go`, `hasChecksum`).
        if self.tail.len() < CHECKSUM || self.received % 512 != CHECKSUM as u64 {
            return Err(SnapshotError::NoChecksum);
        }
        if self.hash.finalize().as_slice() != self.tail {
            return Err(SnapshotError::Checksum);
        }
        Ok(SnapshotProgress {
            received: database,
            total: database,
        })
    }

    /// The length of the database, as far as it is known.
    fn database(&self) -> u64 {
        let trailing = self.received % 512 == CHECKSUM as u64 && self.received >= self.announced;
        if trailing {
            self.received - CHECKSUM as u64
        } else {
            self.announced
        }
    }

    /// Hashes everything but the last bytes.
    fn absorb(&mut self, blob: &[u8]) {
        let keep_of_blob = blob.len().min(CHECKSUM);
        let (body, end) = blob.split_at(blob.len() - keep_of_blob);
        let overflow = (self.tail.len() + end.len()).saturating_sub(CHECKSUM);
        self.hash.update(&self.tail[..overflow]);
        self.tail.drain(..overflow);
        self.hash.update(body);
        self.tail.extend_from_slice(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of a server that sends `database` in pieces of `piece` bytes.
    fn messages(database: &[u8], piece: usize) -> Vec<SnapshotResponse> {
        let mut remaining = database.len();
        let mut messages: Vec<_> = database
            .chunks(piece)
            .map(|blob| {
                remaining -= blob.len();
                message(blob, remaining)
            })
            .collect();
        messages.push(message(&Sha256::digest(database), 0));
        messages
    }

    fn message(blob: &[u8], remaining: usize) -> SnapshotResponse {
        SnapshotResponse {
            blob: Bytes::copy_from_slice(blob),
            remaining_bytes: remaining as u64,
            ..SnapshotResponse::default()
        }
    }

    fn verify(messages: Vec<SnapshotResponse>) -> Result<SnapshotProgress, SnapshotError> {
        let mut verifier = SnapshotVerifier::new();
        for message in messages {
            let _ = verifier.handle_message(message);
        }
        verifier.handle_end()
    }

    fn database() -> Vec<u8> {
        (0..4096u32).map(|byte| byte as u8).collect()
    }

    #[test]
    fn a_whole_snapshot_passes_however_it_is_cut() {
        for piece in [1, 7, 31, 32, 33, 64, 4095, 4096] {
            let progress = verify(messages(&database(), piece)).unwrap();
            assert_eq!(
                (progress.received, progress.total),
                (4096, 4096),
                "pieces of {piece}"
            );
        }
        // A server could as well send the checksum with the last piece.
        let mut whole = database();
        whole.extend_from_slice(&Sha256::digest(database()));
        verify(vec![message(&whole, 0)]).unwrap();
    }

    #[test]
    fn progress_goes_from_the_first_piece_to_the_whole_database() {
        let mut verifier = SnapshotVerifier::new();
        let seen: Vec<_> = messages(&database(), 1024)
            .into_iter()
            .map(|message| verifier.handle_message(message).1)
            .map(|progress| (progress.received, progress.total))
            .collect();
        assert_eq!(
            seen,
            [
                (1024, 4096),
                (2048, 4096),
                (3072, 4096),
                (4096, 4096),
                (4096, 4096)
            ]
        );
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        for position in [0, 1000, 4095, 4096, 4127] {
            let mut pieces = messages(&database(), 100);
            let mut offset = position;
            for piece in &mut pieces {
                if offset < piece.blob.len() {
                    let mut bytes = piece.blob.to_vec();
                    bytes[offset] ^= 1;
                    piece.blob = bytes.into();
                    break;
                }
                offset -= piece.blob.len();
            }
            assert!(
                matches!(verify(pieces), Err(SnapshotError::Checksum)),
                "{position}"
            );
        }
    }

    #[test]
    fn a_snapshot_that_ends_early_is_never_taken_for_whole() {
        let pieces = messages(&database(), 512);
        for count in 0..pieces.len() {
            let error = verify(pieces[..count].to_vec()).unwrap_err();
            let truncated = matches!(error, SnapshotError::Truncated { .. });
            assert_eq!(
                truncated,
                0 < count && count < pieces.len() - 1,
                "{count}: {error}"
            );
        }
    }
}
