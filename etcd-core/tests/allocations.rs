//! Decoding allocates the same number of times for one key and for ten thousand, and a large message of a watch takes
//! memory in proportion to its size.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use allocation_counter::measure;
use bytes::Bytes;
use etcd_core::codec::{from_json, to_json};
use etcd_core::error::ErrorKind;
use etcd_core::frame::LineFramer;
use etcd_core::gateway::{StreamDecoder, stream_message};
use etcd_core::machine::{
    BatchBuffer, BufferLimits, BufferPolicy, Offered, WatchConnection, WatchMode, WatchOrigin, WatchOutput,
    WatchStep, WatchTimes,
};
use etcd_core::message::{Event, EventType, GetResponse, KeyValue, Watch, WatchCreate, WatchResponse};

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

/// A line of a watch that catches up, as the gateway sends it.
fn line_of_events(events: i64) -> Vec<u8> {
    let mut response = WatchResponse::default();
    response.watch_id = 1;
    response.events = (0..events)
        .map(|index| {
            let mut event = Event::default();
            event.kv = pair(index);
            event
        })
        .collect();
    let mut line = br#"{"result":"#.to_vec();
    line.extend(to_json(&response));
    line.extend(b"}\n");
    line
}

/// Decodes a body as a network brings it.
fn receive(body: &[u8], mut take: impl FnMut(Result<WatchResponse, ErrorKind>)) {
    let mut decoder = StreamDecoder::<Watch>::new();
    for piece in body.chunks(16 << 10) {
        decoder.handle_chunk(Bytes::copy_from_slice(piece));
        while let Some(message) = decoder.poll_message() {
            take(message);
        }
    }
}

#[test]
fn a_long_line_costs_a_few_allocations_for_each_piece_and_none_for_each_event() {
    let allocations = |line: &[u8]| measure(|| receive(line, |message| drop(message.unwrap()))).count_total;
    let line = line_of_events(40_000);
    let per_piece = allocations(&line) as f64 / (line.len() >> 14) as f64;
    assert!(per_piece < 3.0, "{per_piece} for 16 KiB, which hold 58 events");
}

#[test]
fn a_line_of_twenty_megabytes_is_taken_in_a_few_times_its_size() {
    for events in [80_000, 90_000] {
        let line = line_of_events(events);
        assert!(line.len() > 20 << 20, "{}", line.len());
        let mut buffer = BatchBuffer::new(BufferPolicy::Wait, BufferLimits::default());
        let measured = measure(|| take_line(&line, events, &mut buffer));
        let times = |bytes: u64| bytes as f64 / line.len() as f64;
        // The events, and beside them those of the shorter list that has just become too short. Of an allocator that makes it
        // longer in place, 1.4 times. What is held of the line does not count.
        assert!(
            times(measured.bytes_max) < 2.5,
            "{} times",
            times(measured.bytes_max)
        );
        // Of the line nothing is left but what the events say.
        let left = measured.bytes_current.unsigned_abs();
        assert!(times(left) < 1.75, "{} times", times(left));
    }
}

/// Takes a line, as the only watch of a connection does.
fn take_line(line: &[u8], events: i64, buffer: &mut BatchBuffer) {
    let mut watches = WatchConnection::new(WatchMode::Single, WatchTimes::default(), 256 << 20);
    let now = Instant::now();
    let create = WatchCreate::new("some/key/".."some/key0").start_revision(1);
    let id = watches.handle_create(create, WatchOrigin::Given);
    assert!(matches!(watches.poll_step(now, 0), WatchStep::Open { .. }));
    watches.handle_opened(now);
    let mut created = WatchResponse::default();
    (created.watch_id, created.created) = (1, true);
    watches.handle_message(now, created, 0);

    receive(line, |message| watches.handle_message(now, message.unwrap(), 0));

    let mut taken = 0;
    while let Some((of, output)) = watches.poll_output() {
        assert_eq!(of, id);
        if let WatchOutput::Batch(batch) = output {
            taken += batch.events().len();
            assert!(matches!(buffer.offer(batch), Offered::Taken));
        }
    }
    assert_eq!(i64::try_from(taken).unwrap(), events);
}

#[test]
fn a_hostile_line_takes_no_more_memory_for_being_decoded_while_it_arrives() {
    const LENGTH: usize = 2 << 20;
    let filled = |head: &str, filling: &str| {
        let mut line = String::from(head);
        while line.len() < LENGTH {
            line.push_str(filling);
        }
        line + "\n"
    };
    let event = r#"{"kv":{"key":"YQ==","mod_revision":"2"}}"#;
    let events = r#"{"result":{"events":["#;
    let broken = format!("{event},{event},{{}}}},{event},");
    for line in [
        filled(&format!("{events}{{}}"), ",{}"),
        filled(&format!("{events}null"), ",null") + "]}}",
        filled(&format!("{events}{event}"), ",{\"kv\":{\"key\":\"\\u0059Q==\"}}"),
        filled(&format!("{events}{event}"), &broken),
        filled(&format!("{events}{event},{{\"kv\":"), "["),
        filled(&format!("{events}{event},{{\"x\":"), "{\"x\":"),
        filled(&format!("{events}{{\"kv\":{{\"value\":\""), "AAAA"),
        filled(events, "["),
        filled("{\"result\":{", "\"events\":[{},{}],"),
        filled("{", "\"result\":{\"events\":[{},{}]},"),
        filled("", "{\"result\":"),
        filled("{\"", "\\"),
        filled("", "]"),
    ] {
        let in_pieces = measure(|| receive(line.as_bytes(), drop)).bytes_max;
        let whole = measure(|| {
            let mut framer = LineFramer::new();
            for piece in line.as_bytes().chunks(16 << 10) {
                framer.handle_chunk(Bytes::copy_from_slice(piece));
                while let Some(line) = framer.poll_line() {
                    drop(stream_message::<Watch>(&line.unwrap()));
                }
            }
        });
        let whole = whole.bytes_max;
        // Twice what elements may take, for a list that has just become longer, and the line.
        assert!(whole < 28 * LENGTH as u64, "{whole}: {}", &line[..60]);
        assert!(
            in_pieces <= whole + (1 << 20),
            "{in_pieces} and {whole}: {}",
            &line[..60]
        );
    }
}
