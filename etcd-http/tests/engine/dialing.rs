//! Which addresses are tried, when, and for how long.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use etcd_core::transport::{Delivery, TransportErrorKind};
use etcd_http::DEFAULT_CONNECT_TIMEOUT;

use crate::world::{Attempt, Clock, Script, Scripted, post, transport};

const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn accept() -> Attempt {
    Attempt::Accept(Script::of(&[RESPONSE]))
}

/// What came of it, the addresses that were tried, and how long it took.
fn dial(
    uri: &str,
    addresses: Option<&[&str]>,
    attempts: impl IntoIterator<Item = Attempt>,
) -> (
    Result<(), (TransportErrorKind, String)>,
    Vec<SocketAddr>,
    Duration,
) {
    let clock = Clock::new();
    let mut connector = Scripted::new(attempts);
    connector.addresses = addresses.map(|addresses| addresses.iter().map(|a| a.parse().unwrap()).collect());
    let tried = connector.tried.clone();
    let transport = transport(&clock, connector);
    let (outcome, _) = clock.run(post(&transport, uri));
    let outcome = outcome.map(drop).map_err(|error| {
        assert_eq!(error.delivery(), Delivery::NotSent);
        (
            error.kind(),
            error.source().map(ToString::to_string).unwrap_or_default(),
        )
    });
    let tried = tried.lock().unwrap().clone();
    (outcome, tried, clock.elapsed())
}

#[test]
fn an_ip_address_is_not_resolved() {
    for (uri, address) in [
        ("http://127.0.0.1:2379/", "127.0.0.1:2379"),
        ("http://[::1]:2379/", "[::1]:2379"),
        ("http://127.0.0.1/", "127.0.0.1:80"),
        ("http://127.0.0.1:/", "127.0.0.1:80"),
    ] {
        let (outcome, tried, _) = dial(uri, None, [accept()]);
        assert_eq!(outcome, Ok(()));
        assert_eq!(tried, [address.parse().unwrap()]);
    }
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    let (outcome, tried, elapsed) = dial(
        "http://etcd.example:2379/",
        Some(&["[::1]:2379", "10.0.0.1:2379", "10.0.0.2:2379"]),
        [Attempt::Refuse, Attempt::Refuse, accept()],
    );
    assert_eq!(outcome, Ok(()));
    assert_eq!((tried.len(), elapsed), (3, Duration::ZERO));
}

#[test]
fn a_silent_address_holds_the_next_one_up_only_for_a_moment() {
    let (outcome, tried, elapsed) = dial(
        "http://etcd.example:2379/",
        Some(&["[::1]:2379", "10.0.0.1:2379"]),
        [Attempt::Silence, accept()],
    );
    assert_eq!(outcome, Ok(()));
    assert_eq!((tried.len(), elapsed), (2, Duration::from_millis(250)));
}

#[test]
fn the_last_refusal_is_reported_with_its_address() {
    let (outcome, ..) = dial(
        "http://etcd.example:2379/",
        Some(&["10.0.0.1:2379", "10.0.0.2:2379"]),
        [Attempt::Refuse, Attempt::Refuse],
    );
    let (kind, source) = outcome.unwrap_err();
    assert_eq!(kind, TransportErrorKind::Connect);
    assert!(source.starts_with("10.0.0.2:2379: "), "{source}");
}

#[test]
fn a_name_without_addresses_does_not_connect() {
    let (outcome, ..) = dial("http://etcd.example/", Some(&[]), []);
    assert_eq!(outcome.unwrap_err().0, TransportErrorKind::Connect);
}

#[test]
fn silence_ends_at_the_connect_timeout() {
    for addresses in [None, Some(&["10.0.0.1:2379", "10.0.0.2:2379"][..])] {
        let (outcome, _, elapsed) = dial(
            "http://etcd.example/",
            addresses,
            [Attempt::Silence, Attempt::Silence],
        );
        assert_eq!(outcome.unwrap_err().0, TransportErrorKind::ConnectTimeout);
        assert_eq!(elapsed, DEFAULT_CONNECT_TIMEOUT);
    }
}
