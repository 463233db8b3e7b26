//! Snapshots, and that the same seed gives the same server.

use etcd_core::key::prefix;
use etcd_core::message::*;
use etcd_embedded::{Config, OutputEvent, Response, Server, SnapshotError};

use super::world::{SECOND, World, events};

fn snapshot(world: &mut World) -> Vec<u8> {
    let call = world.begin(Snapshot::default());
    let mut bytes = Vec::new();
    let mut remaining = None;
    for event in world.told(call) {
        match event {
            OutputEvent::Message(Response::Snapshot(piece)) => {
                assert!(piece.blob.len() <= 32 * 1024);
                bytes.extend_from_slice(&piece.blob);
                remaining = Some(piece.remaining_bytes);
            }
            OutputEvent::End(Ok(())) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(remaining, Some(0));
    assert_eq!(bytes.len() % 512, 32, "whole blocks and a checksum");
    bytes
}

fn populated() -> World {
    let mut world = World::new();
    super::auth::enable(&mut world);
    world.token = Some(super::auth::login(&mut world, "root"));
    world.grant(7, 60);
    for round in 0..30 {
        world
            .call(Put::new(format!("k{}", round % 7), vec![b'x'; 5000]).lease(7 * (round % 2)))
            .unwrap();
    }
    world.call(Delete::new("k3")).unwrap();
    world.call(Compact::new(20)).unwrap();
    world
}

#[test]
fn a_restored_server_has_the_history_the_leases_and_the_users() {
    let mut world = populated();
    let bytes = snapshot(&mut world);
    let server = Server::restore(Config::new(), world.now, 2, &bytes).unwrap();
    let mut restored = World::around(server, world.now);
    restored.token = Some(super::auth::login(&mut restored, "root"));
    for get in [
        Get::new(..),
        Get::new(..).revision(20),
        Get::new(prefix("k")).revision(25),
    ] {
        let (Ok(Response::Range(before)), Ok(Response::Range(after))) =
            (world.call(get.clone()), restored.call(get))
        else {
            panic!()
        };
        assert_eq!((before.kvs, before.count), (after.kvs, after.count));
        assert_ne!(
            before.header.cluster_id, after.header.cluster_id,
            "it is a new cluster"
        );
    }
    assert_eq!(world.server.store().hash(0), restored.server.store().hash(0));

    let watch = |world: &mut World| {
        let call = world.watch(WatchCreate::new(prefix("k")).start_revision(20));
        world.pass(SECOND);
        events(&world.heard(call))
    };
    assert_eq!(watch(&mut world), watch(&mut restored));
    restored.pass(60 * SECOND);
    restored.token = Some(super::auth::login(&mut restored, "root"));
    assert!(
        restored.keys(Get::new(prefix("k"))).len() < 6,
        "the lease went, and its keys"
    );
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let mut world = populated();
    let bytes = snapshot(&mut world);
    let restore = |bytes: &[u8]| Server::restore(Config::new(), world.now, 2, bytes).unwrap_err();
    assert_eq!(restore(b"\0\0\0\0bolt"), SnapshotError::Foreign);
    assert_eq!(restore(&bytes[..20]), SnapshotError::Truncated);
    for end in (20..bytes.len()).step_by(997) {
        assert!(matches!(
            restore(&bytes[..end]),
            SnapshotError::Truncated | SnapshotError::Checksum
        ));
    }
    for position in (19..bytes.len()).step_by(997) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1;
        assert_eq!(restore(&damaged), SnapshotError::Checksum);
    }
}

#[test]
fn the_same_seed_gives_the_same_server() {
    let run = |seed| {
        let now = std::time::Instant::now();
        let mut world = World::around(Server::new(Config::new(), now, seed), now);
        let lock = world.begin(Lock::new("L", 0));
        (
            world.told(lock),
            world.call(LeaseGrant::new(60)),
            world.call(MemberList::new()),
        )
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
