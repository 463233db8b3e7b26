//! A range, read and then followed, as a stream.

use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use etcd_core::error::{Error, ErrorKind, Result, WatchError};
use etcd_core::key::KeyRange;
use etcd_core::machine::{Backlog, BufferLimits, Observation, ObservationStatus, ObservationStep, Observed};
use etcd_core::message::GetResponse;
use etcd_core::runtime::BoxFuture;
use futures_core::Stream;

use super::catch_up::{CatchUp, Follower};
use super::goal::Goal;
use crate::{Client, Watch, WatchHandle, WatchStatus};

/// A range of keys, read and then followed: a stream of [`Observed`]. Made by [`Client::observe`].
///
/// First comes a snapshot of the range at one revision; then its changes, whole revisions in their order, without a gap
/// and without a repetition. It survives what a [`Watch`] survives, and compaction too: if history is compacted before
/// it was received, the range is read again, and the difference comes as one batch that is marked as synthetic. Whoever applies
/// everything in order has, after each item, exactly what the range held at the item's revision.
///
/// Only what nothing can mend ends it: a permission that was taken away, another cluster in the place of its own.
///
/// It keeps the keys of the range in memory, with 50 bytes or so for each. Dropping it ends it on the server. What is promised
/// stands in [the guide](crate::guide::observing).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyetcd::Result<()> {
/// # let client = anyetcd::Client::embedded()?;
/// use anyetcd::Observed;
///
/// client.put("routes/a", "10.0.0.1").await?;
/// let mut routes = client.observe(anyetcd::prefix("routes/")).await?;
/// client.put("routes/b", "10.0.0.2").await?;
/// let mut table = std::collections::BTreeMap::new();
/// let newest = routes.caught_up().await?; // of what is written by now, nothing is missing in what comes next
/// while table.len() < 2 {
///     match routes.try_next().await? {
///         Some(Observed::Snapshot { kvs, .. }) => {
///             table = kvs.into_iter().map(|kv| (kv.key, kv.value)).collect();
///         }
///         Some(Observed::Changes { events, .. }) => {
///             for event in events {
///                 if event.is_delete() {
///                     table.remove(&event.kv.key);
///                 } else {
///                     table.insert(event.kv.key, event.kv.value);
///                 }
///             }
///         }
///         Some(_) => {} // how far it has got
///         None => break,
///     }
/// }
/// assert!(routes.revision() <= newest && table.contains_key(&b"routes/b"[..]));
/// # Ok(())
/// # }
/// ```
pub struct Observe {
    client: Client,
    machine: Observation,
    work: Option<Work>,
    watch: Option<Watch>,
    /// What was received and not taken.
    received: Backlog,
    /// What ended it and was not taken.
    end: Option<Error>,
    catch_up: Arc<CatchUp>,
    /// How often there has been a new watch.
    watches: u64,
}

