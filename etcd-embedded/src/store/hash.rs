//! Checksums.

use super::{Store, StoreError};

/// FNV-1a with 32 bits (RFC draft-eastlake-fnv): stable and small. Servers hash their own encoding with CRC-32C, which
/// nobody can compare with ours: only equal or unequal means something.
#[derive(Debug)]
pub(crate) struct Fnv(u32);

impl Fnv {
    pub(crate) fn new() -> Self {
        Self(0x811c_9dc5)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    pub(crate) fn finish(&self) -> u32 {
        self.0
    }
}

impl Store {
    /// A checksum over every version up to `revision`, 0 for all there are: key, value, revisions, version, lease, in
    /// the order of keys and versions. Two stores with the same versions and the same compaction have the same one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`], [`StoreError::FutureRevision`].
    pub fn hash(&self, revision: i64) -> Result<u32, StoreError> {
        let until = self.readable(self.revision, revision)?;
        let mut hash = Fnv::new();
        hash.write(&self.compacted.to_le_bytes());
        for change in self.index.values().flat_map(super::History::changes) {
            let pair = &change.pair;
            if pair.mod_revision > until {
                continue;
            }
            for number in [pair.create_revision, pair.mod_revision, pair.version, pair.lease] {
                hash.write(&number.to_le_bytes());
            }
            for bytes in [&pair.key, &pair.value] {
                hash.write(&bytes.len().to_le_bytes());
                hash.write(bytes);
            }
        }
        Ok(hash.finish())
    }
}
