use std::time::{Duration, Instant};

use etcd_guarantees::Property::LeaseLoss;
use etcd_guarantees::{LeaseEnd, LeaseRecorder, Property, Recorder, Violation};

use super::store::Store;

/// What is found of a lease of 10 s; the given closure gets its recorder and the instant of a second of the run.
fn broken(tolerance: u64, happens: impl Fn(&LeaseRecorder, &dyn Fn(u64) -> Instant)) -> Vec<Property> {
    let begin = Instant::now();
    let recorder = Recorder::new(begin);
    let lease = recorder.lease(
        "holder",
        7,
        Duration::from_secs(10),
        Duration::from_secs(tolerance),
    );
    happens(&lease, &|second| begin + Duration::from_secs(second));
    match recorder.record().check(&Store::new().history()) {
        Ok(()) => Vec::new(),
        Err(violations) => violations.iter().map(Violation::property).collect(),
    }
}

#[test]
fn a_holder_that_knows_in_time_keeps_the_promise() {
    for lost in [8, 10] {
        let found = broken(0, |lease, second| {
            lease.alive(second(0), second(9));
            lease.degraded(second(4));
            lease.lost(second(lost));
            lease.ended(second(10), LeaseEnd::Expired);
        });
        assert_eq!(found, [], "{lost}");
    }
}

#[test]
fn a_holder_that_learns_of_the_end_later_is_found() {
    for (lost, tolerance, expected) in [
        (11, 0, vec![LeaseLoss]),
        (11, 1, vec![]),
        (12, 1, vec![LeaseLoss]),
    ] {
        let found = broken(tolerance, |lease, second| {
            lease.alive(second(0), second(9));
            lease.ended(second(10), LeaseEnd::Expired);
            lease.lost(second(lost));
        });
        assert_eq!(found, expected, "{lost}, {tolerance}");
    }
}

#[test]
fn a_holder_that_never_learns_of_the_end_is_found() {
    let found = broken(0, |lease, second| {
        lease.alive(second(0), second(9));
        lease.ended(second(10), LeaseEnd::Expired);
        lease.degraded(second(11));
    });
    assert_eq!(found, [LeaseLoss]);
}

#[test]
fn a_deadline_after_the_servers_end_is_found_even_if_the_holder_learned_in_time() {
    let found = broken(0, |lease, second| {
        lease.alive(second(0), second(11));
        lease.lost(second(9));
        lease.ended(second(10), LeaseEnd::Expired);
    });
    assert_eq!(found, [LeaseLoss]);
}

#[test]
fn a_lease_that_lives_on_is_no_violation() {
    let found = broken(0, |lease, second| {
        for renewal in (0..60).step_by(3) {
            lease.alive(second(renewal), second(renewal + 9));
        }
    });
    assert_eq!(found, []);
}

#[test]
fn a_revocation_by_others_is_known_at_the_latest_when_the_time_is_over() {
    for (lost, expected) in [(20, vec![]), (21, vec![LeaseLoss])] {
        let found = broken(0, |lease, second| {
            lease.alive(second(0), second(9));
            lease.alive(second(9), second(18));
            lease.ended(second(10), LeaseEnd::Revoked);
            lease.lost(second(lost));
        });
        assert_eq!(found, expected, "{lost}");
    }
}

#[test]
fn a_lost_lease_never_comes_back_to_life() {
    let found = broken(0, |lease, second| {
        lease.alive(second(0), second(9));
        lease.lost(second(9));
        lease.alive(second(10), second(19));
    });
    assert_eq!(found, [LeaseLoss]);
}
