//! Who leads an election, as a stream.

use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use etcd_core::error::{Result, WatchError};
use etcd_core::machine::{ElectionLeader, LeaderObservation, ObservationStatus, ObservedLeader};
use etcd_core::message;
use etcd_core::rpc::Request;
use etcd_core::runtime::BoxFuture;
use futures_core::Stream;

use super::catch_up::Follower;
use super::goal::Goal;
use super::{Observe, ObserveCall};
use crate::{Client, WatchHandle};

/// An observation of an election's leader that begins when it is awaited. Made by
/// [`Elections::observe`](crate::Elections::observe).
///
/// Awaiting it reads who leads.
///
/// # Errors
///
/// [`InvalidArgument`](crate::error::InvalidArgument) if the election has no name, before anything is sent; otherwise what
/// ends every [`Call`](crate::Call).
///
/// Cancel safe.
#[must_use = "nothing is read until this is awaited"]
#[derive(Clone)]
pub struct ObserveLeaderCall {
    client: Client,
    name: Bytes,
}

impl ObserveLeaderCall {
    pub(crate) fn new(client: Client, name: Bytes) -> Self {
        Self { client, name }
    }

    async fn begin(self) -> Result<ObserveLeader> {
        message::Observe::new(&self.name).validate(&self.client.shared.settings.limits)?;
        let machine = LeaderObservation::new(self.name);
        let observe = ObserveCall::new(self.client, machine.keys()).await?;
        let mut this = ObserveLeader {
            observe,
            machine,
            last: None,
        };
        if let Some(candidates) = this.observe.take_received() {
            this.machine.handle_observed(candidates);
        }
        Ok(this)
    }
}

impl IntoFuture for ObserveLeaderCall {
    type Output = Result<ObserveLeader>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}

/// Who leads an election: a stream of [`ObservedLeader`]s. Made by [`Elections::observe`](crate::Elections::observe).
///
/// First comes who leads now, also if that is nobody. Then comes each revision that changes it: another leader, nobody,
/// the same one with another proclamation, be it the same text. What a transaction changes comes at once, so that a leadership
/// handed over in one is never seen vacant.
///
/// Nothing is missed, whatever becomes of connections and members, unless history is compacted while they cannot be
/// reached: then who leads by now comes, if that is anything new, marked as synthetic. It ends with what ends an
/// [`Observe`]: a permission that was taken away, another cluster in the place of its own. Dropping it ends it on the
/// server.
///
/// Whoever holds the key with the lowest create revision below `name/` leads, whose key it may be. That is etcd's rule: a
/// key that somebody puts there who does not know of elections is a candidate, and so are those of an election whose name
/// begins with `name/`. Of two keys that one transaction created, the lower leads.
///
/// # What it is good for
///
/// It tells whom to talk to, and what that one has proclaimed. It is always a moment late, and longer while no server
/// can be reached ([`status`](Self::status)). To act as a leader, or for one, prove the leadership at that moment:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyetcd::Result<()> {
/// # let client = anyetcd::Client::embedded()?;
/// use anyetcd::{Compare, Put, Txn};
///
/// let mut boss = client.elections().observe("boss").await?;
/// # let lease = client.leases().grant(60).await?;
/// # client.elections().campaign("boss", lease.id, "10.0.0.1").await?;
/// let leader = boss.elected().await?; // waits until somebody leads
/// let proof = leader.leader_key();
/// let done = client
///     .txn(
///         Txn::when([Compare::create_revision(&proof.key).eq(proof.revision)])
///             .then([Put::new("tasks/1", leader.kv.value)]),
///     )
///     .await?;
/// assert!(done.succeeded, "another one leads by now");
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream does nothing unless it is polled"]
pub struct ObserveLeader {
    observe: Observe,
    machine: LeaderObservation,
    /// What was taken last.
    last: Option<ObservedLeader>,
}

