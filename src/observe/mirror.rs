//! A range in memory.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use etcd_core::error::{ClusterChanged, Error, Result, WatchError};
use etcd_core::machine::ObservationStatus;
use etcd_core::message::KeyValue;
use futures_channel::oneshot;

use super::catch_up::{CatchUp, Follower};
use super::content::Content;
use super::goal::Goal;
use super::stream::status;
use super::view::{MirrorUpdates, MirrorView};
use crate::WatchHandle;
use crate::latest::{Latest, Reader};

/// A copy of a range in memory that follows the servers. Made by [`Client::mirror`](crate::Client::mirror); cheap to clone.
///
/// Reads from it cost no call, and show the range as it was at one revision, [`revision`](Self::revision): a moment ago
/// while servers can be reached, longer ago while they cannot ([`status`](Self::status)). Where that is not good
/// enough, [`sync`](Self::sync) makes the next reads linearizable, and [`wait_for`](Self::wait_for) has them show a
/// write.
///
/// It survives what [`Observe`](super::Observe) survives; see [the guide](crate::guide::observing). A background task follows the servers; it ends when the last
/// clone is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyetcd::Result<()> {
/// # let client = anyetcd::Client::embedded()?;
/// let settings = client.mirror(anyetcd::prefix("settings/")).await?;
/// let written = client.put("settings/mode", "fast").await?.header.revision;
/// settings.wait_for(written).await?; // as soon as this shows what was put
/// let mode = settings.get("settings/mode").and_then(|kv| kv.value_str().map(str::to_owned));
/// assert_eq!(mode.as_deref(), Some("fast"));
///
/// let view = settings.view(); // all of it at one revision
/// for (key, kv) in view.iter() {
///     println!("{key:?} is {:?} since revision {}", kv.value, kv.mod_revision);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Mirror<V = KeyValue> {
    catch_up: Arc<CatchUp>,
    content: Arc<Latest<Content<V>>>,
    /// Its end is the task's.
    _alive: Arc<oneshot::Sender<()>>,
}

impl<V: Clone + Send + Sync + 'static> Mirror<V> {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<V> {
        self.content.with(|content| content.view.get(key).cloned())
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.content.with(|content| content.view.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it at one revision, to iterate over and to read several keys from that belong together.
    #[must_use]
    pub fn view(&self) -> MirrorView<V> {
        self.content.with(|content| content.view.clone())
    }

    /// The revision that is shown.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.content.with(|content| content.view.revision)
    }

    /// How following the servers is going, and if it is not, since when.
    #[must_use]
    pub fn status(&self) -> ObservationStatus {
        let (observation, watch) = self
            .content
            .with(|content| (content.status.clone(), content.watch.clone()));
        status(observation, watch.map(|watch| watch.status()))
    }

    /// What it holds now, and then after each change.
    pub fn updates(&self) -> MirrorUpdates<V> {
        MirrorUpdates {
            content: self.content.clone(),
            reader: self.content.reader(),
            last: None,
        }
    }

    /// Waits until it shows what was written at `revision`, which has to exist already: that of the answer to a put, for
    /// instance.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync), and [`ClusterChanged::Revision`] if there is no such revision.
    pub async fn wait_for(&self, revision: i64) -> Result<()> {
        if self.revision() >= revision {
            return Ok(());
        }
        // Whoever has seen everything there is has seen that as well.
        let actual = self.sync().await?.max(self.revision());
        if actual < revision {
            let seen = revision;
            return Err(ClusterChanged::Revision { seen, actual }.into());
        }
        Ok(())
    }

    /// Waits until it shows all that had been written anywhere when this was called: reads from it are linearizable then, and
    /// stay so for what was written before. Returns the revision up to which that is.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// What ends a read of the range, or has ended the mirror; a timeout if it takes longer than calls of the client may.
    pub async fn sync(&self) -> Result<i64> {
        let mut reading = Reading {
            mirror: self,
            reader: self.content.reader(),
        };
        self.catch_up.run(&mut reading).await
    }

    pub(super) fn new(
        catch_up: Arc<CatchUp>,
        content: Arc<Latest<Content<V>>>,
        alive: oneshot::Sender<()>,
    ) -> Self {
        Self {
            catch_up,
            content,
            _alive: Arc::new(alive),
        }
    }

    /// Shows the state of `goal` if that is what is shown. Readers are not disturbed where it changes nothing.
    fn agree(&self, goal: Goal) -> bool {
        let (revision, count) = self
            .content
            .with(|content| (content.view.revision, content.view.len()));
        if revision >= goal.revision || !goal.is_seen(revision, count) {
            return revision >= goal.revision;
        }
        let mut agrees = false;
        self.content.modify(|content| agrees = content.agree(goal));
        agrees
    }

    /// Why there is nothing more to come.
    fn end(&self) -> Error {
        let error = self.content.with(|content| content.error.clone());
        error.map_or_else(|| WatchError::Canceled.into(), |error| Error::clone(&error))
    }
}

/// Waits for what a mirror shows, and is forgotten when that has an end.
struct Reading<'m, V: Clone + Send + Sync + 'static> {
    mirror: &'m Mirror<V>,
    reader: Reader,
}

impl<V: Clone + Send + Sync + 'static> Follower for Reading<'_, V> {
    fn key_count(&self) -> usize {
        self.mirror.len()
    }

    fn poll_seen(&mut self, goal: Goal, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.mirror.agree(goal) {
            if ready!(self.mirror.content.poll(&mut self.reader, cx)).is_none() {
                return Poll::Ready(Err(self.mirror.end()));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn watches(&self) -> u64 {
        self.mirror.content.with(|content| content.watches)
    }

    fn watch_handle(&self) -> Option<WatchHandle> {
        self.mirror.content.with(|content| content.watch.clone())
    }
}

impl<V: Clone + Send + Sync + 'static> Drop for Reading<'_, V> {
    fn drop(&mut self) {
        self.mirror.content.forget(&self.reader);
    }
}

impl<V> Clone for Mirror<V> {
    fn clone(&self) -> Self {
        Self {
            catch_up: self.catch_up.clone(),
            content: self.content.clone(),
            _alive: self._alive.clone(),
        }
    }
}

impl<V: Clone + Send + Sync + 'static> fmt::Debug for Mirror<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("keys", self.catch_up.keys())
            .field("revision", &self.revision())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
