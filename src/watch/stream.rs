use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use etcd_core::error::{Error, Result, Timeout, TimeoutPhase, WatchError};
use etcd_core::key::KeyRange;
use etcd_core::machine::{ConnectionStatus, ResumeToken};
use etcd_core::runtime::later;
use futures_core::Stream;
use futures_util::FutureExt;

use super::call::{Options, Start, cluster_id, join};
use super::members::Members;
use super::{WatchBatch, WatchHandle};
use crate::Client;
use crate::exchange::race;

/// A request for progress that was not answered by then is made again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A server that cannot be believed about progress may still send the events that show it: it gets this long, from when it
/// can be heard.
const EVENTS_MAY_TAKE: Duration = Duration::from_secs(1);

/// Changes of keys, as they happen: a stream of [`WatchBatch`]es. Made by [`Client::watch`].
///
/// It survives cut connections, members that die, fall silent or lose their leader, server restarts and expired tokens:
/// whatever happens, the batches are all that happened, once each and in the order of their revisions, with no revision
/// split over two. What it cannot survive ends it with an error that says so: history that was compacted before it was
/// received ([`WatchError::Compacted`]), a permission that was taken away, another cluster in the place of its own.
/// What exactly is promised, and why, stands in [the guide](crate::guide::watching).
///
/// ```no_run
/// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
/// let mut watch = client.watch(anyetcd::prefix("config/")).await?;
/// while let Some(batch) = watch.try_next().await? {
///     for event in batch.events() {
///         println!("{:?} {:?} at {}", event.event_type, event.kv.key, event.kv.mod_revision);
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Several ranges
///
/// It may [begin](super::WatchCall::and) with several, and through its [`handle`](Self::handle) ranges come and go while
/// it runs, on the same connection. Each range is a watch of its own with a position of its own, and a batch belongs to
/// one of them: order and wholeness of revisions hold within a range. Where a transaction over two ranges has to arrive
/// as one, watch one range that covers both.
///
/// An error concerns one range, which [`Error::keys`] names and which is gone then. The others go on, and the next call
/// of [`try_next`](Self::try_next) tells of them; the stream ends when none is left. The range may be added again, also
/// if it was the last, as long as the stream has not said that it is over.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyetcd::Result<()> {
/// # let client = anyetcd::Client::embedded()?;
/// use anyetcd::ErrorKind;
/// use anyetcd::error::WatchError;
///
/// # let first = client.put("jobs/1", "todo").await?.header.revision;
/// # let newest = client.put("jobs/1", "done").await?.header.revision;
/// # client.compact(newest).await?;
/// let mut watch = client.watch("config").await?;
/// let handle = watch.handle();
/// handle.add_from("jobs/1", first).await?; // and somebody has compacted that revision
/// # client.put("config", "fast").await?;
/// # let (mut told, mut read) = (0, 0);
/// loop {
///     match watch.try_next().await {
///         Ok(Some(batch)) => println!("{:?}: {:?}", batch.keys(), batch.events()),
///         Ok(None) => break,
///         Err(error) => match (error.kind(), error.keys()) {
///             (ErrorKind::Watch(WatchError::Compacted { .. }), Some(keys)) => {
///                 let now = client.get(keys.clone()).await?;
///                 println!("it is {:?} now; how it came to be so cannot be told", now.kvs);
///                 handle.add_from(keys.clone(), now.header.revision + 1).await?;
/// #               client.put("jobs/1", "redo").await?;
/// #               read += 1;
///             }
///             _ => return Err(error),
///         },
///     }
/// #   told += 1;
/// #   if told == 3 { handle.cancel(); }
/// }
/// # assert_eq!(read, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Memory
///
/// What lies unread is bounded ([`WatchCall::buffer_limits`](super::WatchCall::buffer_limits)); what happens beyond that
/// is a [policy](super::WatchCall::buffer). No other watch is held up.
///
/// # Dropping it
///
/// Dropping a watch ends it on the server, and closes the connection if it was the client's last. A watch keeps its
/// client alive.
pub struct Watch {
    client: Client,
    members: Arc<Members>,
    options: Arc<Options>,
    wants_progress: bool,
}

