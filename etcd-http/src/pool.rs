//! Kept-alive connections to each endpoint, and the places that requests wait for.
//!
//! A request takes a *place*, then an idle connection or a new one. A place is given back after its connection, so
//! that the next in line finds it. Since a new connection is opened only where none is idle, places bound the
//! connections in use and at rest together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use etcd_core::runtime::{Runtime, later};
use etcd_core::transport::TransportError;
use http::HeaderValue;
use http::uri::Authority;
use hyper::rt::{Read, Write};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::PoolConfig;
use crate::connection::Connection;
use crate::request::check_authority;

/// The port of the scheme `http`.
const HTTP_PORT: u16 = 80;

/// All endpoints that were asked for.
pub(crate) struct Pool<I: Read + Write + Unpin + 'static> {
    config: PoolConfig,
    runtime: Arc<dyn Runtime>,
    /// A few, so that looking through them is faster than hashing.
    endpoints: Mutex<Vec<(Authority, Arc<Endpoint<I>>)>>,
}

impl<I: Read + Write + Unpin + Send + 'static> Pool<I> {
    pub(crate) fn new(config: PoolConfig, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            config,
            runtime,
            endpoints: Mutex::default(),
        }
    }

    /// The endpoint at `authority`.
    ///
    /// # Errors
    ///
    /// If that is no address to connect to.
    pub(crate) fn endpoint(&self, authority: &Authority) -> Result<Arc<Endpoint<I>>, TransportError> {
        let mut endpoints = lock(&self.endpoints);
        if let Some((_, endpoint)) = endpoints.iter().find(|(known, _)| known == authority) {
            return Ok(endpoint.clone());
        }
        check_authority(authority)?;
        // A cluster's members come and go: forget those that nobody uses.
        endpoints
            .retain(|(_, endpoint)| Arc::strong_count(endpoint) > 1 || !lock(&endpoint.rest).idle.is_empty());
        let endpoint = Arc::new(Endpoint::new(
            authority,
            self.config.clone(),
            self.runtime.clone(),
        ));
        endpoints.push((authority.clone(), endpoint.clone()));
        Ok(endpoint)
    }
}

/// One `host:port` with its connections.
pub(crate) struct Endpoint<I: Read + Write + Unpin + 'static> {
    /// A name or an IP address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of the `Host` header.
    pub(crate) host_header: HeaderValue,
    config: PoolConfig,
    runtime: Arc<dyn Runtime>,
    places: Arc<Semaphore>,
    rest: Mutex<Rest<I>>,
}

/// Connections at rest.
struct Rest<I: Read + Write + Unpin + 'static> {
    /// The one used last is at the end, and used next: those that a burst left over grow old at the front.
    idle: Vec<Idle<I>>,
    /// Whether the task that closes old ones is running.
    swept: bool,
}

struct Idle<I: Read + Write + Unpin + 'static> {
    connection: Connection<I>,
    since: Instant,
}

/// The right to use a connection of an endpoint.
pub(crate) struct Place<I: Read + Write + Unpin + 'static> {
    endpoint: Arc<Endpoint<I>>,
    _permit: OwnedSemaphorePermit,
}

impl<I: Read + Write + Unpin + Send + 'static> Endpoint<I> {
    fn new(authority: &Authority, config: PoolConfig, runtime: Arc<dyn Runtime>) -> Self {
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Self {
            host: bare.unwrap_or(host).to_owned(),
            port: authority.port_u16().unwrap_or(HTTP_PORT),
            host_header: HeaderValue::from_bytes(authority.as_str().as_bytes())
                .expect("an authority holds no control characters"),
            places: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
            config,
            runtime,
            rest: Mutex::new(Rest {
                idle: Vec::new(),
                swept: false,
            }),
        }
    }

    /// Waits for a place. Whoever came first gets the first; a dropped future leaves the queue.
    pub(crate) async fn place(self: Arc<Self>) -> Place<I> {
        let permit = self.places.clone().acquire_owned().await;
        Place {
            endpoint: self,
            _permit: permit.expect("nothing closes the semaphore"),
        }
    }

    /// An idle connection, the freshest. It may turn out to have been closed by the peer.
    pub(crate) fn take_idle(&self) -> Option<Connection<I>> {
        let now = self.runtime.now();
        let mut rest = lock(&self.rest);
        let youngest = rest.idle.pop()?;
        if self.is_old(&youngest, now) {
            // All others are older still.
            let expired = std::mem::take(&mut rest.idle);
            drop(rest);
            drop((youngest, expired));
            return None;
        }
        Some(youngest.connection)
    }

    fn park(self: &Arc<Self>, connection: Connection<I>) {
        connection.rest();
        let since = self.runtime.now();
        let mut rest = lock(&self.rest);
        if rest.idle.len() >= self.config.max_idle {
            drop(rest);
            return;
        }
        rest.idle.push(Idle { connection, since });
        if !rest.swept {
            rest.swept = true;
            drop(rest);
            let first = self.grows_old(since);
            self.runtime.spawn(Box::pin(sweep(Arc::downgrade(self), first)));
        }
    }

    /// Closes what is old or dead, and says when to look again, if ever.
    fn sweep(&self) -> Option<Instant> {
        let now = self.runtime.now();
        let mut closed = Vec::new();
        let mut rest = lock(&self.rest);
        let mut index = 0;
        while index < rest.idle.len() {
            let idle = &mut rest.idle[index];
            idle.connection.check();
            if self.is_old(idle, now) || !idle.connection.is_idle() {
                closed.push(rest.idle.remove(index));
            } else {
                index += 1;
            }
        }
        let next = rest.idle.first().map(|oldest| self.grows_old(oldest.since));
        rest.swept = next.is_some();
        drop(rest);
        next
    }

    fn grows_old(&self, since: Instant) -> Instant {
        later(since, self.config.idle_time)
    }

    fn is_old(&self, idle: &Idle<I>, now: Instant) -> bool {
        now.saturating_duration_since(idle.since) >= self.config.idle_time
    }
}

/// Closes idle connections as they grow old, until there are none.
///
/// It holds on to nothing while it sleeps: not to the endpoint, nor to a runtime that might own this very task.
async fn sweep<I: Read + Write + Unpin + Send + 'static>(endpoint: Weak<Endpoint<I>>, first: Instant) {
    let mut next = Some(first);
    while let Some(deadline) = next {
        let Some(sleep) = endpoint
            .upgrade()
            .map(|endpoint| endpoint.runtime.sleep_until(deadline))
        else {
            return;
        };
        sleep.await;
        next = endpoint.upgrade().and_then(|endpoint| endpoint.sweep());
    }
}

impl<I: Read + Write + Unpin + Send + 'static> Place<I> {
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint<I>> {
        &self.endpoint
    }

    /// Leaves `connection`, which must be idle, to the next request, and gives up the place.
    pub(crate) fn park(self, connection: Connection<I>) {
        self.endpoint.park(connection);
    }
}

/// A panic elsewhere cannot have left the state half-changed: nothing that can panic runs under the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
