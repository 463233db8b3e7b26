//! However a body is cut and however early its lines count as long, the messages are those of whole lines.

use bytes::Bytes;
use etcd_recordings::{Random, streams};

use super::StreamDecoder;
use crate::error::{ErrorKind, ProtocolError};
use crate::frame::{DEFAULT_MAX_LINE, LineFramer};
use crate::gateway::stream_message;
use crate::message::{LeaseKeepAlive, Watch, WatchResponse};

mod generated;

type Messages = Vec<Result<WatchResponse, ErrorKind>>;

/// By the road that knows no long lines.
fn expected(body: &[u8], max_line: usize) -> Messages {
    let mut framer = LineFramer::with_max_line(max_line);
    framer.handle_chunk(Bytes::copy_from_slice(body));
    framer.handle_end();
    std::iter::from_fn(|| framer.poll_line())
        .map(|line| stream_message::<Watch>(&line?))
        .collect()
}

/// The messages of a body that comes in `pieces`, and how many bytes were cut out of its lines.
fn decoded<'a>(
    decoder: &mut StreamDecoder<Watch>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Messages, usize) {
    let mut messages = Vec::new();
    let (mut cut, mut cut_before) = (0, 0);
    for piece in pieces {
        decoder.handle_chunk(Bytes::copy_from_slice(piece));
        messages.extend(std::iter::from_fn(|| decoder.poll_message()));
        let cut_now = decoder.ahead.as_ref().map_or(0, |ahead| ahead.cut());
        cut += cut_now.saturating_sub(cut_before);
        cut_before = cut_now;
    }
    decoder.handle_end();
    messages.extend(std::iter::from_fn(|| decoder.poll_message()));
    assert!(decoder.ahead.is_none(), "of an ended line nothing is kept");
    (messages, cut)
}

fn assert_same(found: &Messages, expected: &Messages, what: impl Fn() -> String) {
    // Not all kinds of errors can be compared; all can be shown.
    assert!(
        format!("{found:?}") == format!("{expected:?}"),
        "{found:?} is not {expected:?}: {}",
        what()
    );
}

/// Decodes `body` with lines that are long from this length on; how many bytes were cut out.
fn check<'a>(
    body: &[u8],
    expected: &Messages,
    long_line: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    what: impl Fn() -> String,
) -> usize {
    let mut decoder = StreamDecoder::with_long_line(DEFAULT_MAX_LINE, long_line);
    let (found, cut) = decoded(&mut decoder, pieces);
    assert_same(&found, expected, || {
        let body = String::from_utf8_lossy(&body[..body.len().min(2000)]);
        format!("{}, long from {long_line}: {body}", what())
    });
    cut
}

#[test]
fn recorded_streams_say_the_same_in_all_pieces() {
    let mut random = Random::new(0x5eed);
    let mut cut = 0;
    for (exchange, body, pieces) in streams() {
        let expected = expected(&body, DEFAULT_MAX_LINE);
        let what = || exchange.to_string();
        for long_line in [2, 1000, super::LONG_LINE] {
            let pieces = pieces.iter().map(|piece| &piece[..]);
            cut += check(&body, &expected, long_line, pieces, what);
            let largest = 1 + random.below(body.len() + 1);
            cut += check(&body, &expected, long_line, random.pieces(&body, largest), what);
        }
        // Byte by byte what is short.
        let step = body.len() / 1000 + 1;
        cut += check(&body, &expected, 2, body.chunks(step), what);
    }
    assert!(cut > 1_000_000, "{cut}");
}

#[test]
fn recorded_streams_say_the_same_at_every_split_point() {
    let mut cut = 0;
    for (exchange, body, _) in streams() {
        let has_events = memchr::memmem::find(&body, b"\"events\":[").is_some();
        if !has_events || body.len() > 3000 {
            continue;
        }
        let expected = expected(&body, DEFAULT_MAX_LINE);
        for at in 0..=body.len() {
            let (first, second) = body.split_at(at);
            cut += check(&body, &expected, 2, [first, second], || {
                format!("{exchange} cut after {at}")
            });
        }
    }
    assert!(cut > 100_000, "{cut}");
}