/// How a watch's connection is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchStatus {
    /// The server can be heard.
    Connected {
        /// Since when; the whole watch, where its ranges have connections of their own.
        since: Instant,
    },
    /// The connection is being made, or made anew. Nothing is lost meanwhile, unless history is compacted.
    Connecting {
        /// Since when there has been none.
        since: Instant,
        /// Why the last one ended, or could not be made.
        cause: Option<Arc<Error>>,
    },
    /// There is none, because nothing needs one: the watch is over, or has no room for more.
    Resting,
}

impl WatchStatus {
    pub(super) fn of(members: &Members) -> Self {
        let mut worst = Self::Resting;
        for connection in members.connections() {
            worst = match (connection.status(), worst) {
                (
                    ConnectionStatus::Connecting { since, .. },
                    worst @ Self::Connecting { since: first, .. },
                ) if first <= since => worst,
                (ConnectionStatus::Connecting { since, cause }, _) => Self::Connecting { since, cause },
                // All of them can be heard only since the last of them can.
                (ConnectionStatus::Connected { since }, Self::Connected { since: last }) => Self::Connected {
                    since: since.max(last),
                },
                (ConnectionStatus::Connected { since }, Self::Resting) => Self::Connected { since },
                (_, worst) => worst,
            };
        }
        worst
    }
}

impl Watch {
    pub(super) fn new(client: Client, options: Arc<Options>, wants_progress: bool) -> Self {
        Self {
            client,
            members: Arc::default(),
            options,
            wants_progress,
        }
    }

    pub(super) async fn join(&self, ranges: Vec<KeyRange>, start: Start) -> Result<()> {
        join(&self.client, &self.members, &self.options, ranges, start).await
    }

    /// The next batch; `None` when nothing is left to watch.
    ///
    /// Cancel safe: a dropped future has taken nothing.
    ///
    /// # Errors
    ///
    /// Why a range cannot be watched any longer, after everything that was received of it; [`Error::keys`] says which.
    /// The other ranges go on. See [`Watch`].
    pub async fn try_next(&mut self) -> Result<Option<WatchBatch>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    /// Calls `handle` with each batch, and waits until it is done before it takes the next; until the watch ends, or the
    /// first of its ranges does so with an error: it ends the others with it.
    ///
    /// Cancel safe in that nothing is left behind: dropping it ends the watch.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next).
    pub async fn for_each<F, Fut>(mut self, mut handle: F) -> Result<()>
    where
        F: FnMut(WatchBatch) -> Fut,
        Fut: Future<Output = ()>,
    {
        while let Some(batch) = self.try_next().await? {
            handle(batch).await;
        }
        Ok(())
    }

    /// What changes the watch while it runs, from anywhere.
    #[must_use]
    pub fn handle(&self) -> WatchHandle {
        WatchHandle::new(self.client.clone(), self.members.clone(), self.options.clone())
    }

