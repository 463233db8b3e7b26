//! The client.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcd_core::endpoint::Endpoint;
use etcd_core::error::{ErrorKind, InvalidArgument, Result};
use etcd_core::key::{IntoBytes, KeyRange};
use etcd_core::machine::{ClusterGuard, EndpointRing, Session};
use etcd_core::message::{Compact, Delete, Get, KeyValue, Put, Status, Txn};
use etcd_core::rpc::Request;
use etcd_core::runtime::Runtime;
use etcd_core::transport::Transport;

use crate::Call;
use crate::builder::{ClientBuilder, Settings};
use crate::deadlines::Deadlines;
use crate::group::{Auth, Cluster, Elections, Leases, Locks, Maintenance};
use crate::lease::{KeepAliveCall, Keeper, LeaseCall};
use crate::login::Refusals;
use crate::observe::{MirrorCall, ObserveCall};
use crate::watch::{Connections, WatchCall};

/// A connection to an etcd cluster, over whichever runtime and transport it was built with.
///
/// Cheap to clone, and to share: all methods take `&self`, and clones share connections, login and the choice
/// of endpoint. Dropping the last clone closes the connections.
///
/// ```no_run
/// # async fn example() -> anyetcd::Result<()> {
/// let client = anyetcd::Client::connect(["http://10.0.0.1:2379", "http://10.0.0.2:2379"]).await?;
/// client.put("greeting", "hello").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

/// What all clones of a client share.
pub(crate) struct Shared {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) settings: Settings,
    pub(crate) ring: Mutex<EndpointRing>,
    pub(crate) session: Mutex<Session>,
    pub(crate) guard: Mutex<ClusterGuard>,
    pub(crate) deadlines: Deadlines,
    pub(crate) keeper: Keeper,
    /// Held while one call logs in for all.
    pub(crate) login: futures_util::lock::Mutex<()>,
    pub(crate) refusals: Mutex<Refusals>,
    pub(crate) watches: Connections,
}

impl Client {
    /// Connects to the first of `endpoints` that answers, over the runtime this is called in.
    ///
    /// The runtime is Tokio's or async-std's if one of them runs here and its feature is on; otherwise smol's,
    /// or async-std's, which run anywhere. [`Client::builder`] names one, and sets everything else.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`] if an endpoint cannot be used or no runtime is found, and whatever keeps the last
    /// endpoint from answering within [`DEFAULT_TIMEOUT`](crate::DEFAULT_TIMEOUT).
    pub async fn connect<E>(endpoints: impl IntoIterator<Item = E>) -> Result<Self>
    where
        E: TryInto<Endpoint>,
        E::Error: Into<InvalidArgument>,
    {
        Self::builder().endpoints(endpoints).connect().await
    }

    /// A client of a new, empty etcd in this process, over the runtime this is called in: for unit tests, and for
    /// trying things out. Nothing is installed, no socket opened; the etcd goes with its last client.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// let client = anyetcd::Client::embedded()?;
    /// client.put("key", "value").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`embedded::start`](crate::embedded::start) makes one with other settings, and one that several clients share.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument::NoRuntime`] if no runtime is found.
    #[cfg(feature = "embedded")]
    pub fn embedded() -> Result<Self> {
        let server = crate::embedded::start(etcd_embedded::Config::new())?;
        Self::builder().embedded(&server).build()
    }

    /// Sets how the client is to be before making it.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Writes a key.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// # let client = anyetcd::Client::embedded()?;
    /// client.put("config/mode", "slow").await?;
    /// let before = client.put("config/mode", "fast").prev_kv().await?.prev_kv;
    /// assert_eq!(before.unwrap().value, "slow");
    /// # Ok(())
    /// # }
    /// ```
    pub fn put(&self, key: impl IntoBytes, value: impl IntoBytes) -> Call<Put> {
        self.call(Put::new(key, value))
    }

    /// Reads one key or a range of them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// # let client = anyetcd::Client::embedded()?;
    /// use anyetcd::prefix;
    ///
    /// client.put("config/mode", "fast").await?;
    /// let mode = client.get("config/mode").await?;
    /// assert_eq!(mode.first().unwrap().value, "fast");
    /// let count = client.get(prefix("config/")).count_only().await?.count;
    /// assert_eq!(count, 1);
    /// let newer = client.get("a".."c").serializable().min_mod_revision(100).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// For more than fits into one answer see [`Call::pages`].
    pub fn get(&self, keys: impl Into<KeyRange>) -> Call<Get> {
        self.call(Get::new(keys))
    }

    /// Deletes one key or a range of them.
    pub fn delete(&self, keys: impl Into<KeyRange>) -> Call<Delete> {
        self.call(Delete::new(keys))
    }

    /// Applies several operations as one, if its conditions hold; see [`Txn`].
    ///
    /// etcd 3.5.1 was seen to panic when the caller of a transaction that only reads goes away while it runs
    /// (etcd's issue 14110, mended in later servers): do not drop one there, nor let it time out.
    pub fn txn(&self, txn: Txn) -> Call<Txn> {
        self.call(txn)
    }

