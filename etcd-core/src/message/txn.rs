//! Transactions.

use super::{Compare, Delete, DeleteResponse, Get, GetResponse, Put, PutResponse, ResponseHeader};
use crate::codec::{message, oneof};

/// The most operations a server accepts in one branch of a transaction by default (`--max-txn-ops`).
///
/// Source: `server/embed/config.go`, `DefaultMaxTxnOps`. A server may be configured otherwise; the client's
/// limit follows with its own setting.
pub const MAX_TXN_OPS: usize = 128;

message! {
    /// Several operations applied as one, chosen by conditions; `TxnRequest` in etcd's protocol.
    ///
    /// All operations of a transaction share one revision, and no key may be written twice.
    ///
    /// ```
    /// use etcd_core::message::{Compare, Get, Put, Txn};
    ///
    /// let create = Txn::when([Compare::version("config/mode").eq(0)])
    ///     .then([Put::new("config/mode", "safe")])
    ///     .otherwise([Get::new("config/mode")]);
    /// assert_eq!(create.success.len(), 1);
    /// ```
    pub struct Txn {
        /// The conditions, all of which must hold for the first branch; none hold always.
        compare: Vec<Compare>,
        /// What to do if they hold.
        success: Vec<TxnOp>,
        /// What to do otherwise.
        failure: Vec<TxnOp>,
    }
}

impl Txn {
    /// A transaction without conditions: what [`then`](Self::then) adds is applied.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A transaction whose first branch runs if all `conditions` hold.
    #[must_use]
    pub fn when(conditions: impl IntoIterator<Item = Compare>) -> Self {
        Self {
            compare: conditions.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Adds conditions.
    #[must_use]
    pub fn and(mut self, conditions: impl IntoIterator<Item = Compare>) -> Self {
        self.compare.extend(conditions);
        self
    }

    /// Adds operations to the branch that runs if all conditions hold.
    ///
    /// Call it once for each kind of operation, or make them one kind with [`TxnOp::from`].
    #[must_use]
    pub fn then<Op: Into<TxnOp>>(mut self, operations: impl IntoIterator<Item = Op>) -> Self {
        self.success.extend(operations.into_iter().map(Into::into));
        self
    }

    /// Adds operations to the branch that runs if a condition fails.
    #[must_use]
    pub fn otherwise<Op: Into<TxnOp>>(mut self, operations: impl IntoIterator<Item = Op>) -> Self {
        self.failure.extend(operations.into_iter().map(Into::into));
        self
    }
}

oneof! {
    /// An operation of a transaction; `RequestOp` in etcd's protocol.
    pub enum TxnOp {
        /// Reads. Sees what operations before it in the same transaction wrote.
        Get(Get) as "request_range",
        /// Writes.
        Put(Put) as "request_put",
        /// Deletes.
        Delete(Delete) as "request_delete_range",
        /// A transaction within the transaction.
        Txn(Txn) as "request_txn",
    }
}

message! {
    /// The answer to [`Txn`].
    pub struct TxnResponse {
        /// Who answered; its revision is the one the transaction created, if it wrote.
        header: ResponseHeader,
        /// Whether the conditions held.
        succeeded: bool,
        /// One answer for each operation of the branch that ran, in order.
        responses: Vec<TxnOpResponse>,
    }
}

oneof! {
    /// The answer to a [`TxnOp`]; `ResponseOp` in etcd's protocol.
    pub enum TxnOpResponse {
        /// To a read.
        Get(GetResponse) as "response_range",
        /// To a write.
        Put(PutResponse) as "response_put",
        /// To a deletion.
        Delete(DeleteResponse) as "response_delete_range",
        /// To a transaction within the transaction.
        Txn(TxnResponse) as "response_txn",
    }
}

/// The answer as one kind or `None`: operations and answers come in the same order, so who asked knows the kind.
macro_rules! accessors {
    ($( $(#[$meta:meta])* $name:ident: $variant:ident($type:ty); )*) => {
        impl TxnOpResponse {
            $(
                $(#[$meta])*
                #[must_use]
                pub fn $name(&self) -> Option<&$type> {
                    match self {
                        Self::$variant(response) => Some(response),
                        _ => None,
                    }
                }
            )*
        }
    };
}

accessors! {
    /// The answer to a read.
    as_get: Get(GetResponse);
    /// The answer to a write.
    as_put: Put(PutResponse);
    /// The answer to a deletion.
    as_delete: Delete(DeleteResponse);
    /// The answer to a transaction within the transaction.
    as_txn: Txn(TxnResponse);
}
