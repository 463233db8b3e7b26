use bytes::Bytes;
use etcd_core::key::prefix;
use etcd_core::message::{Compare, Delete, Get, Put, Txn, TxnOp};
use etcd_guarantees::Property::{Acknowledged, AtMostOnce, Explained, NotApplied, RealTime};
use etcd_guarantees::{Effect, WriteRecorder};

use super::store::{Run, Store};

fn put(run: &Run, key: &'static str, value: &'static str) -> WriteRecorder {
    let effect = Effect::put(key, Bytes::from_static(value.as_bytes()));
    run.recorder.write(run.tick(), format!("put {value}"), [effect])
}

fn delete(run: &Run, key: &'static str) -> WriteRecorder {
    let effect = Effect::delete(key);
    run.recorder.write(run.tick(), format!("delete {key}"), [effect])
}

#[test]
fn writes_that_are_where_they_were_acknowledged_keep_every_promise() {
    let mut store = Store::new();
    let run = Run::new();
    let write = put(&run, "a", "1");
    write.applied(run.tick(), store.put("a", "1").kv.mod_revision);
    let write = delete(&run, "b");
    write.unchanged(run.tick(), store.revision());
    let write = delete(&run, "a");
    write.applied(run.tick(), store.delete("a").kv.mod_revision);
    let write = put(&run, "a", "2");
    write.not_applied(run.tick());
    assert_eq!(run.broken(&store.history()), []);
}

#[test]
fn an_acknowledged_write_that_is_not_there_is_lost() {
    let mut store = Store::new();
    for (told, happens) in [(2, None), (3, Some("1")), (2, Some("2"))] {
        let run = Run::new();
        put(&run, "a", "1").applied(run.tick(), told);
        if let Some(value) = happens {
            store = Store::new();
            store.put("a", value);
        }
        let broken = run.broken(&store.history());
        assert!(broken.contains(&Acknowledged), "{told} {happens:?}: {broken:?}");
    }
}

#[test]
fn a_deletion_that_is_acknowledged_and_did_not_happen_is_lost() {
    let mut store = Store::new();
    let run = Run::new();
    put(&run, "a", "1").applied(run.tick(), store.put("a", "1").kv.mod_revision);
    delete(&run, "a").applied(run.tick(), 3);
    assert_eq!(run.broken(&store.history()), [Acknowledged]);
}

#[test]
fn two_acknowledged_writes_cannot_share_a_revision() {
    let mut store = Store::new();
    store.put("a", "1");
    let run = Run::new();
    put(&run, "a", "1").applied(run.tick(), 2);
    put(&run, "a", "1").applied(run.tick(), 2);
    assert!(run.broken(&store.history()).contains(&Acknowledged));
}

#[test]
fn a_write_whose_outcome_is_unknown_may_be_there_once_or_not_at_all() {
    let mut store = Store::new();
    let run = Run::new();
    put(&run, "a", "1").unknown(run.tick());
    // Nobody heard of this one at all.
    drop(put(&run, "b", "1"));
    assert_eq!(run.broken(&store.history()), []);
    store.put("b", "1");
    store.put("a", "1");
    assert_eq!(run.broken(&store.history()), []);
    store.put("a", "1");
    assert_eq!(run.broken(&store.history()), [AtMostOnce]);
}

#[test]
fn a_write_sent_again_blindly_is_applied_twice() {
    let mut store = Store::new();
    store.put("a", "1");
    store.put("b", "1");
    store.put("a", "1");
    let run = Run::new();
    // The answer to the first was lost; the second is acknowledged.
    let write = put(&run, "a", "1");
    put(&run, "b", "1").applied(run.tick(), 3);
    write.applied(run.tick(), 4);
    assert_eq!(run.broken(&store.history()), [AtMostOnce]);
    let told = run.told(&store.history());
    assert!(
        told.contains(
            "AtMostOnce broken for put 1, item 0 at 1s: applied at revision 4 and again at 2: PUT \"a\""
        ),
        "{told}"
    );
}

#[test]
fn a_deletion_sent_again_is_applied_twice_only_if_it_deleted_twice() {
    let mut store = Store::new();
    store.put("a", "1");
    store.delete("a");
    let run = Run::new();
    put(&run, "a", "1").applied(run.tick(), 2);
    let deletion = delete(&run, "a");
    deletion.unknown(run.tick());
    assert_eq!(run.broken(&store.history()), []);

    store.put("a", "2");
    store.delete("a");
    put(&run, "a", "2").applied(run.tick(), 4);
    assert_eq!(run.broken(&store.history()), [AtMostOnce]);
    // A second one explains it, whichever of the two did which.
    delete(&run, "a").unknown(run.tick());
    assert_eq!(run.broken(&store.history()), []);
}

#[test]
fn unknown_writes_are_given_revisions_so_that_all_are_explained_if_that_is_possible() {
    let mut store = Store::new();
    store.put("a", "1");
    store.put("b", "1");
    store.delete("a");
    store.delete("b");
    let run = Run::new();
    put(&run, "a", "1").applied(run.tick(), 2);
    put(&run, "b", "1").applied(run.tick(), 3);
    // The wide one fits both; taking the first that fits would leave the second revision to nobody.
    let wide = run.recorder.write(run.tick(), "wide", [Effect::delete(..)]);
    wide.unknown(run.tick());
    delete(&run, "a").unknown(run.tick());
    assert_eq!(run.broken(&store.history()), []);
}

