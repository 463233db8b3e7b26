//! Ranges of keys as requests state them: a key and a range end.

use std::ops::Bound;

use bytes::Bytes;

/// The range end that means "and everything after".
const NO_UPPER_BOUND: &[u8] = b"\0";

/// One key, the keys from one up to another, or the keys from one on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    key: Bytes,
    range_end: Bytes,
}

impl Span {
    pub(crate) fn new(key: &Bytes, range_end: &Bytes) -> Self {
        Self {
            key: key.clone(),
            range_end: range_end.clone(),
        }
    }

    /// All keys that begin with `prefix`, which does not consist of 0xff alone.
    pub(crate) fn prefix(prefix: &Bytes) -> Self {
        let range = etcd_core::key::KeyRange::prefix(prefix);
        Self::new(range.key(), range.range_end())
    }

    pub(crate) fn key(&self) -> &Bytes {
        &self.key
    }

    pub(crate) fn range_end(&self) -> &Bytes {
        &self.range_end
    }

    /// The key, if the span is a single one.
    pub(crate) fn single(&self) -> Option<&Bytes> {
        self.range_end.is_empty().then_some(&self.key)
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        if self.range_end.is_empty() {
            return self.key == key;
        }
        *key >= *self.key && (self.range_end == NO_UPPER_BOUND || *key < *self.range_end)
    }

    /// The bounds of a walk over an ordered map; `None` if the span is empty.
    pub(crate) fn bounds(&self) -> Option<(Bound<&Bytes>, Bound<&Bytes>)> {
        let start = Bound::Included(&self.key);
        if self.range_end.is_empty() {
            return Some((start, start));
        }
        if self.range_end == NO_UPPER_BOUND {
            return Some((start, Bound::Unbounded));
        }
        (self.key < self.range_end).then_some((start, Bound::Excluded(&self.range_end)))
    }

    /// The first key after the span, `None` if it has no upper bound.
    pub(crate) fn end(&self) -> Option<Bytes> {
        if self.range_end == NO_UPPER_BOUND {
            None
        } else if self.range_end.is_empty() {
            Some([&self.key[..], b"\0"].concat().into())
        } else {
            Some(self.range_end.clone())
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bounds().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(key: &'static str, range_end: &'static str) -> Span {
        Span::new(
            &Bytes::from_static(key.as_bytes()),
            &Bytes::from_static(range_end.as_bytes()),
        )
    }

    #[test]
    fn a_span_holds_its_first_key_and_not_its_end() {
        assert!(span("b", "d").contains(b"b") && span("b", "d").contains(b"c\xff"));
        assert!(!span("b", "d").contains(b"d") && !span("b", "d").contains(b"a"));
        assert!(span("b", "\0").contains(b"zz") && !span("b", "\0").contains(b"a"));
        assert!(span("b", "").contains(b"b") && !span("b", "").contains(b"b\0"));
        assert!(span("d", "b").is_empty() && span("b", "b").is_empty() && !span("b", "").is_empty());
    }
}
