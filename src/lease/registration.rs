//! Keys that come back when their lease is lost.
//!
//! ```text
//!              await                          the lease is lost
//!  RegistrationCall ────▶ Registered ─────────────────────────────▶ Lost
//!                              ▲                                      │
//!                              └── a new lease, the keys put again ───┘
//!
//!  withdraw, or dropping the Registration: the lease is revoked, and with it the keys go
//!  another cluster in the place of its own: it stays Lost, and its states end
//! ```

use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use etcd_core::error::{Error, ErrorKind, EtcdError, LeaseLost, Result};
use etcd_core::machine::Backoff;
use etcd_core::message::{Compare, LeaseRevoke, Put, Txn, TxnOp, TxnOpResponse, TxnResponse};
use etcd_core::runtime::BoxFuture;
use etcd_core::transport::{Delivery, TransportError, TransportErrorKind};
use futures_channel::oneshot;
use futures_core::Stream;
use futures_util::future::{Either, join, join_all, select};

use super::{Lease, LeaseCall};
use crate::call::CallOptions;
use crate::exchange;
use crate::latest::{Latest, Reader};

/// Keys under a lease of their own, and under a new one whenever that is lost; put when this is awaited. Made by
/// [`LeaseCall::register`].
///
/// ```no_run
/// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
/// use std::time::Duration;
/// use anyetcd::Put;
///
/// let registration = client
///     .lease(Duration::from_secs(10))
///     .register([Put::new("services/api/1", "10.0.0.1:8080")])
///     .await?;
/// // serve ...
/// registration.withdraw().await
/// # }
/// ```
///
/// # Errors
///
/// As [`LeaseCall`], and as the transaction that puts the keys.
///
/// # Cancel safety
///
/// Dropping the future revokes the lease in the background; with an id of your own under the conditions of [`LeaseCall`].
#[must_use = "nothing is registered until this is awaited"]
#[derive(Clone)]
pub struct RegistrationCall {
    lease: LeaseCall,
    puts: Vec<Put>,
}

/// Keys that are there as long as this is, whatever becomes of their lease.
///
/// For a key that tells of its owner and that nobody else writes: the address of a service. Not for one that several
/// compete for: between the loss of the lease and the return of the key, another may have been elected.
///
/// The first time, each key is put whoever has put it before. When the lease is lost, a new one is granted as soon as a
/// server can be reached, and each key is put again **unless somebody else has put it meanwhile**;
/// [`RegistrationState::Registered`] tells which ones those are. The application
/// is told all the while ([`states`](Self::states)).
///
/// Dropping it revokes the lease in the background, as dropping a [`Lease`] does.
pub struct Registration {
    state: Arc<Latest<RegistrationState>>,
    withdraw: oneshot::Sender<oneshot::Sender<Result<()>>>,
}

/// How it stands with a [`Registration`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RegistrationState {
    /// The keys are there.
    Registered {
        /// The lease they are attached to.
        lease: i64,
        /// Those that were not put again, because somebody else had put them meanwhile.
        taken: Vec<Bytes>,
    },
    /// The lease is lost. The keys are gone, or will go; they are being put again under a new lease.
    Lost {
        /// Which lease, and why.
        lost: LeaseLost,
        /// What kept the last attempt to register again from succeeding.
        cause: Option<Arc<Error>>,
    },
}

impl RegistrationCall {
    pub(super) fn new(lease: LeaseCall, puts: Vec<Put>) -> Self {
        Self { lease, puts }
    }

    async fn register(self) -> Result<Registration> {
        let client = self.lease.client().clone();
        let lease = self.lease.clone().await?;
        let puts = self.puts.iter().map(|put| put.clone().lease(lease.id()));
        client.txn(Txn::new().then(puts)).await?;
        let state = Arc::new(Latest::new(RegistrationState::Registered {
            lease: lease.id(),
            taken: Vec::new(),
        }));
        let (withdraw, withdrawn) = oneshot::channel();
        let keeping = Registered {
            call: self,
            state: state.clone(),
        };
        let runtime = &client.shared.runtime;
        runtime.spawn(Box::pin(keeping.keep(lease, withdrawn)));
        Ok(Registration { state, withdraw })
    }
}

impl IntoFuture for RegistrationCall {
    type Output = Result<Registration>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.register())
    }
}

impl Registration {
    /// How it stands now.
    #[must_use]
    pub fn state(&self) -> RegistrationState {
        self.state.get()
    }

