//! Bytes that were sent or received, in the three ways in which they are written down.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::Error;

/// Bytes that were sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// All of them.
    Whole(Bytes),
    /// Too many to be written down; they can be restored.
    Elided(Elided),
}

/// Bytes of which only the beginning and the end are written down.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Elided {
    /// How many there are.
    pub len: usize,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
    /// How they begin.
    pub head: String,
    /// How they end.
    #[serde(default)]
    pub tail: String,
}

impl Content {
    /// The bytes, restored if need be.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes.clone(),
            Self::Elided(elided) => elided.restore(),
        }
    }
}

impl Elided {
    /// The bytes as they were. A test of this crate proves it for each, by their SHA-256.
    ///
    /// # Panics
    ///
    /// If the beginning is shorter than the padding that follows it.
    #[must_use]
    pub fn restore(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.len);
        if let Some(pieces) = PIECES.get(&self.sha256) {
            for (text, times) in pieces {
                bytes.extend(std::iter::repeat_n(text.as_bytes(), *times).flatten());
            }
        } else {
            // What is missing goes on as the beginning ends: spaces, or the base64 of one letter, in fours.
            let period = self
                .head
                .as_bytes()
                .last_chunk::<4>()
                .expect("160 bytes are kept");
            let missing = self.len - self.head.len() - self.tail.len();
            bytes.extend_from_slice(self.head.as_bytes());
            bytes.extend(period.iter().cycle().take(missing));
            bytes.extend_from_slice(self.tail.as_bytes());
        }
        bytes.freeze()
    }
}

/// What `elided.jsonl` says of contents that are not mere padding: by SHA-256, the texts they consist of and how
/// often each is repeated.
static PIECES: LazyLock<HashMap<String, Vec<(String, usize)>>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Line {
        sha256: String,
        pieces: Vec<(String, usize)>,
    }
    include_str!("../elided.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of elided.jsonl has this form"))
        .map(|line: Line| (line.sha256, line.pieces))
        .collect()
});

/// All of the pieces in one.
pub(super) fn join(pieces: &[Content]) -> Bytes {
    if let [only] = pieces {
        return only.bytes();
    }
    let mut joined = BytesMut::new();
    for piece in pieces {
        joined.extend_from_slice(&piece.bytes());
    }
    joined.freeze()
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
    use std::collections::BTreeMap;

    use sha2::{Digest, Sha256};

    use super::*;

    fn read(json: &str) -> Content {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn text_and_base64_are_whole() {
        assert_eq!(read("\"aé\"").bytes(), "aé");
        assert_eq!(read("{\"base64\":\"AP8=\"}").bytes(), &b"\x00\xff"[..]);
    }

    #[test]
    fn what_was_elided_is_restored_to_the_byte() {
        let exchanges = crate::exchanges();
        let contents = exchanges.iter().flat_map(|exchange| {
            let request = exchange
                .request
                .iter()
                .flat_map(|request| request.body.iter().chain(&request.raw_head));
            let response = exchange.response.iter().flat_map(|response| &response.chunks);
            let messages = exchange.web_socket.iter().map(|message| &message.data);
            request.chain(response).chain(messages)
        });
        let elided: BTreeMap<&str, &Elided> = contents
            .filter_map(|content| match content {
                Content::Elided(elided) => Some((elided.sha256.as_str(), elided)),
                Content::Whole(_) => None,
            })
            .collect();
        assert_eq!(elided.len(), 31);
        for (sha256, elided) in elided {
            let bytes = elided.restore();
            let digest: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!((bytes.len(), digest.as_str()), (elided.len, sha256));
        }
    }
}
