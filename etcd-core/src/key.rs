//! Keys, and ranges of them.

use std::borrow::Cow;
use std::ops::{Range, RangeFrom, RangeFull};

use bytes::Bytes;

/// What can stand for a key or a value: text and bytes, owned or not.
///
/// Borrowed text and bytes are copied; [`Bytes`], `Vec<u8>` and `String` are not.
pub trait IntoBytes {
    /// The bytes themselves.
    fn into_bytes(self) -> Bytes;
}

macro_rules! into_bytes {
    ($( impl $([const $length:ident])? for $type:ty => |$value:ident| $convert:expr; )*) => {
        $(
            impl $(<const $length: usize>)? IntoBytes for $type {
                fn into_bytes(self) -> Bytes {
                    let $value = self;
                    $convert
                }
            }
        )*
    };
}

into_bytes! {
    impl for Bytes => |bytes| bytes;
    impl for &Bytes => |bytes| bytes.clone();
    impl for Vec<u8> => |bytes| bytes.into();
    impl for &Vec<u8> => |bytes| Bytes::copy_from_slice(bytes);
    impl for &[u8] => |bytes| Bytes::copy_from_slice(bytes);
    impl [const N] for [u8; N] => |bytes| Bytes::copy_from_slice(&bytes);
    impl [const N] for &[u8; N] => |bytes| Bytes::copy_from_slice(bytes);
    impl for String => |text| text.into();
    impl for &String => |text| Bytes::copy_from_slice(text.as_bytes());
    impl for &str => |text| Bytes::copy_from_slice(text.as_bytes());
    impl for Cow<'_, str> => |text| text.into_owned().into();
    impl for Cow<'_, [u8]> => |bytes| bytes.into_owned().into();
}

/// One key, or all keys from one up to, but not including, another; in the order of their bytes.
///
/// Whatever stands for a key is a range of that one key. Rust's own ranges work too:
///
/// ```
/// use etcd_core::key::{KeyRange, from_key, prefix};
///
/// assert_eq!(KeyRange::from("a"), KeyRange::single("a"));
/// assert_eq!(KeyRange::from("a".."c"), KeyRange::half_open("a", "c"));
/// assert_eq!(KeyRange::from("a"..), from_key("a"));
/// assert_eq!(KeyRange::from(..), KeyRange::all());
///
/// assert!(prefix("config/").contains(b"config/mode"));
/// assert!(!prefix("config/").contains(b"config"));
/// ```
///
/// Source: the comments of `RangeRequest` in `api/etcdserverpb/rpc.proto`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    key: Bytes,
    range_end: Bytes,
}

/// On the wire, the lowest key as range end means "no upper bound".
const NO_UPPER_BOUND: Bytes = Bytes::from_static(b"\0");
/// The lowest key there can be: keys are not empty.
const LOWEST: Bytes = Bytes::from_static(b"\0");
/// A key above the lowest. As its own range end, it makes an empty range; the lowest key would not.
const ABOVE_LOWEST: Bytes = Bytes::from_static(b"\x01");

impl KeyRange {
    /// The one key `key`. An empty key is refused when the request is sent.
    #[must_use]
    pub fn single(key: impl IntoBytes) -> Self {
        Self {
            key: key.into_bytes(),
            range_end: Bytes::new(),
        }
    }

    /// All keys that begin with `prefix`; all keys there are, if it is empty.
    #[must_use]
    pub fn prefix(prefix: impl IntoBytes) -> Self {
        let key = prefix.into_bytes();
        if key.is_empty() {
            return Self::all();
        }
        // The first key that no longer has the prefix: count its last byte up, dropping bytes that cannot be.
        let range_end = match key.iter().rposition(|byte| *byte != 0xff) {
            Some(last) => {
                let mut end = key[..=last].to_vec();
                end[last] += 1;
                end.into()
            }
            None => NO_UPPER_BOUND,
        };
        Self { key, range_end }
    }

    /// The keys from `start` on and before `end`. Empty if `end` does not come after `start`.
    #[must_use]
    pub fn half_open(start: impl IntoBytes, end: impl IntoBytes) -> Self {
        let (start, end) = (start.into_bytes(), end.into_bytes());
        let start = if start.is_empty() { LOWEST } else { start };
        if end <= start || end == LOWEST {
            // An end that is empty or lowest has a meaning of its own on the wire, so no range may carry it here.
            let nowhere = start.max(ABOVE_LOWEST);
            return Self {
                key: nowhere.clone(),
                range_end: nowhere,
            };
        }
        Self {
            key: start,
            range_end: end,
        }
    }