#[test]
fn a_recorded_stream_that_ends_anywhere_says_the_same() {
    let mut random = Random::new(0xe0d);
    let mut cut = 0;
    for (exchange, body, _) in streams() {
        if body.len() > 100_000 {
            continue;
        }
        for _ in 0..20 {
            let body = &body[..random.below(body.len() + 1)];
            let pieces = random.pieces(body, 400);
            cut += check(body, &expected(body, DEFAULT_MAX_LINE), 2, pieces, || {
                exchange.to_string()
            });
        }
    }
    assert!(cut > 1000, "{cut}");
}

/// A line of so many events.
fn line_of(events: usize) -> String {
    let event =
        r#"{"kv":{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"Yg=="}}"#;
    let events = vec![event; events].join(",");
    format!(r#"{{"result":{{"header":{{"revision":"9"}},"watch_id":"3","events":[{events}]}}}}"#)
}

#[test]
fn bytes_that_were_cut_out_count_for_the_limit() {
    let line = line_of(50);
    for end in ["\n", "\r\n", ""] {
        let body = format!("{line}{end}");
        for max_line in line.len() - 1..=line.len() + 2 {
            let expected = expected(body.as_bytes(), max_line);
            for size in [1, 7, 500] {
                let mut decoder = StreamDecoder::with_long_line(max_line, 300);
                let (found, _) = decoded(&mut decoder, body.as_bytes().chunks(size));
                assert_same(&found, &expected, || {
                    format!("limit {max_line} of {}", line.len())
                });
            }
        }
    }
    // Those of one line do not count for the next.
    let mut decoder = StreamDecoder::with_long_line(line.len(), 300);
    let three = format!("{line}\n{line}\n{line}\n");
    let (found, _) = decoded(&mut decoder, three.as_bytes().chunks(100));
    assert!(found.len() == 3 && found.iter().all(Result::is_ok), "{found:?}");

    let mut decoder = StreamDecoder::<Watch>::with_long_line(line.len() - 1, 300);
    for piece in line.as_bytes().chunks(100) {
        decoder.handle_chunk(Bytes::copy_from_slice(piece));
        if let Some(error) = decoder.poll_message() {
            assert!(
                matches!(error, Err(ErrorKind::ResponseTooLarge { .. })),
                "{error:?}"
            );
            return;
        }
        assert!(decoder.framer.buffered() < 1000, "the events are not held");
    }
    panic!("more than the limit arrived");
}

#[test]
fn a_line_that_breaks_after_many_events_is_an_error_and_nothing_else() {
    let good = line_of(5000);
    assert!(good.len() > 3 * super::LONG_LINE);
    let middle = good.len() - 1000;
    for (broken, offset) in [
        (
            format!("{}\u{1}{}", &good[..middle], &good[middle + 1..]),
            middle + 1,
        ),
        (format!("{good}x"), good.len() + 1),
        (format!("{}5{}", &good[..good.len() - 2], "}}"), good.len() - 1),
    ] {
        let body = format!("{broken}\n{}\n", line_of(1));
        let mut decoder = StreamDecoder::<Watch>::new();
        let (found, cut) = decoded(&mut decoder, body.as_bytes().chunks(10_000));
        assert!(cut > super::LONG_LINE, "{cut}");
        assert_eq!(found.len(), 2);
        assert_same(&found, &expected(body.as_bytes(), DEFAULT_MAX_LINE), String::new);
        let Err(ErrorKind::Protocol(ProtocolError::Malformed { offset: at, .. })) = found[0] else {
            panic!("{:?}", found[0]);
        };
        assert!(at.abs_diff(offset) < 100, "{at} is about {offset}");
        // Nothing of it gets into the next.
        assert_eq!(found[1].as_ref().unwrap().events.len(), 1);
    }
}

#[test]
fn a_long_line_that_names_an_error_too_is_what_it_was() {
    // Above this length nothing is taken for an error; the skeleton is below.
    let good = line_of(5000);
    let line = format!(
        r#"{},"error":{{"code":14,"message":"m"}}}}"#,
        &good[..good.len() - 1]
    );
    let expected = expected(line.as_bytes(), DEFAULT_MAX_LINE);
    assert_eq!(expected[0].as_ref().unwrap().events.len(), 5000);
    let (found, cut) = decoded(&mut StreamDecoder::new(), line.as_bytes().chunks(10_000));
    assert!(line.len() - cut < crate::error::MAX_ERROR_BODY, "{cut}");
    assert_same(&found, &expected, String::new);
}

#[test]
fn only_answers_with_a_long_list_are_decoded_ahead() {
    let line = format!(
        r#"{{"result":{{"header":{{"revision":"9"}},"ID":"7","x":[{}0]}}}}"#,
        "0,".repeat(90_000)
    );
    let mut decoder = StreamDecoder::<LeaseKeepAlive>::new();
    for piece in line.as_bytes().chunks(10_000) {
        decoder.handle_chunk(Bytes::copy_from_slice(piece));
        assert!(decoder.poll_message().is_none() && decoder.ahead.is_none());
    }
    decoder.handle_end();
    assert_eq!(decoder.poll_message().unwrap().unwrap().id, 7);
}

#[test]
fn a_huge_element_is_not_decoded_again_for_each_piece() {
    let value = "A".repeat(4 << 20);
    let event = format!(r#"{{"kv":{{"key":"YQ==","mod_revision":"2","value":"{value}"}}}}"#);
    let body = format!(r#"{{"result":{{"events":[{event},{event}]}}}}"#) + "\n";
    let mut decoder = StreamDecoder::<Watch>::new();
    let (mut looks, mut next) = (0, 0);
    for piece in body.as_bytes().chunks(1000) {
        decoder.handle_chunk(Bytes::copy_from_slice(piece));
        if let Some(message) = decoder.poll_message() {
            assert_eq!(message.unwrap().events.len(), 2);
        }
        let next_look = decoder.ahead.as_ref().map_or(0, |ahead| ahead.next_look());
        if std::mem::replace(&mut next, next_look) != next_look {
            looks += 1;
        }
    }
    assert!(looks < 10, "{looks} looks");
}

#[test]
fn what_takes_too_much_memory_is_refused_in_pieces_as_it_is_whole() {
    let value = "A".repeat(1000);
    let event = format!(r#"{{"kv":{{"key":"YQ==","value":"{value}","mod_revision":"2"}}}}"#);
    let mut refused = 0;
    // How much nothing there is before events, and after them.
    let counts = [
        (0, 30_000),
        (0, 200_000),
        (30_000, 0),
        (200_000, 0),
        (8_000, 60_000),
        (60_000, 100_000),
    ];
    for (before, after) in counts {
        let elements = std::iter::repeat_n(&event[..], 2000);
        let elements = std::iter::repeat_n("{}", before).chain(elements);
        let elements: Vec<_> = elements.chain(std::iter::repeat_n("{}", after)).collect();
        let body = format!("{{\"result\":{{\"events\":[{}]}}}}\n", elements.join(","));
        let expected = expected(body.as_bytes(), DEFAULT_MAX_LINE);
        refused += usize::from(expected[0].is_err());
        let cut = check(
            body.as_bytes(),
            &expected,
            super::LONG_LINE,
            body.as_bytes().chunks(16 << 10),
            || format!("{before} and {after}"),
        );
        assert!(cut > 0);
    }
    assert!((1..counts.len()).contains(&refused), "{refused}");
}