enum Work {
    Page(BoxFuture<'static, Result<GetResponse>>),
    Watch(BoxFuture<'static, Result<Watch>>),
    Pause(BoxFuture<'static, ()>),
}

impl Observe {
    /// Goes on from what was read first.
    pub(super) fn new(client: Client, machine: Observation, first: Observed, limits: BufferLimits) -> Self {
        let mut received = Backlog::new(limits);
        received.push(first);
        let catch_up = Arc::new(CatchUp::new(client.clone(), machine.keys().clone()));
        Self {
            client,
            machine,
            work: None,
            watch: None,
            received,
            end: None,
            catch_up,
            watches: 0,
        }
    }

    /// What comes next; `None` after an error.
    ///
    /// Cancel safe: a dropped future has taken nothing.
    ///
    /// # Errors
    ///
    /// Why the range cannot be followed any longer; see [`Observe`].
    pub async fn try_next(&mut self) -> Result<Option<Observed>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    /// The revision up to which everything was received.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.machine.revision()
    }

    /// How many keys the range holds at that revision.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.machine.key_count()
    }

    /// How it is doing, by what it has seen so far: a stream goes on only while it is polled.
    #[must_use]
    pub fn status(&self) -> ObservationStatus {
        status(self.machine.status(), self.watch.as_ref().map(Watch::status))
    }

    /// Returns once all that had been written when this was called has been received: the next calls of
    /// [`try_next`](Self::try_next) return it without waiting. After that, whoever has applied everything
    /// has what the range held at the revision that this returns, or at a later one.
    ///
    /// Cancel safe: what was received meanwhile is not lost.
    ///
    /// # Errors
    ///
    /// What ends a read of the range; a timeout if it takes longer than calls of the client may;
    /// [`BacklogFull`](WatchError::BacklogFull) if as much lies untaken by then as
    /// [may](super::ObserveCall::backlog_limits), which is everything up to [`revision`](Self::revision): take it, and call
    /// this again; what ends the observation, which then comes next as well.
    pub async fn caught_up(&mut self) -> Result<i64> {
        let catch_up = self.catch_up.clone();
        catch_up.run(self).await
    }

    pub(super) fn keys(&self) -> &KeyRange {
        self.machine.keys()
    }

    /// What was received before and not taken, one by one.
    pub(super) fn take_received(&mut self) -> Option<Observed> {
        self.received.pop()
    }

    /// What waits until this, or a copy of it, has seen everything.
    pub(super) fn catch_up(&self) -> Arc<CatchUp> {
        self.catch_up.clone()
    }

    /// How it is doing, for those who ask its watch themselves.
    pub(super) fn status_but_of_watch(&self) -> ObservationStatus {
        self.machine.status()
    }

    /// What comes next until `goal` is seen, and nothing once it is.
    pub(super) fn poll_towards(
        &mut self,
        goal: Goal,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Observed>>> {
        if self.has_seen(goal) {
            self.machine.handle_agreement(goal.revision);
            return Poll::Ready(Ok(None));
        }
        match ready!(self.poll_observed(cx)) {
            Some(Ok(observed)) => Poll::Ready(Ok(Some(observed))),
            Some(Err(error)) => {
                self.end = Some(error.clone());
                Poll::Ready(Err(error))
            }
            None => {
                let end = self.end.clone();
                Poll::Ready(Err(end.unwrap_or_else(|| WatchError::Canceled.into())))
            }
        }
    }

    fn has_seen(&self, goal: Goal) -> bool {
        goal.is_seen(self.revision(), self.key_count())
    }

    /// What comes next, beyond what was received before.
    fn poll_observed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Observed>>> {
        let runtime = self.client.shared.runtime.clone();
        loop {
            match &mut self.work {
                Some(Work::Page(page)) => {
                    let page = ready!(page.as_mut().poll(cx));
                    self.work = None;
                    match page {
                        Ok(page) => {
                            if let Some(observed) = self.machine.handle_page(page) {
                                return Poll::Ready(Some(Ok(observed)));
                            }
                        }
                        Err(error) => {
                            let entropy = runtime.entropy();
                            self.machine.handle_list_failed(runtime.now(), error, entropy);
                        }
                    }
                }
                Some(Work::Watch(watch)) => {
                    let watch = ready!(watch.as_mut().poll(cx));
                    self.work = None;
                    match watch {
                        Ok(watch) => {
                            self.watch = Some(watch);
                            self.watches += 1;
                            self.machine.handle_watching();
                        }
                        Err(error) => self.handle_watch_failed(error),
                    }
                }
                Some(Work::Pause(pause)) => {
                    ready!(pause.as_mut().poll(cx));
                    self.work = None;
                }
                None if self.watch.is_some() => {
                    if let Some(observed) = ready!(self.poll_watch(cx)) {
                        return Poll::Ready(Some(Ok(observed)));
                    }
                }
                None => match self.machine.poll_step(runtime.now()) {
                    ObservationStep::List(get) => {
                        let call = self.client.call(get);
                        self.work = Some(Work::Page(call.into_future()));
                    }
                    ObservationStep::Watch { start_revision } => {
                        let watch = self.client.watch(self.machine.keys().clone());
                        let watch = watch.start_revision(start_revision).progress_notify();
                        self.work = Some(Work::Watch(watch.into_future()));
                    }
                    ObservationStep::Wait { until } => {
                        self.work = Some(Work::Pause(runtime.sleep_until(until)));
                    }
                    ObservationStep::Fail(error) => return Poll::Ready(Some(Err(error))),
                    ObservationStep::Idle => return Poll::Ready(None),
                },
            }
        }
    }

    /// What the watch tells, if that is anything new.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Observed>> {
        let Some(watch) = &mut self.watch else {
            return Poll::Ready(None);
        };
        let batch = ready!(Pin::new(watch).poll_next(cx));
        match batch {
            Some(Ok(batch)) => {
                let revision = batch.revision();
                return Poll::Ready(self.machine.handle_events(revision, batch.into_events()));
            }
            Some(Err(error)) => self.handle_watch_failed(error),
            None => self.handle_watch_failed(WatchError::Canceled.into()),
        }
        Poll::Ready(None)
    }

    fn handle_watch_failed(&mut self, error: Error) {
        self.watch = None;
        if let ErrorKind::Watch(WatchError::Compacted { .. }) = error.kind() {
            self.machine.handle_compacted();
        } else {
            let runtime = &self.client.shared.runtime;
            self.machine
                .handle_watch_failed(runtime.now(), error, runtime.entropy());
        }
    }
}

/// How an observation is doing whose watch may be looking for another member.
pub(super) fn status(observation: ObservationStatus, watch: Option<WatchStatus>) -> ObservationStatus {
    match (observation, watch) {
        (
            ObservationStatus::Following,
            Some(WatchStatus::Connecting {
                since,
                cause: Some(cause),
            }),
        ) => ObservationStatus::Interrupted { since, cause },
        (observation, _) => observation,
    }
}

impl Follower for Observe {
    fn key_count(&self) -> usize {
        self.key_count()
    }

    fn poll_seen(&mut self, goal: Goal, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            if self.received.is_full() && !self.has_seen(goal) {
                return Poll::Ready(Err(WatchError::BacklogFull.into()));
            }
            match ready!(self.poll_towards(goal, cx))? {
                Some(observed) => self.received.push(observed),
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    fn watches(&self) -> u64 {
        self.watches
    }

    fn watch_handle(&self) -> Option<WatchHandle> {
        self.watch.as_ref().map(Watch::handle)
    }
}

impl Stream for Observe {
    type Item = Result<Observed>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.take_received() {
            Some(observed) => Poll::Ready(Some(Ok(observed))),
            None => match self.end.take() {
                Some(error) => Poll::Ready(Some(Err(error))),
                None => self.poll_observed(cx),
            },
        }
    }
}

impl fmt::Debug for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observe")
            .field("keys", self.keys())
            .field("revision", &self.revision())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
