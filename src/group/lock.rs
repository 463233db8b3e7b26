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
    /// ```no_run
    /// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
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
    /// Its deadline is [`ClientBuilder::wait_timeout`](crate::ClientBuilder::wait_timeout). Dropping it while it
    /// waits gives the place up.
    pub fn lock(&self, name: impl IntoBytes, lease: i64) -> Call<Lock> {
        self.client.call(Lock::new(name, lease))
    }

    /// Releases the lock that `key` stands for: [`LockResponse::key`](crate::message::LockResponse::key).
    pub fn unlock(&self, key: impl IntoBytes) -> Call<Unlock> {
        self.client.call(Unlock::new(key))
    }
}