impl ObserveLeader {
    /// What comes next; `None` after an error.
    ///
    /// Cancel safe: a dropped future has taken nothing.
    ///
    /// # Errors
    ///
    /// Why the election cannot be followed any longer; see [`ObserveLeader`].
    pub async fn try_next(&mut self) -> Result<Option<ObservedLeader>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    /// Waits until somebody leads, and returns who does. What comes before that is taken.
    ///
    /// If by what was taken last somebody leads, that is returned at once.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next).
    pub async fn elected(&mut self) -> Result<ElectionLeader> {
        loop {
            if let Some(leader) = self.last.as_ref().and_then(|last| last.leader.clone()) {
                return Ok(leader);
            }
            self.take_next().await?;
        }
    }

    /// Waits until who leads is to the liking of `condition`, and returns that. What comes before is taken, and
    /// `condition` sees each of it: nothing that happened in between is overlooked.
    ///
    /// If what was taken last is to its liking, that is returned at once.
    ///
    /// ```no_run
    /// # async fn example(client: &anyetcd::Client, lease: &anyetcd::Lease) -> anyetcd::Result<()> {
    /// let mut boss = client.elections().observe("boss").await?;
    /// let is_mine = |leader: &anyetcd::ElectionLeader| leader.kv.lease == lease.id();
    /// boss.wait_for(|leader| leader.is_some_and(is_mine)).await?; // until I lead
    /// boss.wait_for(|leader| !leader.is_some_and(is_mine)).await?; // until I do so no more
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next).
    pub async fn wait_for(
        &mut self,
        mut condition: impl FnMut(Option<&ElectionLeader>) -> bool,
    ) -> Result<ObservedLeader> {
        loop {
            if let Some(last) = &self.last
                && condition(last.leader.as_ref())
            {
                return Ok(last.clone());
            }
            self.take_next().await?;
        }
    }

    /// Who leads by all that was received, taken or not; `None` if nobody does.
    #[must_use]
    pub fn leader(&self) -> Option<&ElectionLeader> {
        self.machine.leader()
    }

    /// The revision up to which everything was received: [`leader`](Self::leader) is who led then.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.machine.revision()
    }

    /// How it is doing, by what it has seen so far: a stream goes on only while it is polled.
    #[must_use]
    pub fn status(&self) -> ObservationStatus {
        self.observe.status()
    }

    /// Returns once [`leader`](Self::leader) is who a linearizable read would have named when this was called, or later, with
    /// the revision of that read. What was received for it, the next calls of [`try_next`](Self::try_next) return without
    /// waiting. A candidacy that came and went unseen by then may still be told after it.
    ///
    /// Cancel safe: what was received meanwhile is not lost.
    ///
    /// # Errors
    ///
    /// What ends a read of the candidates; a timeout if it takes longer than calls of the client may; what ends the observation,
    /// which then comes next as well.
    pub async fn caught_up(&mut self) -> Result<i64> {
        let catch_up = self.observe.catch_up();
        catch_up.run(self).await
    }

    async fn take_next(&mut self) -> Result<()> {
        match self.try_next().await? {
            Some(_) => Ok(()),
            None => Err(WatchError::Canceled.into()),
        }
    }
}

impl Follower for ObserveLeader {
    fn key_count(&self) -> usize {
        self.observe.key_count()
    }

    fn poll_seen(&mut self, goal: Goal, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while let Some(observed) = ready!(self.observe.poll_towards(goal, cx))? {
            self.machine.handle_observed(observed);
        }
        Poll::Ready(Ok(()))
    }

    fn watches(&self) -> u64 {
        self.observe.watches()
    }

    fn watch_handle(&self) -> Option<WatchHandle> {
        self.observe.watch_handle()
    }
}

impl Stream for ObserveLeader {
    type Item = Result<ObservedLeader>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(told) = self.machine.poll_observed() {
                self.last = Some(told.clone());
                return Poll::Ready(Some(Ok(told)));
            }
            match ready!(Pin::new(&mut self.observe).poll_next(cx)) {
                Some(Ok(observed)) => self.machine.handle_observed(observed),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl fmt::Debug for ObserveLeaderCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveLeaderCall")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ObserveLeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveLeader")
            .field("keys", self.observe.keys())
            .field("revision", &self.revision())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
