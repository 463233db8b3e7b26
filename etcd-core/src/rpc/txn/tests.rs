use super::*;
use crate::message::{Compare, Delete, Put};

fn verdict(txn: &Txn) -> Result<(), InvalidArgument> {
    txn.validate(&Limits::default())
}

fn delete_from(key: &'static str) -> TxnOp {
    Delete::new(key..).into()
}

fn keep(key: &'static str) -> TxnOp {
    Put::new(key, "").ignore_value().into()
}

fn keep_lease(key: &'static str) -> TxnOp {
    Put::new(key, "v").ignore_lease().into()
}

fn within(operations: impl IntoIterator<Item = TxnOp>) -> TxnOp {
    Txn::new().then(operations).into()
}

fn within_else(operations: impl IntoIterator<Item = TxnOp>) -> TxnOp {
    Txn::new().otherwise(operations).into()
}

#[test]
fn what_is_kept_after_it_is_deleted_is_refused() {
    for operations in [
        vec![delete_from("b"), keep("b")],
        vec![delete_from("b"), keep("c")],
        vec![delete_from("b"), keep_lease("c")],
        vec![delete_from("\0"), keep("a")],
        vec![delete_from("b"), delete_from("d"), keep("c")],
        vec![delete_from("d"), delete_from("b"), keep("c")],
        vec![keep("c"), delete_from("b"), Get::new("c").into(), keep("d")],
        vec![delete_from("b"), within([keep("c")])],
        vec![delete_from("b"), within_else([within([keep("c")])])],
        vec![within([delete_from("b")]), keep("c")],
        vec![within_else([delete_from("b")]), keep("c")],
        vec![within([delete_from("b")]), within_else([keep("c")])],
        vec![within([within_else([delete_from("b"), keep("c")])])],
    ] {
        let refused = Err(InvalidArgument::KeepsDeleted);
        assert_eq!(
            verdict(&Txn::new().then(operations.clone())),
            refused,
            "{operations:?}"
        );
        assert_eq!(
            verdict(&Txn::new().otherwise(operations.clone())),
            refused,
            "{operations:?}"
        );
    }
}

#[test]
fn what_servers_survive_or_refuse_themselves_is_left_to_them() {
    let bounded = TxnOp::from(Delete::new("b".."x"));
    let either = Txn::when([Compare::version("k").eq(0)])
        .then([delete_from("b")])
        .otherwise([keep("c")]);
    for operations in [
        // Before the deletion, below it, or a plain put.
        vec![keep("c"), delete_from("b")],
        vec![within([keep("c")]), within([delete_from("b")])],
        vec![delete_from("b"), keep("a")],
        vec![delete_from("b"), Put::new("c", "v").into()],
        // Only one of the two can happen.
        vec![either.clone().into()],
        // Refused as a duplicate key by servers.
        vec![bounded, keep("c")],
    ] {
        assert_eq!(
            verdict(&Txn::new().then(operations.clone())),
            Ok(()),
            "{operations:?}"
        );
    }
    assert_eq!(verdict(&either), Ok(()));
}
