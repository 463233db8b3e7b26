//! The lines of a stream do not depend on how the network cut it.

use bytes::Bytes;
use etcd_core::frame::{FrameError, LineFramer};
use etcd_recordings::{Random, streams};

/// The line with which a server answers a create, one of every shape of end, and characters of up to four bytes.
const SPECIMENS: [&str; 8] = [
    "",
    "\n",
    "{}",
    "{\"result\":{\"created\":true}}\n",
    "{\"result\":{}}\n{\"error\":{\"grpc_code\":14,\"message\":\"etcdserver: no leader\"}}",
    "\n\r\n{\"a\":1}\r\n\r\n\n{\"b\":2}\r",
    "{\"größe\":\"€ 😀\"}\n{\"größe\":\"\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\"}",
    "not JSON\n[]\n{\"but\":\"lines\"}\n",
];

/// What comes out when `pieces` go in, one after the other, and the body then ends.
fn frame<'a>(
    framer: &mut LineFramer,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Result<Bytes, FrameError>> {
    let mut lines = Vec::new();
    for piece in pieces {
        framer.handle_chunk(Bytes::copy_from_slice(piece));
        lines.extend(std::iter::from_fn(|| framer.poll_line()));
    }
    framer.handle_end();
    lines.extend(std::iter::from_fn(|| framer.poll_line()));
    assert_eq!(framer.buffered(), 0);
    lines
}

fn frame_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<Bytes, FrameError>> {
    frame(&mut LineFramer::new(), pieces)
}

