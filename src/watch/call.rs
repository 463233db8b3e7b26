use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_core::error::{ClusterChanged, Error, InvalidArgument, Result, Retry, Timeout, TimeoutPhase};
use etcd_core::key::KeyRange;
use etcd_core::machine::{BatchBuffer, BufferLimits, BufferPolicy, ResumeToken, WatchOrigin};
use etcd_core::message::{self, WatchCreate, WatchFilter};
use etcd_core::rpc::Request;
use etcd_core::runtime::{BoxFuture, later};
use futures_util::future::try_join_all;

use super::connection::Connection;
use super::members::{Added, MemberId, Members};
use super::{Watch, WatchStatus};
use crate::Client;
use crate::client::{Shared, lock};
use crate::exchange::race;

/// A watch that begins when it is awaited. Made by [`Client::watch`].
///
/// It is there, and misses nothing from then on, once awaiting it returns. The options hold for all ranges that are
/// [added](super::WatchHandle::add) later.
///
/// # Errors
///
/// [`InvalidArgument`] before anything is sent, what the server refuses it for, or what keeps it from being created by
/// the deadline.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind on the server.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyetcd::Result<()> {
/// # let client = anyetcd::Client::embedded()?;
/// use anyetcd::{BufferLimits, BufferPolicy, WatchFilter};
///
/// # let stored = client.watch(anyetcd::prefix("jobs/")).await?.resume_token().to_string();
/// let mut watch = client
///     .watch(anyetcd::prefix("jobs/"))
///     .resume(stored.parse()?) // where an earlier process got to
///     .filter(WatchFilter::NoDelete)
///     .prev_kv()
///     .buffer(BufferPolicy::Coalesce) // if events come faster than they are taken, only the last of each key
///     .buffer_limits(BufferLimits { events: 1000, bytes: 1 << 20 })
///     .await?;
/// # client.put("jobs/1", "todo").await?;
/// if let Some(batch) = watch.try_next().await? {
///     println!("{} events up to revision {}", batch.events().len(), batch.revision());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a watch begins when it is awaited"]
#[derive(Clone)]
pub struct WatchCall {
    client: Client,
    ranges: Vec<KeyRange>,
    start: Start,
    options: Options,
}

/// Where a watch starts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// After whatever was written when it was asked for.
    Now,
    Revision(i64),
    Token(ResumeToken),
}

/// What all ranges of a watch have in common.
#[derive(Clone, Debug)]
pub(super) struct Options {
    create: WatchCreate,
    policy: BufferPolicy,
    limits: BufferLimits,
    timeout: Option<Duration>,
}

impl WatchCall {
    pub(crate) fn new(client: Client, keys: KeyRange) -> Self {
        Self {
            client,
            ranges: vec![keys],
            start: Start::Now,
            options: Options {
                create: WatchCreate::default(),
                policy: BufferPolicy::default(),
                limits: BufferLimits::default(),
                timeout: None,
            },
        }
    }

    /// Watches these keys as well, from the same revision: a range of its own, as [`Watch`] says, on the same connection.
    pub fn and(mut self, keys: impl Into<KeyRange>) -> Self {
        self.ranges.push(keys.into());
        self
    }

    /// Starts with the events of `revision`, in the past or in the future. Default: with what is written after the call.
    ///
    /// A past that is compacted ends the watch with [`WatchError::Compacted`](crate::error::WatchError::Compacted).
    pub fn start_revision(mut self, revision: i64) -> Self {
        self.start = Start::Revision(revision);
        self
    }

    /// Starts where an earlier watch, perhaps of another process, has got to.
    ///
    /// The cluster has to be the one the token is from, and must not have lost what the earlier watch saw; otherwise
    /// this fails with [`ErrorKind::ClusterChanged`](crate::ErrorKind::ClusterChanged).
    pub fn resume(mut self, token: ResumeToken) -> Self {
        self.start = Start::Token(token);
        self
    }

    /// Asks for the pair as it was before each event. Where history no longer has it, there is none.
    pub fn prev_kv(mut self) -> Self {
        self.options.create = self.options.create.prev_kv();
        self
    }

    /// Leaves events out, of one kind or of the other.
    pub fn filter(mut self, filter: WatchFilter) -> Self {
        self.options.create = self.options.create.filter(filter);
        self
    }

    /// Has the server say how far it has got when there is nothing else to say, every ten minutes by default
    /// (`--experimental-watch-progress-notify-interval`), and yields that as batches without events.
    ///
    /// Without it, too, [`Watch::position`] moves on whenever the server lets one know.
    pub fn progress_notify(mut self) -> Self {
        self.options.create = self.options.create.progress_notify();
        self
    }

    /// Has the server split messages larger than its limit on requests, 1.5 MiB by default.
    ///
    /// Batches stay whole. A server takes quadratic time to split a large message: leave it off unless something on the
    /// way refuses large ones.
    pub fn fragment(mut self) -> Self {
        self.options.create = self.options.create.fragment();
        self
    }

    /// What happens when events are not taken as fast as they come. Default [`BufferPolicy::Wait`].
    pub fn buffer(mut self, policy: BufferPolicy) -> Self {
        self.options.policy = policy;
        self
    }

    /// How much may lie unread, of each range. Default 65,536 events and 16 MiB of them; one batch is always taken,
    /// whatever its size.
    pub fn buffer_limits(mut self, limits: BufferLimits) -> Self {
        self.options.limits = limits;
        self
    }

    /// How long it may take until the watch is there. Default: as calls of the client.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }
}

