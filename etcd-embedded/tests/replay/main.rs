//! What real servers were asked is asked again, and the answers compared: status, body, and every line of a stream.
//!
//! A recording holds the exchanges that somebody looked at, not all that was done to the server in between. What is
//! missing is in the tables of the scenarios here, or follows from the events that a watch was sent.

#![allow(clippy::unwrap_used, unreachable_pub)]

mod compare;
mod scenarios;
mod world;

use etcd_recordings::VERSIONS;
use scenarios as replay;

#[test]
fn keys_leases_and_watches_are_answered_as_recorded() {
    for version in VERSIONS {
        let mut world = world::World::new(version, "single");
        replay::kv(&mut world);
        replay::maintenance(&mut world);
        replay::cluster(&mut world);
        replay::lease(&mut world);
        replay::keep_alive(&mut world);
        replay::watch(&mut world);
        replay::lock(&mut world);
        replay::election(&mut world);
    }
}

#[test]
fn users_and_roles_are_answered_as_recorded() {
    for version in VERSIONS {
        replay::auth(&mut world::World::new(version, "auth"));
    }
}

#[test]
fn requests_in_all_forms_are_accepted_or_refused_as_recorded() {
    for version in VERSIONS {
        replay::errors(&mut world::World::new(version, "single"));
    }
}