/// The lines by another road: the whole body at once, split as text.
fn expected(body: &[u8]) -> Vec<Result<Bytes, FrameError>> {
    let mut parts: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
    let tail = trimmed(parts.pop().expect("split yields at least one part"));
    let lines = parts.into_iter().map(trimmed).filter(|line| !line.is_empty());
    let mut lines: Vec<_> = lines.map(|line| Ok(Bytes::copy_from_slice(line))).collect();
    match serde_json::from_slice(tail) {
        _ if tail.is_empty() => {}
        Ok(serde_json::Value::Object(_)) => lines.push(Ok(Bytes::copy_from_slice(tail))),
        _ => lines.push(Err(FrameError::Truncated)),
    }
    lines
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Every way to cut `body` in two.
fn halves(body: &[u8]) -> impl Iterator<Item = [&[u8]; 2]> {
    (0..=body.len()).map(|at| [&body[..at], &body[at..]])
}

#[test]
fn every_recorded_stream_consists_of_lines_that_are_json_objects() {
    let streams = streams();
    assert!(streams.len() > 200, "{} streams", streams.len());
    for (exchange, body, pieces) in streams {
        let lines = frame_all(pieces.iter().map(|piece| &piece[..]));
        assert_eq!(lines, expected(&body), "{exchange}");
        for line in lines {
            let line = line.unwrap_or_else(|error| panic!("{exchange}: {error}"));
            let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
            assert!(
                value.get("result").is_some() || value.get("error").is_some(),
                "{exchange}: {value}"
            );
        }
    }
}

#[test]
fn lines_are_the_same_at_every_split_point() {
    for (exchange, body, _) in streams() {
        let lines = expected(&body);
        // Of a large body, whose middle says nothing new, the surroundings of each line's end.
        let is_near_an_end = |at: usize| body[at.saturating_sub(9)..body.len().min(at + 8)].contains(&b'\n');
        for at in (0..=body.len()).filter(|at| body.len() <= 16 * 1024 || is_near_an_end(*at)) {
            let (first, second) = body.split_at(at);
            assert_eq!(
                frame_all([first, second]),
                lines,
                "{exchange} cut after {at} bytes"
            );
        }
    }
    for specimen in SPECIMENS {
        for halves in halves(specimen.as_bytes()) {
            assert_eq!(
                frame_all(halves),
                expected(specimen.as_bytes()),
                "{specimen:?} {halves:?}"
            );
        }
    }
}

#[test]
fn lines_are_the_same_byte_by_byte() {
    for (exchange, body, _) in streams() {
        // The few lines of megabytes come in pieces of a prime number of bytes: this test is about many pieces.
        let size = if body.len() <= 1 << 16 { 1 } else { 31 };
        assert_eq!(frame_all(body.chunks(size)), expected(&body), "{exchange}");
    }
    for specimen in SPECIMENS {
        assert_eq!(
            frame_all(specimen.as_bytes().chunks(1)),
            expected(specimen.as_bytes()),
            "{specimen:?}"
        );
    }
}

#[test]
fn lines_are_the_same_in_random_pieces() {
    let mut random = Random::new(0x5eed);
    for (exchange, body, _) in streams() {
        for _ in 0..4 {
            let largest = 1 + random.below(body.len() + 1);
            let pieces = random.pieces(&body, largest);
            let sizes: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
            assert_eq!(frame_all(pieces), expected(&body), "{exchange} in {sizes:?}");
        }
    }
}

#[test]
fn lines_are_the_same_when_they_are_polled_late() {
    for specimen in SPECIMENS {
        for size in [1, 2, 5, 12, 40] {
            let mut framer = LineFramer::new();
            for chunk in specimen.as_bytes().chunks(size) {
                framer.handle_chunk(Bytes::copy_from_slice(chunk));
            }
            assert_eq!(framer.buffered(), specimen.len());
            framer.handle_end();
            let lines: Vec<_> = std::iter::from_fn(|| framer.poll_line()).collect();
            assert_eq!(lines, expected(specimen.as_bytes()), "{specimen:?} by {size}");
        }
    }
}

#[test]
fn a_line_comes_with_its_last_byte_and_not_before() {
    let mut framer = LineFramer::new();
    for byte in b"{\"result\":{}}" {
        framer.handle_chunk(Bytes::copy_from_slice(&[*byte]));
        assert_eq!(framer.poll_line(), None);
    }
    framer.handle_chunk(Bytes::from_static(b"\n"));
    assert_eq!(
        framer.poll_line(),
        Some(Ok(Bytes::from_static(b"{\"result\":{}}")))
    );
    assert_eq!(framer.poll_line(), None);
}

#[test]
fn an_end_within_a_line_is_an_error_at_every_byte() {
    let line = "{\"result\":{\"events\":[{\"kv\":{\"key\":\"YQ==\",\"n\":-1.5e3}}],\"ä\":[null,true]}}";
    let first = Bytes::from_static(b"{\"result\":{}}");
    for end in 1..line.len() {
        let mut body = [&first[..], b"\n"].concat();
        body.extend_from_slice(&line.as_bytes()[..end]);
        assert_eq!(
            frame_all([&body[..]]),
            [Ok(first.clone()), Err(FrameError::Truncated)],
            "after {end} bytes"
        );
    }
    // All of it, with and without what ends it, is a line.
    for end in ["", "\r", "\n", "\r\n"] {
        let body = format!("{line}{end}");
        assert_eq!(
            frame_all([body.as_bytes()]),
            [Ok(Bytes::copy_from_slice(line.as_bytes()))]
        );
    }
}

#[test]
fn a_tail_that_is_complete_but_no_object_is_truncated() {
    // "1" may be the beginning of "12": only an object shows where it ends.
    for tail in ["1", "null", "[]", "\"a\"", "{} {}", "{}x", "  "] {
        assert_eq!(
            frame_all([tail.as_bytes()]),
            [Err(FrameError::Truncated)],
            "{tail:?}"
        );
    }
}

#[test]
fn the_limit_is_exact_with_and_without_an_end() {
    const LIMIT: usize = 20;
    for length in LIMIT - 1..=LIMIT + 1 {
        let line = format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
        assert_eq!(line.len(), length);
        let result = if length <= LIMIT {
            Ok(Bytes::copy_from_slice(line.as_bytes()))
        } else {
            Err(FrameError::LineTooLong { limit: LIMIT })
        };
        for end in ["\n", ""] {
            let body = format!("{line}{end}");
            for halves in halves(body.as_bytes()) {
                let mut framer = LineFramer::with_max_line(LIMIT);
                assert_eq!(
                    frame(&mut framer, halves),
                    std::slice::from_ref(&result),
                    "{body:?}"
                );
            }
            let mut framer = LineFramer::with_max_line(LIMIT);
            assert_eq!(
                frame(&mut framer, body.as_bytes().chunks(1)),
                std::slice::from_ref(&result)
            );
        }
    }
}

#[test]
fn a_line_over_the_limit_is_refused_before_its_end_arrives() {
    let mut framer = LineFramer::with_max_line(3);
    framer.handle_chunk(Bytes::from_static(b"abc"));
    assert_eq!(framer.poll_line(), None);
    framer.handle_chunk(Bytes::from_static(b"d"));
    assert_eq!(
        framer.poll_line(),
        Some(Err(FrameError::LineTooLong { limit: 3 }))
    );
    assert_eq!(framer.poll_line(), None);
}

#[test]
fn lines_before_one_over_the_limit_are_not_lost() {
    let lines = frame(&mut LineFramer::with_max_line(3), [&b"{}\n{ }\nlong\n{}\n"[..]]);
    assert_eq!(
        lines,
        [
            Ok(Bytes::from_static(b"{}")),
            Ok(Bytes::from_static(b"{ }")),
            Err(FrameError::LineTooLong { limit: 3 })
        ]
    );
}

#[test]
fn many_lines_within_the_limit_are_never_too_long_together() {
    let body = "{}\n".repeat(10_000);
    for size in [1, 2, 3, 4, 4096, body.len()] {
        let mut framer = LineFramer::with_max_line(2);
        let lines = frame(&mut framer, body.as_bytes().chunks(size));
        assert_eq!(lines.len(), 10_000);
        assert!(lines.iter().all(Result::is_ok));
    }
}

#[test]
fn nothing_comes_after_the_end() {
    let mut framer = LineFramer::new();
    framer.handle_end();
    framer.handle_chunk(Bytes::from_static(b"{}\n"));
    framer.handle_end();
    assert_eq!(framer.poll_line(), None);
    assert_eq!(framer.buffered(), 0);
}