impl Options {
    /// How long it may take until a range is watched.
    fn timeout_of(&self, shared: &Shared) -> Duration {
        self.timeout.unwrap_or(shared.settings.timeout)
    }

    /// What creates a watch over `keys`, but for where it starts.
    fn create_for(&self, keys: &KeyRange) -> WatchCreate {
        let mut create = self.create.clone();
        (create.key, create.range_end) = keys.clone().into_parts();
        create
    }
}

impl IntoFuture for WatchCall {
    type Output = Result<Watch>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let wants_progress = self.options.create.progress_notify;
            let watch = Watch::new(self.client, Arc::new(self.options), wants_progress);
            watch.join(self.ranges, self.start).await?;
            Ok(watch)
        })
    }
}

impl fmt::Debug for WatchCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchCall")
            .field("ranges", &self.ranges)
            .field("start", &self.start)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Adds ranges to a watch, all from the same revision; returns once the server watches them. An error names its range.
///
/// Cancel safe: dropped, it leaves nothing behind.
pub(super) async fn join(
    client: &Client,
    members: &Arc<Members>,
    options: &Options,
    ranges: Vec<KeyRange>,
    start: Start,
) -> Result<()> {
    let shared = &client.shared;
    let timeout = options.timeout_of(shared);
    let deadline = later(shared.runtime.now(), timeout);
    for keys in &ranges {
        let create = message::Watch::from(options.create_for(keys));
        let valid = create.validate(&shared.settings.limits);
        valid.map_err(|error| Error::from(error).with_keys(keys.clone()))?;
    }
    let Some(first) = ranges.first() else {
        return Ok(());
    };
    let found = find_start(client, first, start, timeout).await;
    let from = found.map_err(|error| error.with_keys(first.clone()))?;
    let joining = ranges.into_iter().map(|keys| async move {
        let joined = join_one(client, members, options, &keys, from, deadline).await;
        joined.map_err(|error| error.with_keys(keys))
    });
    try_join_all(joining).await.map(drop)
}

async fn join_one(
    client: &Client,
    members: &Arc<Members>,
    options: &Options,
    keys: &KeyRange,
    (revision, origin): (i64, WatchOrigin),
    deadline: Instant,
) -> Result<()> {
    let shared = &client.shared;
    let not_in_time = || not_in_time(members, options.timeout_of(shared));
    let member = loop {
        let buffer = BatchBuffer::new(options.policy, options.limits);
        let other = match members.add(keys, (revision, origin), buffer)? {
            Added::New(member) => break member,
            Added::Present => return Ok(()),
            Added::Joining(other) => other,
        };
        let settled = pin!(poll_fn(|cx| members.poll_settled(other, cx)));
        let settled = race(settled, pin!(shared.deadlines.reached(deadline))).await;
        settled.ok_or_else(not_in_time)?;
    };
    let mut joining = Joining {
        members,
        member: Some(member),
    };
    let create = options.create_for(keys).start_revision(revision);
    Connection::create(shared, members, member, create, origin);

    let created = pin!(poll_fn(|cx| members.poll_created(member, cx)));
    let created = race(created, pin!(shared.deadlines.reached(deadline))).await;
    created.ok_or_else(not_in_time)??;
    joining.member = None;
    Ok(())
}

/// The first revision a watch is told of, and where that is from.
async fn find_start(
    client: &Client,
    keys: &KeyRange,
    start: Start,
    timeout: Duration,
) -> Result<(i64, WatchOrigin)> {
    let token = match start {
        Start::Revision(given @ ..=0) => {
            let what = "the start revision";
            return Err(InvalidArgument::NotPositive { what, given }.into());
        }
        Start::Revision(revision) => return Ok((revision, WatchOrigin::Given)),
        Start::Now => None,
        Start::Token(token) => Some(token),
    };
    // One key, because to read a range is to count it, and because whoever may watch a range may read its first key.
    let first = KeyRange::single(keys.key());
    let header = client.get(first).keys_only().timeout(timeout).await?.header;
    let Some(token) = token else {
        return Ok((header.revision.max(0).saturating_add(1), WatchOrigin::Read));
    };
    let (expected, actual) = (token.cluster_id(), header.cluster_id);
    if expected != 0 && actual != 0 && expected != actual {
        return Err(ClusterChanged::ClusterId { expected, actual }.into());
    }
    if !token.is_reached() {
        return Ok((token.revision(), WatchOrigin::Given));
    }
    let (seen, actual) = (token.revision() - 1, header.revision);
    if actual < seen {
        return Err(ClusterChanged::Revision { seen, actual }.into());
    }
    Ok((token.revision(), WatchOrigin::Resumed))
}

/// What kept a watch from being created, if that is known. What would be final anywhere else cannot be it: that would have
/// ended the watch, and more time might have helped.
fn not_in_time(members: &Members, timeout: Duration) -> Error {
    if let WatchStatus::Connecting {
        cause: Some(cause), ..
    } = WatchStatus::of(members)
        && cause.retry() != Retry::Never
    {
        return Error::clone(&cause);
    }
    let timeout = Timeout::new(TimeoutPhase::Response).with_limit(timeout);
    Error::from(timeout).with_rpc(message::Watch::RPC.name, message::Watch::RPC.retry)
}

/// Takes a range back that nobody waits for any more.
struct Joining<'m> {
    members: &'m Members,
    member: Option<MemberId>,
}

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        if let Some(member) = self.member
            && let Some(link) = self.members.remove(member)
        {
            link.connection.cancel(link.id);
        }
    }
}

/// The id of the client's cluster, 0 if it is not known.
pub(super) fn cluster_id(client: &Client) -> u64 {
    lock(&client.shared.guard).cluster_id()
}