    /// The first revision of which something may not have been taken yet: all that happened before it, in all ranges,
    /// has been.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.members.place().position
    }

    /// Where to go on after what has been taken so far, to be stored and
    /// [resumed](super::WatchCall::resume) from, in this process or another.
    ///
    /// With several ranges it is that of the one that lies furthest behind, and others may see events again;
    /// [`WatchBatch::resume_token`] is exact for its range.
    #[must_use]
    pub fn resume_token(&self) -> ResumeToken {
        let place = self.members.place();
        let token = ResumeToken::new(cluster_id(&self.client), place.position);
        if place.is_reached {
            token
        } else {
            token.not_reached()
        }
    }

    /// How the connection is. Where each range has one of its own (where no stream gets through), it is the worst of them.
    #[must_use]
    pub fn status(&self) -> WatchStatus {
        WatchStatus::of(&self.members)
    }

    /// Returns once everything has been received that had been written anywhere when this was called, with the
    /// revision up to which that is: it has been taken, or the next calls of [`try_next`](Self::try_next) return it
    /// without waiting.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`WatchError::ProgressUnknown`] where the server cannot be believed about it and events do not show it; a timeout
    /// if it does not get there in the time that calls of the client have, for instance because what came before is not
    /// taken, or because a watch of the client starts in the future: servers say nothing of progress then;
    /// [`WatchError::Canceled`] if the watch has ended; otherwise as a read of one of the keys. Ranges that have ended do
    /// not count, whether or not their errors have been taken.
    pub async fn progress(&self) -> Result<i64> {
        self.handle().progress().await
    }

    /// Ends the watch, and returns once the server has confirmed that, the connection is closed, or the time that calls of
    /// the client have is over.
    ///
    /// Cancel safe: the watch ends in any case, as when it is dropped.
    pub async fn cancel(self) {
        let shared = self.client.shared.clone();
        let links = self.members.close().into_iter();
        // All of them are told to go before the first is waited for.
        let gone: Vec<_> = links
            .map(|link| link.connection.cancel_and_wait(link.id))
            .collect();
        let all_gone = async move {
            for gone in gone {
                gone.await;
            }
        };
        let deadline = later(shared.runtime.now(), shared.settings.timeout);
        race(pin!(all_gone), pin!(shared.deadlines.reached(deadline))).await;
    }
}

impl WatchHandle {
    /// See [`Watch::progress`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn progress(&self) -> Result<i64> {
        let (client, members) = (&self.client, &self.members);
        let shared = &client.shared;
        let Some(keys) = members.keys().into_iter().next() else {
            return Err(WatchError::Canceled.into());
        };
        let begun = shared.runtime.now();
        let first = KeyRange::single(keys.key());
        let revision = client.get(first).keys_only().await?.header.revision;
        let timeout = shared.settings.timeout;
        loop {
            let connections = members.connections();
            let position = revision.saturating_add(1);
            let mut received = pin!(poll_fn(|cx| members.poll_received(position, cx)));
            let mut is_received = received.as_mut().now_or_never();
            if is_received.is_none() {
                connections
                    .iter()
                    .for_each(|connection| connection.request_progress());
                let ask_again_at = shared.runtime.now() + ASK_AGAIN_AFTER;
                is_received = race(received, pin!(shared.deadlines.reached(ask_again_at))).await;
            }
            match is_received {
                Some(true) => return Ok(revision),
                Some(false) => return Err(WatchError::Canceled.into()),
                None => {}
            }
            let now = shared.runtime.now();
            if now.saturating_duration_since(begun) >= timeout {
                return Err(Timeout::new(TimeoutPhase::Response).with_limit(timeout).into());
            }
            // Where a connection is still being made, events have not had their time.
            let heard = match WatchStatus::of(members) {
                WatchStatus::Connected { since } => now.saturating_duration_since(since.max(begun)),
                _ => Duration::ZERO,
            };
            let mut answers = connections.iter().map(|connection| connection.tells_progress());
            if heard >= EVENTS_MAY_TAKE && answers.any(|answers| answers == Some(false)) {
                return Err(WatchError::ProgressUnknown.into());
            }
        }
    }
}

impl Stream for Watch {
    type Item = Result<WatchBatch>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (item, has_room) = self.members.poll_take(cx, self.wants_progress);
        for link in has_room {
            link.connection.handle_room(link.id);
        }
        let batch = |(keys, batch)| WatchBatch::new(keys, cluster_id(&self.client), batch);
        item.map(|item| item.map(|item| item.map(batch)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for link in self.members.close() {
            link.connection.cancel(link.id);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("keys", &self.members.keys())
            .field("position", &self.position())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
