//! Values of a mirror that are made of bytes, and what keeps them from being made.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use etcd_core::message::KeyValue;

/// A value that is not what it should be. It is held in the place of that value, until the key is written again.
///
/// Its [`source`](StdError::source) is what the decoder said, which may quote the value.
///
/// Made by [`MirrorCall::try_decode`](super::MirrorCall::try_decode) and `MirrorCall::json`.
#[derive(Clone, Debug)]
pub struct DecodeError {
    key: Bytes,
    revision: i64,
    cause: Arc<dyn StdError + Send + Sync>,
}

impl DecodeError {
    pub(super) fn new(kv: &KeyValue, cause: Box<dyn StdError + Send + Sync>) -> Self {
        Self {
            key: kv.key.clone(),
            revision: kv.mod_revision,
            cause: cause.into(),
        }
    }

    /// The key whose value it is.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// The revision that wrote the value.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, revision) = (self.key.escape_ascii(), self.revision);
        write!(
            f,
            "the value of \"{key}\", of revision {revision}, cannot be decoded"
        )
    }
}

impl StdError for DecodeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}
