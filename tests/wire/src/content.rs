//! Bytes that were sent or received, in the three ways in which they are written down.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::Error;
use sha2::{Digest, Sha256};

/// Bytes that were sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// All of them.
    Whole(Bytes),
    /// Too many to keep: how they begin and end.
    Elided(Elided),
}

/// Bytes of which only the beginning and the end were kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Elided {
    /// How many there were.
    pub len: usize,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
    /// How they began.
    pub head: String,
    /// How they ended.
    #[serde(default)]
    pub tail: String,
}

impl Content {
    /// The bytes; `None` if they were not kept and cannot be restored.
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes.clone()),
            Self::Elided(elided) => elided.restore(),
        }
    }
}

impl Elided {
    /// The bytes as they were, if what is missing goes on as the beginning ends; their SHA-256 proves it.
    #[must_use]
    pub fn restore(&self) -> Option<Bytes> {
        // Four, because what was sent in this size is padding: spaces, or the base64 of one letter.
        let period = self.head.as_bytes().last_chunk::<4>()?;
        let missing = self.len.checked_sub(self.head.len() + self.tail.len())?;
        let mut bytes = BytesMut::with_capacity(self.len);
        bytes.extend_from_slice(self.head.as_bytes());
        bytes.extend(period.iter().cycle().take(missing));
        bytes.extend_from_slice(self.tail.as_bytes());
        let digest = Sha256::digest(&bytes);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        (hex == self.sha256).then(|| bytes.freeze())
    }
}

/// All of the pieces in one; `None` if one of them is lost.
pub(super) fn join(pieces: &[Content]) -> Option<Bytes> {
    if let [only] = pieces {
        return only.bytes();
    }
    let mut joined = BytesMut::new();
    for piece in pieces {
        joined.extend_from_slice(&piece.bytes()?);
    }
    Some(joined.freeze())
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Base64 { base64: String },
            Elided { elided: Elided },
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Text(text) => Self::Whole(text.into()),
            Written::Base64 { base64 } => {
                Self::Whole(STANDARD.decode(base64).map_err(D::Error::custom)?.into())
            }
            Written::Elided { elided } => Self::Elided(elided),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Content {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn text_and_base64_are_whole() {
        assert_eq!(read("\"aé\"").bytes().unwrap(), "aé");
        assert_eq!(read("{\"base64\":\"AP8=\"}").bytes().unwrap(), &b"\x00\xff"[..]);
    }

    #[test]
    fn padding_is_restored_and_anything_else_is_not() {
        let sha256: String = Sha256::digest("{[[[[[[[[}")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let elided = Elided {
            len: 10,
            sha256,
            head: "{[[[[".into(),
            tail: "}".into(),
        };
        assert_eq!(elided.restore().unwrap(), "{[[[[[[[[}");
        assert_eq!(Elided { len: 11, ..elided }.restore(), None);
    }
}