    /// Drops history before `revision`.
    pub fn compact(&self, revision: i64) -> Call<Compact> {
        self.call(Compact::new(revision))
    }

    /// Watches one key or a range of them: what happens to them from now on, as it happens.
    ///
    /// ```no_run
    /// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
    /// let mut watch = client.watch(anyetcd::prefix("config/")).await?;
    /// while let Some(batch) = watch.try_next().await? {
    ///     for event in batch.events() {
    ///         println!("{event:?}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What it promises, and when it ends, stands at [`Watch`](crate::Watch).
    pub fn watch(&self, keys: impl Into<KeyRange>) -> WatchCall {
        WatchCall::new(self.clone(), keys.into())
    }

    /// Reads a range and then follows it, whatever happens, compaction included: a snapshot, then changes.
    ///
    /// ```no_run
    /// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
    /// use anyetcd::{Observed, prefix};
    ///
    /// let mut observe = client.observe(prefix("config/")).await?;
    /// while let Some(observed) = observe.try_next().await? {
    ///     match observed {
    ///         Observed::Snapshot { kvs, .. } => println!("{} keys", kvs.len()),
    ///         Observed::Changes { events, .. } => println!("{events:?}"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn observe(&self, keys: impl Into<KeyRange>) -> ObserveCall {
        ObserveCall::new(self.clone(), keys.into())
    }

    /// Keeps a copy of a range in memory that follows the servers: reads from it cost no call.
    ///
    /// ```no_run
    /// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
    /// use anyetcd::prefix;
    ///
    /// let config = client.mirror(prefix("config/")).await?;
    /// println!("{:?} of {} keys", config.get("config/mode"), config.len());
    /// let written = client.put("config/mode", "safe").await?.header.revision;
    /// config.wait_for(written).await?; // now it is seen here as well
    /// # Ok(())
    /// # }
    /// ```
    pub fn mirror(&self, keys: impl Into<KeyRange>) -> MirrorCall<KeyValue> {
        MirrorCall::new(self.clone(), keys.into())
    }

    /// Any request of [`message`](crate::message) whose answer is one message.
    pub fn call<R: Request>(&self, request: R) -> Call<R> {
        Call::new(self.clone(), request)
    }

    /// Grants a lease of `ttl`, at least a second, and keeps it alive until it is dropped.
    ///
    /// ```no_run
    /// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
    /// use std::time::Duration;
    ///
    /// let lease = client.lease(Duration::from_secs(10)).await?;
    /// client.put("service/a", "10.0.0.1").lease(lease.id()).await?;
    /// lease.revoke().await?; // and the key is gone
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// For the bare calls of etcd's lease service see [`leases`](Self::leases).
    pub fn lease(&self, ttl: Duration) -> LeaseCall {
        LeaseCall::new(self.clone(), ttl)
    }

    /// Keeps a lease alive that was granted elsewhere. Dropping it leaves the lease to live on for its time.
    pub fn keep_alive(&self, lease_id: i64) -> KeepAliveCall {
        KeepAliveCall::new(self.clone(), lease_id)
    }

    /// The calls of etcd's lease service, one by one.
    #[must_use]
    pub fn leases(&self) -> Leases<'_> {
        Leases::new(self)
    }

    /// Locks, as the server offers them.
    #[must_use]
    pub fn locks(&self) -> Locks<'_> {
        Locks::new(self)
    }

    /// Elections: to run for one, and to follow who leads.
    #[must_use]
    pub fn elections(&self) -> Elections<'_> {
        Elections::new(self)
    }

    /// Users, roles, and permissions.
    #[must_use]
    pub fn auth(&self) -> Auth<'_> {
        Auth::new(self)
    }

    /// Members of the cluster.
    #[must_use]
    pub fn cluster(&self) -> Cluster<'_> {
        Cluster::new(self)
    }

    /// Status, alarms, databases.
    #[must_use]
    pub fn maintenance(&self) -> Maintenance<'_> {
        Maintenance::new(self)
    }

    /// The endpoints, in the order given.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        lock(&self.shared.ring).endpoints().to_vec()
    }

    /// The endpoint in use: calls go there until it fails.
    #[must_use]
    pub fn current_endpoint(&self) -> Endpoint {
        lock(&self.shared.ring).current().clone()
    }

    /// The id of the cluster that answered first; `None` before that.
    ///
    /// Every later answer is compared with it. One from another cluster, or one that shows an older state than an
    /// earlier answer did, ends its call with [`ErrorKind::ClusterChanged`].
    #[must_use]
    pub fn cluster_id(&self) -> Option<u64> {
        Some(lock(&self.shared.guard).cluster_id()).filter(|id| *id != 0)
    }

    /// Waits until some endpoint answers. A refusal is an answer.
    pub(crate) async fn answer(&self) -> Result<()> {
        match self.call(Status::default()).await {
            Err(error)
                if !matches!(error.kind(), ErrorKind::Server(_)) || error.rpc() != Some(Status::RPC.name) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoints", &self.endpoints())
            .field("transport", &self.shared.transport)
            .field("runtime", &self.shared.runtime)
            .finish_non_exhaustive()
    }
}

/// Locks, whatever became of a thread that held it: each critical section here leaves the data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
