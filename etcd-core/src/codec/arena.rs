//! One buffer for all bytes fields of a document.

use std::cell::{Cell, RefCell};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use serde::de;

/// Encodes with padding, as every gateway demands; decodes with or without.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How many bytes of memory the elements of an answer's lists may take, for each byte of the answer.
///
/// What servers write takes six at most: a name of one letter in a list of users is 24 bytes in memory and four in JSON, a
/// permission to read such a key 88 and 15. `{},{},{}` in a list of events takes 72.
const ROOM_PER_BYTE: usize = 12;

/// How many bytes they may take in any case.
const LEAST_ROOM: usize = 64 * 1024;

/// Decodes base64 into slices of one shared buffer, allocated when the first byte needs it.
///
/// The decoded bytes of a document never exceed three quarters of its length, so one allocation holds them
/// all, whatever their number. A slice keeps the whole buffer alive; who keeps few keys of a large response
/// for long should copy them. A long line of a stream is a document for each piece that is decoded.
pub(crate) struct Arena<'d> {
    document: &'d [u8],
    buffer: RefCell<BytesMut>,
    keys_ahead: Cell<Option<usize>>,
    /// How many bytes the elements of lists may take, and how many they have taken.
    room: usize,
    taken: Cell<usize>,
    is_exhausted: Cell<bool>,
}

/// What a part of an answer leaves to the next: a buffer, and how much memory was taken.
#[derive(Debug, Default)]
pub(crate) struct Left {
    buffer: BytesMut,
    taken: usize,
}

impl<'d> Arena<'d> {
    pub(crate) fn for_document(document: &'d [u8]) -> Self {
        Self {
            document,
            buffer: RefCell::new(BytesMut::new()),
            keys_ahead: Cell::new(None),
            room: usize::MAX,
            taken: Cell::new(0),
            is_exhausted: Cell::new(false),
        }
    }

    /// One for what a server has answered, whose lists must not take memory out of all proportion.
    pub(crate) fn for_answer(answer: &'d [u8]) -> Self {
        Self::going_on(answer, answer.len(), Left::default())
    }

    /// One for a part of an answer of which `length` bytes have come, after those parts that have left this.
    pub(crate) fn going_on(part: &'d [u8], length: usize, left: Left) -> Self {
        Self {
            buffer: RefCell::new(left.buffer),
            room: LEAST_ROOM.saturating_add(length.saturating_mul(ROOM_PER_BYTE)),
            taken: Cell::new(left.taken),
            ..Self::for_document(part)
        }
    }

    /// What the next part goes on with.
    pub(crate) fn into_left(self) -> Left {
        Left {
            buffer: self.buffer.into_inner(),
            taken: self.taken.get(),
        }
    }

    /// The bytes that `text` encodes, `None` if it is not base64.
    pub(super) fn decode(&self, text: &[u8]) -> Option<Bytes> {
        if text.is_empty() {
            return Some(Bytes::new());
        }
        let mut buffer = self.buffer.borrow_mut();
        let room = base64::decoded_len_estimate(text.len());
        if buffer.capacity() < room {
            buffer.reserve(room.max(self.document.len() / 4 * 3));
        }
        buffer.resize(room, 0);
        let length = BASE64.decode_slice(text, &mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer.split().freeze())
    }

    /// Decodes something that will be decoded once more, and counts then.
    pub(crate) fn uncounted<T>(&self, decode: impl FnOnce() -> T) -> T {
        let taken = self.taken.get();
        let decoded = decode();
        self.taken.set(taken);
        decoded
    }

    /// How many elements of `size` bytes there is room for.
    pub(super) fn room_for(&self, size: usize) -> usize {
        self.room.saturating_sub(self.taken.get()) / size.max(1)
    }

    /// Takes note of an element of `size` bytes in a list; fails if that is one too many.
    pub(super) fn take_room<E: de::Error>(&self, size: usize) -> Result<(), E> {
        let taken = self.taken.get().saturating_add(size);
        if taken > self.room {
            self.is_exhausted.set(true);
            return Err(E::custom(
                "its lists take far more memory than what servers write",
            ));
        }
        self.taken.set(taken);
        Ok(())
    }

    /// Whether there was an element too many.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted.get()
    }

    /// How many more key-value pairs the document can hold: the capacity that their list should start with.
    ///
    /// Counts the member that every pair has. A hostile document can make the count too large, by no more
    /// than one pair for every 14 bytes it sends.
    pub(super) fn keys_ahead(&self) -> usize {
        self.keys_ahead.get().unwrap_or_else(|| {
            let count = memmem::find_iter(self.document, b"\"mod_revision\"").count();
            self.keys_ahead.set(Some(count));
            count
        })
    }

    /// Notes that `count` pairs were decoded, if anyone has asked how many there are: most documents are short, and
    /// to count costs more than they do.
    pub(super) fn keys_decoded(&self, count: usize) {
        let ahead = self.keys_ahead.get().map(|ahead| ahead.saturating_sub(count));
        self.keys_ahead.set(ahead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_one_buffer() {
        let document = br#"{"a":"YWFh","b":"YmI=","c":"Yw==","d":"ZGRkZA=="}"#;
        let arena = Arena::for_document(document);
        let slices: Vec<_> = ["YWFh", "YmI=", "Yw=="]
            .map(|text| arena.decode(text.as_bytes()).unwrap())
            .into();
        assert_eq!(slices, ["aaa", "bb", "c"]);
        for pair in slices.windows(2) {
            assert_eq!(pair[0].as_ptr().wrapping_add(pair[0].len()), pair[1].as_ptr());
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        let arena = Arena::for_document(b"0123456789");
        for text in ["a", "a===", "YW Fh", "Y\u{e9}", "_-8="] {
            assert_eq!(arena.decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(arena.decode(b"YQ").unwrap(), "a");
        assert_eq!(arena.decode(b"").unwrap(), "");
    }
}