    /// The keys from `start` on.
    #[must_use]
    pub fn from_key(start: impl IntoBytes) -> Self {
        let start = start.into_bytes();
        Self {
            key: if start.is_empty() { LOWEST } else { start },
            range_end: NO_UPPER_BOUND,
        }
    }

    /// All keys.
    #[must_use]
    pub fn all() -> Self {
        Self::from_key(LOWEST)
    }

    /// The range that etcd's protocol describes with these two fields.
    #[must_use]
    pub fn from_parts(key: Bytes, range_end: Bytes) -> Self {
        Self { key, range_end }
    }

    /// The first key.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// The range end as etcd's protocol has it: empty for a single key, a zero byte for no upper bound,
    /// otherwise the key after the last one.
    #[must_use]
    pub fn range_end(&self) -> &Bytes {
        &self.range_end
    }

    /// Whether `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        if self.range_end.is_empty() {
            return key == self.key;
        }
        key >= &self.key[..] && (self.range_end == NO_UPPER_BOUND || key < &self.range_end[..])
    }

    /// [`key`](Self::key) and [`range_end`](Self::range_end).
    #[must_use]
    pub fn into_parts(self) -> (Bytes, Bytes) {
        (self.key, self.range_end)
    }
}

/// All keys that begin with `prefix`; see [`KeyRange::prefix`].
#[must_use]
pub fn prefix(prefix: impl IntoBytes) -> KeyRange {
    KeyRange::prefix(prefix)
}

/// The keys from `start` on; see [`KeyRange::from_key`].
#[must_use]
pub fn from_key(start: impl IntoBytes) -> KeyRange {
    KeyRange::from_key(start)
}

/// All keys; see [`KeyRange::all`].
#[must_use]
pub fn all_keys() -> KeyRange {
    KeyRange::all()
}

impl<T: IntoBytes> From<T> for KeyRange {
    fn from(key: T) -> Self {
        Self::single(key)
    }
}

impl<T: IntoBytes> From<Range<T>> for KeyRange {
    fn from(range: Range<T>) -> Self {
        Self::half_open(range.start, range.end)
    }
}

impl<T: IntoBytes> From<RangeFrom<T>> for KeyRange {
    fn from(range: RangeFrom<T>) -> Self {
        Self::from_key(range.start)
    }
}

impl From<RangeFull> for KeyRange {
    fn from(_: RangeFull) -> Self {
        Self::all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_its_last_countable_byte_counts_up() {
        for (text, end) in [
            (&b"a"[..], &b"b"[..]),
            (b"config/", b"config0"),
            (b"a\xff", b"b"),
            (b"a\xff\xff", b"b"),
            (b"\xfe\xff", b"\xff"),
            (b"\xff", b"\0"),
            (b"\xff\xff", b"\0"),
            (b"\0", b"\x01"),
        ] {
            assert_eq!(
                prefix(text),
                KeyRange {
                    key: Bytes::copy_from_slice(text),
                    range_end: Bytes::copy_from_slice(end)
                }
            );
        }
        assert_eq!(prefix(""), all_keys());
    }

    #[test]
    fn a_prefix_contains_exactly_the_keys_that_begin_with_it() {
        let keys: Vec<Vec<u8>> = (0..=255u8)
            .flat_map(|a| {
                [
                    vec![a],
                    vec![a, 0],
                    vec![a, 0xfe],
                    vec![a, 0xff],
                    vec![a, 0xff, 0xff],
                    vec![a, 0xff, 7],
                ]
            })
            .collect();
        for text in &keys {
            let range = prefix(text);
            for key in &keys {
                assert_eq!(
                    range.contains(key),
                    key.starts_with(text),
                    "{key:?} in prefix {text:?}"
                );
            }
        }
    }

    #[test]
    fn half_open_ranges_never_take_on_a_special_meaning_of_the_wire() {
        let keys = [&b"\0"[..], b"\0\0", b"\x01", b"a", b"b", b"\xff"];
        for start in [&b""[..], b"\0", b"\x01", b"a", b"b"] {
            for end in [&b""[..], b"\0", b"\x01", b"a", b"b"] {
                let range = KeyRange::half_open(start, end);
                assert!(!range.range_end().is_empty(), "would be a single key");
                for key in keys {
                    assert_eq!(
                        range.contains(key),
                        start <= key && key < end,
                        "{key:?} in {start:?}..{end:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn ranges_without_an_upper_bound_contain_all_that_follows() {
        assert!(from_key("b").contains(b"b"));
        assert!(from_key("b").contains(b"\xff\xff"));
        assert!(!from_key("b").contains(b"a\xff"));
        assert!(KeyRange::from(..).contains(b"\0"));
        assert_eq!(from_key(""), all_keys());
    }
}
