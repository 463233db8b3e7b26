//! The lock service of the server.

use bytes::Bytes;

use super::ResponseHeader;
use crate::codec::message;
use crate::key::IntoBytes;

message! {
    /// Waits for a lock and takes it; `LockRequest` in etcd's protocol.
    ///
    /// The waiting happens in the server: it creates the key `name/lease` (the lease in hexadecimal) and
    /// answers once no older key under `name/` is left. Abandoning the call gives the place up.
    pub struct Lock {
        /// The lock's name.
        name: Bytes,
        /// The lease that holds the lock: the lock is released when it ends.
        lease: i64,
    }
}

impl Lock {
    /// Takes the lock `name`, held by `lease`.
    ///
    /// The protocol allows a call without a lease; the server then makes one of 60 s that nobody keeps alive,
    /// so this library asks for one always.
    #[must_use]
    pub fn new(name: impl IntoBytes, lease: i64) -> Self {
        Self {
            name: name.into_bytes(),
            lease,
        }
    }
}

message! {
    /// The answer to [`Lock`].
    pub struct LockResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The key whose existence means that the lock is held.
        key: Bytes,
    }
}

message! {
    /// Releases a lock; `UnlockRequest` in etcd's protocol.
    pub struct Unlock {
        /// The key from [`LockResponse::key`].
        key: Bytes,
    }
}

impl Unlock {
    /// Releases the lock that `key` stands for.
    #[must_use]
    pub fn new(key: impl IntoBytes) -> Self {
        Self {
            key: key.into_bytes(),
        }
    }
}

message! {
    /// The answer to [`Unlock`].
    pub struct UnlockResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}