    /// The present state, and then each change.
    pub fn states(&self) -> RegistrationStates {
        RegistrationStates {
            reader: self.state.reader(),
            state: self.state.clone(),
        }
    }

    /// Ends it: revokes the lease, and with it the keys go. A lost one as well, which servers may have for a while: the
    /// keys are gone when this returns.
    ///
    /// Dropping the future does not take it back.
    ///
    /// # Errors
    ///
    /// As [`Lease::revoke`]; [`TransportErrorKind::Shutdown`] if the runtime of the client has shut down, and nobody is left who
    /// could withdraw anything. The keys go in their time then, as after [`ClusterChanged`](etcd_core::error::ClusterChanged).
    pub async fn withdraw(self) -> Result<()> {
        let (done, result) = oneshot::channel();
        let _ = self.withdraw.send(done);
        let shutdown = |_| Err(TransportError::new(TransportErrorKind::Shutdown, Delivery::MaybeSent).into());
        result.await.unwrap_or_else(shutdown)
    }
}

/// The states of a [`Registration`]: the present one, and then each change. Only the latest one counts.
#[must_use = "a stream does nothing unless it is polled"]
pub struct RegistrationStates {
    state: Arc<Latest<RegistrationState>>,
    reader: Reader,
}

impl RegistrationStates {
    /// The next state; `None` after the end of the registration: it was withdrawn or dropped, or another cluster has taken
    /// the place of its own, which the last state tells.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<RegistrationState> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for RegistrationStates {
    type Item = RegistrationState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RegistrationState>> {
        let this = &mut *self;
        this.state.poll(&mut this.reader, cx)
    }
}

impl Drop for RegistrationStates {
    fn drop(&mut self) {
        self.state.forget(&self.reader);
    }
}

/// What the task of a registration knows.
struct Registered {
    call: RegistrationCall,
    state: Arc<Latest<RegistrationState>>,
}

impl Registered {
    async fn keep(self, lease: Lease, mut withdrawn: oneshot::Receiver<oneshot::Sender<Result<()>>>) {
        let mut lease = Some(lease);
        let mut tried = Vec::new();
        let ended = match select(pin!(self.keep_on(&mut lease, &mut tried)), &mut withdrawn).await {
            Either::Left((result, _)) => Either::Left(result),
            Either::Right((done, _)) => Either::Right(done),
        };
        match ended {
            // Another cluster; nothing helps but a new client.
            Either::Left(result) => {
                // Whoever follows its states learns that there will be no other.
                drop(self);
                if let Ok(done) = withdrawn.await {
                    let _ = done.send(result);
                }
            }
            Either::Right(Ok(done)) => {
                let _ = done.send(self.revoke(lease, tried).await);
            }
            // It was dropped, and so is its lease.
            Either::Right(Err(_)) => {}
        }
    }

    /// Revokes all leases that the keys may be under: servers may have a lost one for a while.
    async fn revoke(&self, held: Option<Lease>, tried: Vec<i64>) -> Result<()> {
        let shared = &self.call.lease.client().shared;
        let revocations = tried.into_iter().map(|id| async move {
            exchange::unary(shared, &LeaseRevoke::new(id), &CallOptions::default()).await
        });
        let held = async {
            match held {
                Some(lease) => lease.revoke().await,
                None => Ok(()),
            }
        };
        let (held, tried) = join(held, join_all(revocations)).await;
        for revoked in tried {
            match revoked {
                Err(error) if error.etcd() != Some(EtcdError::LeaseNotFound) => return Err(error),
                _ => {}
            }
        }
        held
    }

    /// `held` has the lease that the keys are under at any time. While they are put again, they may also be under one of
    /// those in `tried`. Fails with what keeps them from being put again, ever.
    async fn keep_on(&self, held: &mut Option<Lease>, tried: &mut Vec<i64>) -> Result<()> {
        while let Some(lease) = &*held {
            let lost = lease.lost().await;
            tried.push(lease.id());
            self.tell_loss(&lost, None);
            // Revoked, in case the servers still have it: then others see the keys go as well.
            *held = None;
            let mut backoff = Backoff::default();
            loop {
                match self.register_again(held, tried).await {
                    Ok(taken) => {
                        tried.clear();
                        let lease = held.as_ref().map(Lease::id).unwrap_or_default();
                        self.state.set(RegistrationState::Registered { lease, taken });
                        break;
                    }
                    Err(error) => {
                        self.tell_loss(&lost, Some(error.clone()));
                        if matches!(error.kind(), ErrorKind::ClusterChanged(_)) {
                            *held = None;
                            return Err(error);
                        }
                    }
                }
                let runtime = &self.call.lease.client().shared.runtime;
                let pause = backoff.next_pause(runtime.entropy());
                runtime.sleep_until(runtime.now() + pause).await;
            }
        }
        Ok(())
    }