#[test]
fn a_write_that_definitely_failed_must_not_be_there() {
    let mut store = Store::new();
    let run = Run::new();
    put(&run, "a", "1").not_applied(run.tick());
    assert_eq!(run.broken(&store.history()), []);
    store.put("a", "1");
    assert_eq!(run.broken(&store.history()), [NotApplied]);
}

#[test]
fn a_change_that_nobody_made_is_unexplained() {
    let mut store = Store::new();
    let run = Run::new();
    put(&run, "a", "1").applied(run.tick(), store.put("a", "1").kv.mod_revision);
    store.put("a", "2");
    assert_eq!(run.broken(&store.history()), [Explained]);
}

#[test]
fn a_run_without_recorded_writes_is_not_asked_who_wrote() {
    let mut store = Store::new();
    store.put("a", "1");
    assert_eq!(Run::new().broken(&store.history()), []);
}

#[test]
fn what_the_end_of_a_lease_deletes_needs_no_writer() {
    let mut store = Store::new();
    let run = Run::new();
    for key in ["a", "b"] {
        let revision = store.put_with_lease(key, "1", 7).kv.mod_revision;
        put(&run, key, "1").applied(run.tick(), revision);
    }
    let other = store.put_with_lease("c", "1", 8).kv.mod_revision;
    put(&run, "c", "1").applied(run.tick(), other);
    store.together(|store| {
        store.delete("a");
        store.delete("b");
    });
    assert_eq!(run.broken(&store.history()), []);

    let mut mixed = Store::new();
    mixed.put_with_lease("a", "1", 7);
    mixed.put("b", "1");
    mixed.put_with_lease("c", "1", 8);
    mixed.together(|store| {
        store.delete("a");
        store.delete("b");
    });
    assert_eq!(run.broken(&mixed.history()), [Explained]);
}

#[test]
fn a_transaction_explains_exactly_its_branches() {
    let txn = Txn::when([Compare::version("a").eq(0)])
        .then([TxnOp::from(Put::new("a", "1")), Get::new("x").into()])
        .then([Txn::new()
            .then([Put::new("b", "1")])
            .otherwise([Put::new("b", "2")])])
        .otherwise([Delete::new(prefix("a"))]);
    let both = |b: &'static str| {
        let mut store = Store::new();
        store.together(|store| {
            store.put("a", "1");
            store.put("b", b);
        });
        store
    };
    let half = || {
        let mut store = Store::new();
        store.put("a", "1");
        store
    };
    for (store, rightly) in [
        (both("1"), true),
        (both("2"), true),
        (both("3"), false),
        (half(), false),
    ] {
        let run = Run::new();
        run.recorder.txn(run.tick(), "txn", &txn).applied(run.tick(), 2);
        let broken = run.broken(&store.history());
        assert_eq!(broken.is_empty(), rightly, "{store:?}: {broken:?}");
    }

    let mut store = half();
    store.delete("a");
    let run = Run::new();
    run.recorder
        .write(run.tick(), "put", [&Put::new("a", "1")])
        .applied(run.tick(), 2);
    run.recorder.txn(run.tick(), "txn", &txn).unknown(run.tick());
    assert_eq!(run.broken(&store.history()), []);
}

#[test]
fn a_put_that_keeps_the_value_writes_the_value_there_was() {
    for (value, rightly) in [("1", true), ("2", false)] {
        let mut store = Store::new();
        store.put("a", "1");
        store.put_with_lease("a", value, 7);
        let run = Run::new();
        put(&run, "a", "1").applied(run.tick(), 2);
        let kept = Put::new("a", "").ignore_value().lease(7);
        run.recorder
            .write(run.tick(), "kept", [&kept])
            .applied(run.tick(), 3);
        assert_eq!(run.broken(&store.history()).is_empty(), rightly);
    }
}

#[test]
fn a_write_that_begins_after_another_has_ended_has_the_higher_revision() {
    let mut store = Store::new();
    store.put("a", "1");
    store.put("a", "2");
    // One after the other, the wrong way round.
    let run = Run::new();
    put(&run, "a", "2").applied(run.tick(), 3);
    put(&run, "a", "1").applied(run.tick(), 2);
    assert_eq!(run.broken(&store.history()), [RealTime]);
    // At the same time, either may be first.
    let run = Run::new();
    let (second, first) = (put(&run, "a", "2"), put(&run, "a", "1"));
    second.applied(run.tick(), 3);
    first.applied(run.tick(), 2);
    assert_eq!(run.broken(&store.history()), []);
    // What changes nothing may be told the present revision, but no older one.
    for (revision, expected) in [(3, vec![]), (2, vec![RealTime])] {
        let run = Run::new();
        put(&run, "a", "1").applied(run.tick(), 2);
        put(&run, "a", "2").applied(run.tick(), 3);
        delete(&run, "x").unchanged(run.tick(), revision);
        assert_eq!(run.broken(&store.history()), expected, "{revision}");
    }
}
