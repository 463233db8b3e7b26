//! What happened, as one number.

use std::time::Duration;

/// A running hash of everything that happened in a world, in order (FNV-1a).
///
/// Two worlds of the same seed that run the same code have the same number at the same time.
#[derive(Clone, Debug)]
pub(super) struct Trace(u64);

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Connect,
    ToServer,
    ToClient,
    Lost,
    Applied,
    Leader,
    Fault,
    Note,
}

impl Default for Trace {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Trace {
    pub(super) fn note(&mut self, at: Duration, mark: Mark, subject: u64, content: &[u8]) {
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        for word in [at, mark as u64, subject, content.len() as u64] {
            self.mix(word);
        }
        for word in content.chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            self.mix(u64::from_le_bytes(bytes));
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.0
    }

    fn mix(&mut self, word: u64) {
        // FNV-1a on words; the shift lets high bits reach low ones.
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 ^= self.0 >> 29;
    }
}
