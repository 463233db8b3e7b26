//! The election service of the server.

use bytes::Bytes;

use super::{KeyValue, ResponseHeader};
use crate::codec::message;
use crate::key::IntoBytes;

message! {
    /// Waits to become leader; `CampaignRequest` in etcd's protocol.
    ///
    /// The waiting happens in the server. Abandoning the call gives the candidacy up.
    pub struct Campaign {
        /// The election's name.
        name: Bytes,
        /// The lease that holds the leadership: it passes on when the lease ends.
        lease: i64,
        /// The value proclaimed on winning.
        value: Bytes,
    }
}

impl Campaign {
    /// Runs for the election `name`, proclaiming `value` once won.
    #[must_use]
    pub fn new(name: impl IntoBytes, lease: i64, value: impl IntoBytes) -> Self {
        Self {
            name: name.into_bytes(),
            lease,
            value: value.into_bytes(),
        }
    }
}

message! {
    /// The answer to [`Campaign`].
    pub struct CampaignResponse {
        /// Who answered.
        header: ResponseHeader,
        /// Proof of the leadership, to be passed to [`Proclaim`] and [`Resign`].
        leader: LeaderKey,
    }
}

message! {
    /// Proof of a leadership.
    pub struct LeaderKey {
        /// The election's name.
        name: Bytes,
        /// The key whose existence means that the leadership is held.
        key: Bytes,
        /// The key's create revision: compare with it in a transaction to act only while still leader.
        revision as "rev": i64,
        /// The lease that holds the leadership.
        lease: i64,
    }
}

message! {
    /// Changes the leader's value; `ProclaimRequest` in etcd's protocol.
    pub struct Proclaim {
        /// The leadership.
        leader: Option<LeaderKey>,
        /// The new value.
        value: Bytes,
    }
}

impl Proclaim {
    /// Changes the value of the leadership `leader`.
    #[must_use]
    pub fn new(leader: LeaderKey, value: impl IntoBytes) -> Self {
        Self {
            leader: Some(leader),
            value: value.into_bytes(),
        }
    }
}

message! {
    /// The answer to [`Proclaim`].
    pub struct ProclaimResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

message! {
    /// Asks who leads; `LeaderRequest` in etcd's protocol.
    pub struct Leader {
        /// The election's name.
        name: Bytes,
    }
}

impl Leader {
    /// Asks who leads the election `name`. Without a leader the server answers with an error.
    #[must_use]
    pub fn new(name: impl IntoBytes) -> Self {
        Self {
            name: name.into_bytes(),
        }
    }
}

message! {
    /// The answer to [`Leader`], and each item of [`Observe`].
    pub struct LeaderResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The leader's key and the value it proclaimed.
        kv: Option<KeyValue>,
    }
}

message! {
    /// Follows an election: one answer for each proclamation; `LeaderRequest` in etcd's protocol.
    pub struct Observe {
        /// The election's name.
        name: Bytes,
    }
}

impl Observe {
    /// Follows the election `name`.
    #[must_use]
    pub fn new(name: impl IntoBytes) -> Self {
        Self {
            name: name.into_bytes(),
        }
    }
}

message! {
    /// Gives a leadership up; `ResignRequest` in etcd's protocol.
    pub struct Resign {
        /// The leadership.
        leader: Option<LeaderKey>,
    }
}

impl Resign {
    /// Gives the leadership `leader` up.
    #[must_use]
    pub fn new(leader: LeaderKey) -> Self {
        Self { leader: Some(leader) }
    }
}

message! {
    /// The answer to [`Resign`].
    pub struct ResignResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}
