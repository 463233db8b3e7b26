//! Locks, as the server offers them.

use etcd_core::key::IntoBytes;
use etcd_core::message::{Lock, Unlock};

use super::group;
use crate::Call;

group! {
    /// Locks, as the server offers them. Made by [`Client::locks`](crate::Client::locks).
    ///
    /// The server waits and orders the waiters; the client has to keep the lease alive, and is not told when it
    /// loses the lock.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// # let client = anyetcd::Client::embedded()?;
    /// let lease = client.leases().grant(60).await?;
    /// let held = client.locks().lock("jobs/nightly", lease.id).await?;
    /// client.locks().unlock(held.key).await?;
    /// # Ok(())
    /// # }
    /// ```
    Locks
}

impl Locks<'_> {
    /// Waits for the lock `name` and takes it, held by `lease`.
    ///
    /// If its outcome is unknown ([`Error::is_outcome_unknown`](crate::Error::is_outcome_unknown)), revoke the lease
    /// and begin anew: the server may still be taking back the key of the call that was lost.
    ///
    /// Its deadline is [`ClientBuilder::wait_timeout`](crate::ClientBuilder::wait_timeout). Dropping it while it
    /// waits gives the place up. Dropped earlier, while the server writes the waiter's key, it may leave the key
    /// there until `lease` ends, where it keeps others waiting: revoke the lease if it has no other use
    /// (`client/v3/concurrency/mutex.go`, `Lock`, takes back only what it knows to be written).
    pub fn lock(&self, name: impl IntoBytes, lease: i64) -> Call<Lock> {
        self.client.call(Lock::new(name, lease))
    }

    /// Releases the lock that `key` stands for: [`LockResponse::key`](crate::message::LockResponse::key).
    pub fn unlock(&self, key: impl IntoBytes) -> Call<Unlock> {
        self.client.call(Unlock::new(key))
    }
}
