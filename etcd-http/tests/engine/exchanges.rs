//! Reads and writes cut everywhere, with certainty that they were.

use std::sync::atomic::Ordering;

use etcd_core::transport::{Delivery, TransportErrorKind};

use crate::world::{Attempt, Clock, Script, Scripted, post, transport};

const URI: &str = "http://127.0.0.1:2379/";
const BODY: &str = "{\"key\":1}\n{\"key\":2}";

const RESPONSES: [&str; 5] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{\"key\":1}\n{\"key\":2}",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{\"key\":1}\n\r\n9\r\n{\"key\":2}\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n13\r\n{\"key\":1}\n{\"key\":2}\r\n0\r\nA: b\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"key\":1}\n{\"key\":2}",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n{\"key\":1}\n{\"key\":2}",
];

fn answer(script: Script) -> (Result<bytes::Bytes, etcd_core::transport::TransportError>, usize) {
    let clock = Clock::new();
    let connector = Scripted::new([Attempt::Accept(script)]);
    let open = connector.open.clone();
    let transport = transport(&clock, connector);
    let outcome = clock.run(post(&transport, URI));
    drop(transport);
    assert_eq!(open.load(Ordering::SeqCst), 0, "no socket outlives its transport");
    outcome
}

#[test]
fn a_response_in_two_reads_is_the_same_wherever_it_is_cut() {
    for response in RESPONSES {
        for cut in 0..=response.len() {
            let (first, second) = response.split_at(cut);
            let (body, _) = answer(Script::of(&[first, second]));
            assert_eq!(body.unwrap(), BODY, "{first:?} and {second:?}");
        }
    }
}

#[test]
fn a_response_may_come_one_byte_at_a_time() {
    for response in RESPONSES {
        let bytes: Vec<_> = (0..response.len()).map(|at| &response[at..=at]).collect();
        assert_eq!(answer(Script::of(&bytes)).0.unwrap(), BODY);
    }
}

#[test]
fn a_request_may_go_one_byte_at_a_time() {
    let script = Script {
        write_size: Some(1),
        ..Script::of(&[RESPONSES[0]])
    };
    assert_eq!(answer(script).0.unwrap(), BODY);
}

#[test]
fn a_request_was_not_sent_if_the_socket_refused_its_first_byte() {
    for (accepted, delivery) in [
        (0, Delivery::NotSent),
        (1, Delivery::MaybeSent),
        (40, Delivery::MaybeSent),
    ] {
        let script = Script {
            writes_until: Some(accepted),
            ..Script::default()
        };
        let error = answer(script).0.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (TransportErrorKind::Io, delivery),
            "after {accepted} bytes"
        );
    }
}

#[test]
fn a_kept_connection_starts_afresh_in_knowing_what_was_sent() {
    const REQUEST: &str = "POST / HTTP/1.1\r\nhost: 127.0.0.1:2379\r\ncontent-length: 2\r\n\r\n{}";
    for (more, delivery) in [(0, Delivery::NotSent), (1, Delivery::MaybeSent)] {
        let clock = Clock::new();
        let script = Script {
            keep_alive: true,
            writes_until: Some(REQUEST.len() + more),
            ..Script::of(&[RESPONSES[0]])
        };
        let transport = transport(&clock, Scripted::new([Attempt::Accept(script)]));
        assert_eq!(clock.run(post(&transport, URI)).0.unwrap(), BODY);
        let error = clock.run(post(&transport, URI)).0.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (TransportErrorKind::Io, delivery),
            "{more} bytes of the second request"
        );
    }
}

/// hyper's channels, and these sockets, wake the very task that is being polled: that alone must not schedule it.
#[test]
fn an_exchange_does_not_wake_its_own_task() {
    for pieces in 1..=4 {
        let size = RESPONSES[0].len().div_ceil(pieces);
        let reads: Vec<_> = RESPONSES[0]
            .as_bytes()
            .chunks(size)
            .map(|piece| str::from_utf8(piece).unwrap())
            .collect();
        let (body, polls) = answer(Script::of(&reads));
        assert_eq!(body.unwrap(), BODY);
        assert_eq!(
            polls, 1,
            "the socket's wake-ups come while the task is being polled"
        );
    }
}
