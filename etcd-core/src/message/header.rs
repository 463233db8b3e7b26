//! What every answer says about the member that gave it.

use crate::codec::message;

message! {
    /// Where an answer comes from, and how far that member's store had got.
    ///
    /// Zeros stand for what the server left out: transaction responses and cancelled watches carry little more
    /// than the revision, cluster calls no revision, and etcd 3.4 answers `alarm` without a header at all.
    pub struct ResponseHeader {
        /// The cluster that answered.
        cluster_id: u64,
        /// The member that answered.
        member_id: u64,
        /// The revision of the store when the request was applied, 0 where the call does not touch the store.
        revision: i64,
        /// The raft term when the request was applied.
        raft_term: u64,
    }
}
