//! A range, read and then followed, as a stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use etcd_core::error::{Error, ErrorKind, Result, Timeout, TimeoutPhase, WatchError};
use etcd_core::key::KeyRange;
use etcd_core::machine::{Observation, ObservationStatus, ObservationStep, Observed};
use etcd_core::message::GetResponse;
use etcd_core::runtime::{BoxFuture, later};
use futures_core::Stream;

use super::goal::Goal;
use crate::client::lock;
use crate::exchange::race;
use crate::{Client, Watch, WatchHandle, WatchStatus};

/// An observation that begins when it is awaited. Made by [`Client::observe`].
///
/// Awaiting it reads the range.
///
/// # Errors
///
/// What ends every [`Call`](crate::Call).
///
/// Cancel safe.
#[must_use = "nothing is read until this is awaited"]
#[derive(Clone)]
pub struct ObserveCall {
    client: Client,
    keys: KeyRange,
    has_prev_kv: bool,
}

impl ObserveCall {
    pub(crate) fn new(client: Client, keys: KeyRange) -> Self {
        Self {
            client,
            keys,
            has_prev_kv: false,
        }
    }

    /// Has each event tell the pair before it, synthetic ones too, and whatever history still has. The pairs of the range are
    /// kept in memory for that; otherwise, only its keys are.
    pub fn prev_kv(mut self) -> Self {
        self.has_prev_kv = true;
        self
    }

    async fn begin(self) -> Result<Observe> {
        let logs_in = lock(&self.client.shared.session).can_log_in();
        let mut machine = Observation::new(self.keys).with_login(logs_in);
        if self.has_prev_kv {
            machine = machine.with_prev_kv();
        }
        let runtime = self.client.shared.runtime.clone();
        let first = loop {
            match machine.poll_step(runtime.now()) {
                ObservationStep::List(get) => match self.client.call(get).await {
                    Ok(page) => {
                        if let Some(first) = machine.handle_page(page) {
                            break first;
                        }
                    }
                    Err(error) => machine.handle_list_failed(runtime.now(), error, runtime.entropy()),
                },
                ObservationStep::Fail(error) => return Err(error),
                // Whoever waits for the beginning is told what is in the way of it.
                _ => {
                    let ObservationStatus::Interrupted { cause, .. } = machine.status() else {
                        return Err(Timeout::new(TimeoutPhase::Queue).into());
                    };
                    return Err(Error::clone(&cause));
                }
            }
        };
        Ok(Observe {
            client: self.client,
            machine,
            work: None,
            watch: None,
            received: VecDeque::from([first]),
            end: None,
            is_progress_unknown: false,
            watches: 0,
        })
    }
}

impl IntoFuture for ObserveCall {
    type Output = Result<Observe>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}

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
    received: VecDeque<Observed>,
    /// What ended it and was not taken.
    end: Option<Error>,
    is_progress_unknown: bool,
    /// How often there has been a new watch.
    watches: u64,
}

enum Work {
    Page(BoxFuture<'static, Result<GetResponse>>),
    Watch(BoxFuture<'static, Result<Watch>>),
    Pause(BoxFuture<'static, ()>),
}

/// A question to the server, how far a watch has got.
struct Asking {
    /// Which watch it is.
    watch: u64,
    answer: BoxFuture<'static, Result<i64>>,
}

impl Observe {
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
    /// What ends a read of the range; a timeout if it takes longer than calls of the client may; what ends the observation,
    /// which then comes next as well.
    pub async fn caught_up(&mut self) -> Result<i64> {
        let shared = self.client.shared.clone();
        let limit = shared.settings.timeout;
        let deadline = later(shared.runtime.now(), limit);
        loop {
            let (client, keys) = (self.client.clone(), self.keys().clone());
            let left = deadline.saturating_duration_since(shared.runtime.now());
            let goal = Goal::read(&client, &keys, self.key_count(), self.is_progress_unknown, left).await?;
            let mut asking = None;
            let caught_up = poll_fn(|cx| self.poll_caught_up(goal, &mut asking, cx));
            match race(pin!(caught_up), pin!(shared.deadlines.reached(deadline))).await {
                Some(Ok(true)) => {
                    self.machine.handle_agreement(goal.revision);
                    return Ok(goal.revision);
                }
                // The server cannot say: another goal is needed.
                Some(Ok(false)) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(Timeout::new(TimeoutPhase::Response).with_limit(limit).into()),
            }
        }
    }

    pub(super) fn keys(&self) -> &KeyRange {
        self.machine.keys()
    }

    /// What was received before and not taken, one by one.
    pub(super) fn take_received(&mut self) -> Option<Observed> {
        self.received.pop_front()
    }

    /// Which watch it is that goes on, by number.
    pub(super) fn watches(&self) -> u64 {
        self.watches
    }

    /// How it is doing, for those who ask its watch themselves.
    pub(super) fn status_but_of_watch(&self) -> ObservationStatus {
        self.machine.status()
    }

    /// What can ask the server how far it has got; `None` while nothing is watched.
    pub(super) fn watch_handle(&self) -> Option<WatchHandle> {
        self.watch.as_ref().map(Watch::handle)
    }

    fn poll_caught_up(
        &mut self,
        goal: Goal,
        asking: &mut Option<Asking>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool>> {
        loop {
            if goal.is_seen(self.revision(), self.key_count()) {
                return Poll::Ready(Ok(true));
            }
            match self.poll_observed(cx) {
                Poll::Ready(Some(Ok(observed))) => {
                    self.received.push_back(observed);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => {
                    self.end = Some(error.clone());
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(None) => return Poll::Ready(Err(WatchError::Canceled.into())),
                Poll::Pending => {}
            }
            if asking.is_none()
                && !self.is_progress_unknown
                && let Some(handle) = self.watch_handle()
            {
                *asking = Some(Asking {
                    watch: self.watches,
                    answer: Box::pin(async move { handle.progress().await }),
                });
            }
            let Some(Asking { watch, answer }) = asking else {
                return Poll::Pending;
            };
            let is_present = *watch == self.watches;
            match ready!(answer.as_mut().poll(cx)) {
                Err(error) if is_progress_unknown(&error) => {
                    self.is_progress_unknown = true;
                    *asking = None;
                    if goal.needs_progress() {
                        return Poll::Ready(Ok(false));
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::Watch(_)) => {
                    *asking = None;
                    // Unless it has been replaced by now, and the next one can be asked, the watch is about to be.
                    if is_present {
                        return Poll::Pending;
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
                Ok(_) => *asking = None,
            }
        }
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

pub(super) fn is_progress_unknown(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Watch(WatchError::ProgressUnknown))
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

impl fmt::Debug for ObserveCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveCall")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
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
