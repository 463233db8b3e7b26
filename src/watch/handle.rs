use std::fmt;
use std::sync::Arc;

use etcd_core::error::Result;
use etcd_core::key::KeyRange;
use etcd_core::machine::ResumeToken;

use super::WatchStatus;
use super::call::{Options, Start, join};
use super::members::Members;
use crate::Client;

/// Changes a [`Watch`](super::Watch) while it runs. Cheap to clone; does not keep the watch going.
///
/// ```no_run
/// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
/// use anyetcd::prefix;
///
/// let mut watch = client.watch(prefix("jobs/today/")).await?;
/// let handle = watch.handle();
/// handle.add(prefix("jobs/tomorrow/")).await?; // on the same connection, from now on
/// handle.remove(prefix("jobs/today/"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WatchHandle {
    pub(super) client: Client,
    pub(super) members: Arc<Members>,
    options: Arc<Options>,
}

impl WatchHandle {
    pub(super) fn new(client: Client, members: Arc<Members>, options: Arc<Options>) -> Self {
        Self {
            client,
            members,
            options,
        }
    }

    /// Watches more keys, with the options of the watch, from now on: nothing written after this returns is missed.
    /// A range that is watched already stays as it is. One that has ended is watched again, also before its error was taken.
    ///
    /// Cancel safe: dropped before it returns, it leaves nothing behind.
    ///
    /// # Errors
    ///
    /// As of [`WatchCall`](super::WatchCall), and [`WatchError::Canceled`](crate::error::WatchError::Canceled) if the
    /// watch is over. The other ranges are not concerned.
    pub async fn add(&self, keys: impl Into<KeyRange>) -> Result<()> {
        self.join(keys.into(), Start::Now).await
    }

    /// As [`add`](Self::add), starting with the events of `revision`.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub async fn add_from(&self, keys: impl Into<KeyRange>, revision: i64) -> Result<()> {
        self.join(keys.into(), Start::Revision(revision)).await
    }

    /// As [`add`](Self::add), going on where a watch of the same keys has got to:
    /// [`WatchBatch::resume_token`](super::WatchBatch::resume_token), which is exact for its range.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), and those of [`WatchCall::resume`](super::WatchCall::resume).
    pub async fn add_resumed(&self, keys: impl Into<KeyRange>, token: ResumeToken) -> Result<()> {
        self.join(keys.into(), Start::Token(token)).await
    }

    /// Stops watching keys: exactly a range that was added. Events of it that were received and not taken are dropped.
    /// Returns whether it was watched. Without its last range, the watch ends.
    #[allow(clippy::must_use_candidate)] // whoever removes keys need not care whether they were there
    pub fn remove(&self, keys: impl Into<KeyRange>) -> bool {
        let removed = self
            .members
            .find(&keys.into())
            .and_then(|id| self.members.remove(id));
        let Some(link) = removed else { return false };
        link.connection.cancel(link.id);
        true
    }

    /// Ends the watch: its stream returns `None`.
    pub fn cancel(&self) {
        for link in self.members.close() {
            link.connection.cancel(link.id);
        }
    }

    /// What is watched.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyRange> {
        self.members.keys()
    }

    /// How the connection is; see [`Watch::status`](super::Watch::status).
    #[must_use]
    pub fn status(&self) -> WatchStatus {
        WatchStatus::of(&self.members)
    }

    async fn join(&self, keys: KeyRange, start: Start) -> Result<()> {
        join(&self.client, &self.members, &self.options, vec![keys], start).await
    }
}

impl fmt::Debug for WatchHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchHandle")
            .field("keys", &self.keys())
            .finish_non_exhaustive()
    }
}
