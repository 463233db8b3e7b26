//! Decoding allocates the same number of times for one key and for ten thousand.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use allocation_counter::measure;
use bytes::Bytes;
use etcd_core::codec::{from_json, to_json};
use etcd_core::message::{Event, EventType, GetResponse, KeyValue, WatchResponse};

fn pair(index: i64) -> KeyValue {
    let mut kv = KeyValue::default();
    kv.key = format!("some/key/{index:06}").into();
    kv.value = Bytes::from(vec![0xa5; 128]);
    kv.create_revision = index + 1;
    kv.mod_revision = index + 1;
    kv.version = 1;
    kv
}

fn allocations_of_a_range(keys: i64) -> u64 {
    let mut response = GetResponse::default();
    response.kvs = (0..keys).map(pair).collect();
    let json = to_json(&response);
    let measured = measure(|| {
        black_box(from_json::<GetResponse>(&json).unwrap());
    });
    measured.count_total
}

fn allocations_of_events(events: i64) -> u64 {
    let mut response = WatchResponse::default();
    response.events = (0..events)
        .map(|index| {
            let mut event = Event::default();
            event.event_type = EventType::Put;
            event.kv = pair(index);
            event
        })
        .collect();
    let json = to_json(&response);
    let measured = measure(|| {
        black_box(from_json::<WatchResponse>(&json).unwrap());
    });
    measured.count_total
}

#[test]
fn a_range_costs_as_many_allocations_as_a_key() {
    let one = allocations_of_a_range(1);
    assert_eq!(allocations_of_a_range(10_000), one);
    assert!(one <= 4, "{one} allocations: a buffer, its shared handle, a list");
}

#[test]
fn a_batch_of_events_costs_as_many_allocations_as_an_event() {
    assert_eq!(allocations_of_events(10_000), allocations_of_events(1));
}
