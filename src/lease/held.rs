//! A lease that is held.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use etcd_core::error::{EtcdError, LeaseLost, LostReason, Result};
use etcd_core::machine::{LeaseKey, LeaseState};
use etcd_core::message::{LeaseKeepAlive, LeaseRevoke, LeaseTimeToLive, LeaseTimeToLiveResponse};

use super::revocation::Revocation;
use super::states::loss;
use super::{Keeper, LeaseStates};
use crate::call::CallOptions;
use crate::group::renew_once;
use crate::{Client, exchange};

/// A lease that is kept alive until it is dropped, revoked, detached, or lost.
///
/// Granted by [`Client::lease`], adopted by [`Client::keep_alive`].
///
/// ```no_run
/// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
/// use std::time::Duration;
///
/// let lease = client.lease(Duration::from_secs(10)).await?;
/// client.put("service/a", "10.0.0.1").lease(lease.id()).await?;
/// # let work = std::future::pending::<anyetcd::Result<()>>();
/// tokio::select! {
///     done = work => done?,
///     lost = lease.lost() => return Err(lost.into()), // stop: others may take over from now on
/// }
/// lease.revoke().await // the key goes at once
/// # }
/// ```
///
/// # What is promised
///
/// Whoever holds it learns that it is lost, and why, **before** any server can have given it away: at a deadline that
/// counts from when the last successful renewal was *sent*, and ends one hundredth of the time to live early. The
/// reasons, and what this cannot cover, stand in
/// [`docs/leases.md`](https://github.com/anyetcd/anyetcd/blob/main/docs/leases.md). Until
/// then it survives whatever ends in time: cut connections, silent or failing members, elections, restarts.
///
/// All leases of a client are renewed by one background task, over one connection, every third of their time to live.
///
/// # Dropping it
///
/// A granted lease is revoked in the background: its keys go at once, if a server can be reached, and with its time to
/// live otherwise. That needs the runtime to go on running: at the end of `main`, await [`revoke`](Self::revoke)
/// instead. An adopted lease is only not renewed any more. [`detach`](Self::detach) leaves either to others.
///
/// It keeps its client's connections and runtime in use, so that dropping every [`Client`] does not end it.
pub struct Lease {
    client: Client,
    key: LeaseKey,
    id: i64,
    ttl: Duration,
    revoke_on_drop: bool,
}

impl Lease {
    pub(super) fn new(client: Client, key: LeaseKey, id: i64, ttl: i64, revoke_on_drop: bool) -> Self {
        Self {
            client,
            key,
            id,
            ttl: Duration::from_secs(ttl.try_into().unwrap_or_default()),
            revoke_on_drop,
        }
    }

    /// Its id, for [`Put::lease`](crate::Put::lease) and everything else.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The time to live that the server granted, which may be more than was asked for.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How it stands with the lease now. Never says that it is alive after its deadline.
    #[must_use]
    pub fn state(&self) -> LeaseState {
        Keeper::state(&self.client.shared, self.key).unwrap_or(LeaseState::Lost {
            reason: LostReason::Closed,
        })
    }

    /// Whether the lease is certain to exist.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state().is_held()
    }

    /// Its present state, and then each change.
    pub fn states(&self) -> LeaseStates {
        LeaseStates::new(self.client.shared.clone(), self.key)
    }

    /// Waits until it is lost, and says why. Made for `select!`, beside the work that depends on it.
    ///
    /// Cancel safe.
    pub async fn lost(&self) -> LeaseLost {
        let reason = self.states().lost().await;
        loss(self.id, reason)
    }

    /// Renews it now, whenever its next renewal is due: it has its full time to live when this returns.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LeaseLost`](crate::ErrorKind::LeaseLost) if it is lost, and what ends every [`Call`](crate::Call),
    /// which says nothing yet about the lease.
    pub async fn refresh(&self) -> Result<()> {
        self.check()?;
        let shared = &self.client.shared;
        let request = LeaseKeepAlive::new(self.id);
        let (sent_at, ttl) = match renew_once(shared, &request, &CallOptions::default()).await {
            Ok((answer, sent_at)) => (sent_at, answer.ttl),
            Err(error) if error.etcd() == Some(EtcdError::LeaseNotFound) => (shared.runtime.now(), 0),
            Err(error) => return Err(error),
        };
        Keeper::handle(shared, |keeper, now| {
            keeper.handle_refreshed(now, self.key, sent_at, ttl);
        });
        self.check()
    }

    /// The time that the lease has left by the server's account, in whole seconds, rounded down.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LeaseLost`](crate::ErrorKind::LeaseLost) if the server does not know it, and what ends every
    /// [`Call`](crate::Call).
    pub async fn remaining(&self) -> Result<Duration> {
        let answer = self.ask(LeaseTimeToLive::new(self.id)).await?;
        Ok(Duration::from_secs(answer.ttl.try_into().unwrap_or_default()))
    }

    /// The keys attached to it, in no particular order.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`remaining`](Self::remaining).
    pub async fn keys(&self) -> Result<Vec<Bytes>> {
        let answer = self.ask(LeaseTimeToLive::new(self.id).keys()).await?;
        Ok(answer.keys)
    }

    /// Ends it, with all keys attached to it. Its state is [`LostReason::Revoked`] from the beginning of this call on.
    ///
    /// If it is gone already, so much the better. Dropping the future does not take it back: the lease is revoked in the
    /// background then.
    ///
    /// # Errors
    ///
    /// What ends every [`Call`](crate::Call). The lease is not renewed any more in any case.
    pub async fn revoke(mut self) -> Result<()> {
        let shared = self.client.shared.clone();
        self.revoke_on_drop = true;
        Keeper::handle(&shared, |keeper, now| keeper.handle_revoked(now, self.key));
        let revoked = exchange::unary(&shared, &LeaseRevoke::new(self.id), &CallOptions::default()).await;
        match revoked {
            Err(error) if error.etcd() != Some(EtcdError::LeaseNotFound) => return Err(error),
            _ => self.revoke_on_drop = false,
        }
        Ok(())
    }

    /// Stops renewing it and leaves it to live on: until its time is over, or as long as somebody else renews it.
    /// Returns its id.
    pub fn detach(mut self) -> i64 {
        self.revoke_on_drop = false;
        self.id
    }

    fn check(&self) -> Result<()> {
        match self.state() {
            LeaseState::Lost { reason } => Err(LeaseLost::new(self.id, reason).into()),
            _ => Ok(()),
        }
    }

    async fn ask(&self, request: LeaseTimeToLive) -> Result<LeaseTimeToLiveResponse> {
        let answer = exchange::unary(&self.client.shared, &request, &CallOptions::default()).await?;
        if answer.is_alive() {
            Ok(answer)
        } else {
            Err(LeaseLost::new(self.id, LostReason::NotFound).into())
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let shared = &self.client.shared;
        // In another cluster, the id may be somebody else's.
        let is_gone = matches!(
            self.state().lost(),
            Some(LostReason::NotFound | LostReason::ClusterChanged(_))
        );
        let revocation = Revocation::new(self.id, shared.runtime.now(), self.ttl);
        let is_wanted = self.revoke_on_drop && !is_gone;
        Keeper::remove(shared, self.key, is_wanted.then_some(revocation));
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("id", &self.id)
            .field("ttl", &self.ttl)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
