//! How large messages would be as protobuf. Nothing here encodes: the limits of a real server count these bytes.
//!
//! Source: the [protobuf encoding](https://protobuf.dev/programming-guides/encoding/). Field numbers in use are all
//! below 16, so that a tag is one byte.

use bytes::Bytes;
use etcd_core::message::{Event, KeyValue, WatchResponse};

fn varint(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// A tag, a length and that many bytes.
pub(crate) fn delimited(length: usize) -> usize {
    1 + varint(length as u64) + length
}

pub(crate) fn bytes_field(bytes: &Bytes) -> usize {
    if bytes.is_empty() {
        0
    } else {
        delimited(bytes.len())
    }
}

pub(crate) fn int_field(value: i64) -> usize {
    // A negative one is written as its 64 bits.
    if value == 0 {
        0
    } else {
        1 + varint(value.cast_unsigned())
    }
}

pub(crate) fn flag_field(flag: bool) -> usize {
    if flag { 2 } else { 0 }
}

pub(crate) fn pair_size(pair: &KeyValue) -> usize {
    bytes_field(&pair.key)
        + bytes_field(&pair.value)
        + [pair.create_revision, pair.mod_revision, pair.version, pair.lease]
            .into_iter()
            .map(int_field)
            .sum::<usize>()
}

pub(crate) fn event_size(event: &Event) -> usize {
    let deletion = event.event_type != etcd_core::message::EventType::Put;
    flag_field(deletion)
        + delimited(pair_size(&event.kv))
        + event
            .prev_kv
            .as_ref()
            .map_or(0, |pair| delimited(pair_size(pair)))
}

/// All of a watch's message but its events.
pub(crate) fn watch_frame_size(response: &WatchResponse) -> usize {
    let header = &response.header;
    let header_size = int_field(header.cluster_id.cast_signed())
        + int_field(header.member_id.cast_signed())
        + int_field(header.revision)
        + int_field(header.raft_term.cast_signed());
    delimited(header_size)
        + int_field(response.watch_id)
        + flag_field(response.fragment)
        + int_field(response.compact_revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_grow_by_seven_bits() {
        assert_eq!([0, 1, 127, 128, 16_383, 16_384].map(varint), [1, 1, 1, 2, 2, 3]);
        assert_eq!(varint(u64::MAX), 10);
        assert_eq!(int_field(-1), 11);
    }
}
