//! Leases.

use bytes::Bytes;

use super::ResponseHeader;
use crate::codec::message;

/// The longest time to live a server grants, in seconds; `MaxLeaseTTL` in `server/lease/lessor.go`.
pub const MAX_LEASE_TTL: i64 = 9_000_000_000;

message! {
    /// Grants a lease; `LeaseGrantRequest` in etcd's protocol.
    pub struct LeaseGrant {
        /// The time to live in seconds that is asked for.
        ttl as "TTL": i64,
        /// The lease's id, 0 to let the server choose.
        id as "ID": i64,
    }
}

impl LeaseGrant {
    /// A lease of `ttl` seconds, from 1 to [`MAX_LEASE_TTL`].
    ///
    /// A server grants more where its own minimum is higher: [`LeaseGrantResponse::ttl`] is what counts.
    #[must_use]
    pub fn new(ttl: i64) -> Self {
        Self { ttl, id: 0 }
    }

    /// Chooses the lease's id instead of the server. The server refuses one that is taken.
    #[must_use]
    pub fn id(mut self, id: i64) -> Self {
        self.id = id;
        self
    }
}

message! {
    /// The answer to [`LeaseGrant`].
    pub struct LeaseGrantResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The lease's id.
        id as "ID": i64,
        /// The granted time to live in seconds.
        ttl as "TTL": i64,
        /// What went wrong; servers use error responses instead and leave it empty.
        error: String,
    }
}

message! {
    /// Ends a lease and deletes its keys; `LeaseRevokeRequest` in etcd's protocol.
    pub struct LeaseRevoke {
        /// The lease.
        id as "ID": i64,
    }
}

impl LeaseRevoke {
    /// Ends the lease `id`.
    #[must_use]
    pub fn new(id: i64) -> Self {
        Self { id }
    }
}

message! {
    /// The answer to [`LeaseRevoke`].
    pub struct LeaseRevokeResponse {
        /// Who answered; its revision counts the deletion of the lease's keys.
        header: ResponseHeader,
    }
}

message! {
    /// Resets the time a lease has left; one message of the keep-alive stream, `LeaseKeepAliveRequest`.
    pub struct LeaseKeepAlive {
        /// The lease.
        id as "ID": i64,
    }
}

impl LeaseKeepAlive {
    /// Renews the lease `id`.
    #[must_use]
    pub fn new(id: i64) -> Self {
        Self { id }
    }
}

message! {
    /// The answer to [`LeaseKeepAlive`].
    pub struct LeaseKeepAliveResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The lease.
        id as "ID": i64,
        /// The time in seconds the lease has from now on; 0 if there is no such lease (any more).
        ttl as "TTL": i64,
    }
}

message! {
    /// Asks what time a lease has left; `LeaseTimeToLiveRequest` in etcd's protocol.
    pub struct LeaseTimeToLive {
        /// The lease.
        id as "ID": i64,
        /// Whether the answer lists the keys attached to the lease.
        keys: bool,
    }
}

impl LeaseTimeToLive {
    /// Asks about the lease `id`.
    #[must_use]
    pub fn new(id: i64) -> Self {
        Self { id, keys: false }
    }

    /// Asks for the attached keys too.
    #[must_use]
    pub fn keys(mut self) -> Self {
        self.keys = true;
        self
    }
}

message! {
    /// The answer to [`LeaseTimeToLive`].
    pub struct LeaseTimeToLiveResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The lease.
        id as "ID": i64,
        /// The seconds left, rounded down; -1 if there is no such lease (any more).
        ttl as "TTL": i64,
        /// The time to live it was granted with, in seconds.
        granted_ttl as "grantedTTL": i64,
        /// The attached keys, if [`LeaseTimeToLive::keys`] asked for them; in no particular order.
        keys: Vec<Bytes>,
    }
}

impl LeaseTimeToLiveResponse {
    /// Whether the lease exists.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.ttl >= 0
    }
}

message! {
    /// Lists all leases; `LeaseLeasesRequest` in etcd's protocol.
    pub struct LeaseList {}
}

message! {
    /// A lease in a list.
    pub struct LeaseStatus {
        /// The lease.
        id as "ID": i64,
    }
}

message! {
    /// The answer to [`LeaseList`].
    pub struct LeaseListResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The leases.
        leases: Vec<LeaseStatus>,
    }
}
