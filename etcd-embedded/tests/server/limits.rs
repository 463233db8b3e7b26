//! What is too much.

use etcd_core::error::Code;
use etcd_core::message::{Status as StatusRequest, *};
use etcd_embedded::{Config, Response};

use super::world::World;

#[test]
fn operations_are_counted_through_all_levels() {
    let mut world = World::with(Config::new().max_txn_ops(4));
    let puts = |count: usize, name: &str| {
        (0..count)
            .map(|index| Put::new(format!("{name}{index}"), ""))
            .collect::<Vec<_>>()
    };
    world.call(Txn::new().then(puts(4, "a"))).unwrap();
    assert!(
        world
            .fail(Txn::new().then(puts(5, "a")))
            .contains("too many operations")
    );
    // One for the transaction within, and three in it.
    world
        .call(Txn::new().then([Txn::new().then(puts(3, "a"))]))
        .unwrap();
    assert!(
        world
            .fail(Txn::new().then([Txn::new().then(puts(4, "a"))]))
            .contains("too many operations")
    );
}

#[test]
fn a_key_is_written_once_in_a_transaction() {
    let mut world = World::new();
    let put = || TxnOp::from(Put::new("k", ""));
    let delete = || TxnOp::from(Delete::new("a".."z"));
    let within = |operation: TxnOp| TxnOp::from(Txn::new().then([operation]));
    for twice in [
        vec![put(), put()],
        vec![delete(), put()],
        vec![put(), delete()],
        vec![put(), within(put())],
        vec![delete(), within(put())],
        vec![within(delete()), put()],
        vec![within(put()), within(put())],
        vec![within(delete()), within(put())],
    ] {
        let error = world.fail(Txn::new().then(twice.clone()));
        assert!(error.contains("duplicate key"), "{twice:?}: {error}");
    }
    let either = Txn::when([Compare::version("x").eq(1)])
        .then([put()])
        .otherwise([put()]);
    world.call(Txn::new().then([either])).unwrap();
    // What etcd overlooks: a later transaction that deletes what an earlier one put.
    world
        .call(Txn::new().then([within(put()), within(delete())]))
        .unwrap();
}

#[test]
fn a_request_may_be_a_mebibyte_and_a_half() {
    let mut world = World::new();
    let put = |size: usize| Put::new("big", vec![b'x'; size]);
    world.call(put(1024 * 1024)).unwrap();
    let error = world.call(put(1536 * 1024)).unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::InvalidArgument, "etcdserver: request is too large")
    );
    let error = world.call(put(3_000_000)).unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(
        error.message(),
        "grpc: received message larger than max (3000010 vs. 2097152)"
    );
}

#[test]
fn a_full_database_refuses_writes_until_somebody_makes_room_and_says_so() {
    let mut world = World::with(Config::new().quota_backend_bytes(100 * 1024));
    world.call(Put::new("k", vec![b'x'; 60 * 1024])).unwrap();
    assert!(
        world
            .fail(Put::new("l", vec![b'x'; 60 * 1024]))
            .contains("database space exceeded")
    );
    assert!(world.server.is_out_of_space());
    assert!(world.fail(Put::new("l", "")).contains("database space exceeded"));
    assert!(
        world
            .fail(LeaseGrant::new(60))
            .contains("database space exceeded")
    );

    world.call(Delete::new("k")).unwrap();
    world.call(Compact::new(world.server.store().revision())).unwrap();
    let member = world.server.member_id();
    world.call(Alarm::deactivate(AlarmType::NoSpace, member)).unwrap();
    world.put("l", "");
}

#[test]
fn a_database_shrinks_when_it_is_defragmented_and_not_before() {
    let mut world = World::new();
    let size = |world: &mut World| {
        let Ok(Response::Status(status)) = world.call(StatusRequest::default()) else {
            panic!("a status is a status")
        };
        (status.db_size, status.db_size_in_use)
    };
    let empty = size(&mut world);
    world.call(Put::new("k", vec![b'x'; 60 * 1024])).unwrap();
    let full = size(&mut world);
    assert!(full > empty && full.0 == full.1);
    world.call(Delete::new("k")).unwrap();
    world.call(Compact::new(world.server.store().revision())).unwrap();
    let compacted = size(&mut world);
    assert!(compacted.0 >= full.0 && compacted.1 < full.1, "{compacted:?}");
    world.call(Defragment::default()).unwrap();
    assert_eq!(size(&mut world), (compacted.1, compacted.1));
}

#[test]
fn reads_at_revisions_out_of_reach_say_which_way() {
    let mut world = World::new();
    for _ in 0..5 {
        world.put("k", "");
    }
    world.call(Compact::new(4)).unwrap();
    assert!(
        world
            .fail(Get::new("k").revision(3))
            .ends_with("has been compacted")
    );
    assert!(
        world
            .fail(Get::new("k").revision(7))
            .ends_with("is a future revision")
    );
    assert_eq!(world.keys(Get::new("k").revision(4)), ["k"]);
    assert!(world.fail(Compact::new(4)).ends_with("has been compacted"));
}

/// Found by comparing with real servers.
#[test]
fn a_sort_target_without_an_order_sorts_only_what_the_limit_let_through() {
    let mut world = World::new();
    for (key, value) in [("a", "3"), ("b", "2"), ("c", "1")] {
        world.put(key, value);
    }
    let mut get = Get::new(..).limit(1);
    get.sort_target = SortTarget::Value;
    assert_eq!(
        world.keys(get.clone()),
        ["b"],
        "of a and b, which the limit and one more let through"
    );
    get.sort_order = SortOrder::Ascend;
    assert_eq!(world.keys(get), ["c"]);
}

/// Found by comparing with real servers.
#[test]
fn puts_are_checked_before_reads_and_keys_before_leases() {
    let mut world = World::new();
    world.put("k", "");
    let future = TxnOp::from(Get::new("k").revision(99));
    let keep = TxnOp::from(Put::new("missing", "").ignore_value());
    assert_eq!(
        world.fail(Txn::new().then([future, keep.clone()])),
        "etcdserver: key not found"
    );
    let both = Put::new("missing", "").ignore_value().lease(7);
    assert_eq!(
        world.fail(Txn::new().then([both.clone()])),
        "etcdserver: key not found"
    );
    assert_eq!(world.fail(both), "etcdserver: requested lease not found");
}