    /// Returns the keys that are somebody else's.
    async fn register_again(&self, held: &mut Option<Lease>, tried: &mut Vec<i64>) -> Result<Vec<Bytes>> {
        if held.as_ref().is_none_or(|lease| !lease.is_held()) {
            // The keys may have been put under it, and the answer lost.
            tried.extend(held.as_ref().map(Lease::id));
            let limits = &self.call.lease.client().shared.settings.limits;
            forget_oldest(tried, self.call.puts.len(), limits.max_txn_ops);
            // Not under the id of the old one, whose revocation may be under way.
            *held = Some(self.call.lease.clone().any_id().await?);
        }
        let new = held.as_ref().map(Lease::id).unwrap_or_default();
        let puts = self.call.puts.iter().map(|put| put_again(put, tried, new));
        let client = self.call.lease.client();
        let response = client.txn(Txn::new().then(puts)).await?;
        let answers = response.responses.iter().zip(&self.call.puts);
        Ok(answers
            .filter(|(answer, _)| is_taken(answer.as_txn()))
            .map(|(_, put)| put.key.clone())
            .collect())
    }

    fn tell_loss(&self, lost: &LeaseLost, cause: Option<Error>) {
        self.state.set(RegistrationState::Lost {
            lost: lost.clone(),
            cause: cause.map(Arc::new),
        });
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.state.close();
    }
}

/// How many leases are remembered under which the keys may still be, at most: the time of all others is long over.
const MAX_TRIED: usize = 64;

/// Forgets so many leases that there is room for the others in the transaction that puts `keys` again: servers count the
/// operations, and on top of them the conditions on one of the keys, and what is done if they hold.
fn forget_oldest(tried: &mut Vec<i64>, keys: usize, max_txn_ops: usize) {
    let most = MAX_TRIED.min(max_txn_ops.saturating_sub(keys + 2)).max(1);
    let forgotten = tried.len().saturating_sub(most);
    tried.drain(..forgotten);
}

/// Puts a key if it does not exist, or is still under one of the old leases. That it is under the new one already is the
/// work of an attempt whose answer was lost.
fn put_again(put: &Put, old: &[i64], new: i64) -> TxnOp {
    let exists = Compare::version(&put.key).gt(0);
    let is_not_old = old.iter().map(|old| Compare::lease(&put.key).ne(*old));
    let is_new = Txn::when([Compare::lease(&put.key).eq(new)]);
    let is_not_ours = Txn::when(std::iter::once(exists).chain(is_not_old));
    TxnOp::Txn(
        is_not_ours
            .then([TxnOp::Txn(is_new)])
            .otherwise([put.clone().lease(new)]),
    )
}

/// Whether the key is there and under none of our leases.
fn is_taken(answer: Option<&TxnResponse>) -> bool {
    answer.is_none_or(|answer| {
        let is_new = answer.responses.first().and_then(TxnOpResponse::as_txn);
        answer.succeeded && is_new.is_none_or(|txn| !txn.succeeded)
    })
}

impl fmt::Debug for RegistrationCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationCall")
            .field("lease", &self.lease)
            .field("puts", &self.puts.len())
            .finish()
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RegistrationStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationStates").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use etcd_core::rpc::{Limits, Request};

    use super::*;

    #[test]
    fn however_many_leases_were_lost_servers_take_the_conditions() {
        for (keys, max_txn_ops) in [(1, 4), (7, 10), (1, 128), (100, 128), (125, 128)] {
            let mut limits = Limits::default();
            limits.max_txn_ops = max_txn_ops;
            let mut tried: Vec<i64> = (1..=200).collect();
            forget_oldest(&mut tried, keys, max_txn_ops);
            assert!(tried.ends_with(&[200]), "the newest are left");
            let puts = (0..keys).map(|key| put_again(&Put::new(format!("k{key}"), "v"), &tried, 201));
            Txn::new().then(puts).validate(&limits).unwrap();
        }
    }
}
