//! A range in memory.

use std::error::Error as StdError;
use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use etcd_core::error::{ClusterChanged, Error, ErrorKind, Result, Timeout, TimeoutPhase, WatchError};
use etcd_core::key::KeyRange;
use etcd_core::machine::{ObservationStatus, Observed};
use etcd_core::message::KeyValue;
use etcd_core::runtime::{BoxFuture, later};
use futures_channel::oneshot;

use super::content::{Content, Decode};
use super::decode::DecodeError;
use super::goal::Goal;
use super::stream::{is_progress_unknown, status};
use super::task::Following;
use super::view::{MirrorUpdates, MirrorView};
use crate::exchange::race;
use crate::latest::Latest;
use crate::{Client, ObserveCall};

/// A mirror that is filled when this is awaited. Made by [`Client::mirror`].
///
/// # Errors
///
/// What ends every [`Call`](crate::Call).
///
/// Cancel safe.
#[must_use = "nothing is read until this is awaited"]
pub struct MirrorCall<V> {
    client: Client,
    keys: KeyRange,
    decode: Decode<V>,
}

impl MirrorCall<KeyValue> {
    pub(crate) fn new(client: Client, keys: KeyRange) -> Self {
        Self {
            client,
            keys,
            decode: Arc::new(KeyValue::clone),
        }
    }

    /// Holds what `decode` makes of each pair, once each time it changes, instead of the pair itself. It must not panic: the
    /// mirror would end, showing the last revision before. What may fail is for [`try_decode`](Self::try_decode).
    ///
    /// ```no_run
    /// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
    /// let ports = client
    ///     .mirror(anyetcd::prefix("ports/"))
    ///     .decode(|kv| kv.value_str().and_then(|port| port.parse::<u16>().ok()))
    ///     .await?;
    /// let api: Option<u16> = ports.get("ports/api").flatten();
    /// # Ok(())
    /// # }
    /// ```
    pub fn decode<V>(self, decode: impl Fn(&KeyValue) -> V + Send + Sync + 'static) -> MirrorCall<V> {
        MirrorCall {
            client: self.client,
            keys: self.keys,
            decode: Arc::new(decode),
        }
    }

    /// As [`decode`](Self::decode), for a `decode` that may fail. A value that fails does not end the mirror, nor does it
    /// leave the one before in its place: its key holds the error, which names it, until it is written again.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// # let client = anyetcd::Client::embedded()?;
    /// client.put("ports/api", "8080").await?;
    /// client.put("ports/web", "many").await?;
    /// let ports = client
    ///     .mirror(anyetcd::prefix("ports/"))
    ///     .try_decode(|kv| kv.value_str().unwrap_or_default().parse::<u16>())
    ///     .await?;
    /// assert_eq!(ports.get("ports/api").unwrap().unwrap(), 8080);
    /// let error = ports.get("ports/web").unwrap().unwrap_err();
    /// assert_eq!(error.key(), "ports/web");
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_decode<V, E>(
        self,
        decode: impl Fn(&KeyValue) -> Result<V, E> + Send + Sync + 'static,
    ) -> MirrorCall<Result<V, DecodeError>>
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.decode(move |kv| decode(kv).map_err(|cause| DecodeError::new(kv, cause.into())))
    }

    /// Holds each value as the `T` that its JSON describes, or the error that says which it is that describes none; see
    /// [`try_decode`](Self::try_decode).
    ///
    /// Needs the feature `serde`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// # let client = anyetcd::Client::embedded()?;
    /// use std::collections::BTreeMap;
    ///
    /// use anyetcd::prefix;
    ///
    /// client.put("limits/a", r#"{"cpu": 4, "disk": 100}"#).await?;
    /// client.put("limits/b", "none").await?;
    /// let limits = client
    ///     .mirror(prefix("limits/"))
    ///     .json::<BTreeMap<String, u32>>() // or any type of your own that is `Deserialize`
    ///     .await?;
    /// for (key, limits) in limits.view().iter() {
    ///     match limits {
    ///         Ok(limits) => println!("{key:?}: {:?}", limits.get("cpu")),
    ///         Err(error) => println!("{error}"), // the value of "limits/b", of revision 3, cannot be decoded
    ///     }
    /// }
    /// assert_eq!(limits.get("limits/a").unwrap().unwrap()["cpu"], 4);
    /// assert_eq!(limits.get("limits/b").unwrap().unwrap_err().key(), "limits/b");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "serde")]
    pub fn json<T>(self) -> MirrorCall<Result<Arc<T>, DecodeError>>
    where
        T: serde::de::DeserializeOwned + Send + Sync + 'static,
    {
        self.try_decode(|kv| serde_json::from_slice(&kv.value).map(Arc::new))
    }
}

impl<V: Clone + Send + Sync + 'static> IntoFuture for MirrorCall<V> {
    type Output = Result<Mirror<V>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let keys = self.keys.clone();
            let mut observe = ObserveCall::new(self.client.clone(), self.keys).await?;
            let Some(Observed::Snapshot { revision, kvs }) = observe.try_next().await? else {
                return Err(WatchError::Canceled.into());
            };
            let content = Arc::new(Latest::new(Content::new(revision, &kvs, &self.decode)));
            let following = Following {
                observe,
                decode: self.decode,
                content: content.clone(),
            };
            let (alive, dropped) = oneshot::channel();
            let runtime = &self.client.shared.runtime;
            runtime.spawn(Box::pin(following.run(dropped)));
            Ok(Mirror {
                client: self.client,
                keys,
                content,
                _alive: Arc::new(alive),
            })
        })
    }
}

/// A copy of a range in memory that follows the servers. Made by [`Client::mirror`]; cheap to clone.
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
    client: Client,
    keys: KeyRange,
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
        let shared = &self.client.shared;
        let limit = shared.settings.timeout;
        let deadline = later(shared.runtime.now(), limit);
        let mut is_progress_unknown = false;
        loop {
            let left = deadline.saturating_duration_since(shared.runtime.now());
            let goal = Goal::read(&self.client, &self.keys, self.len(), is_progress_unknown, left).await?;
            let reached = self.reach(goal, &mut is_progress_unknown);
            match race(pin!(reached), pin!(shared.deadlines.reached(deadline))).await {
                Some(Ok(true)) => return Ok(goal.revision),
                Some(Ok(false)) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(Timeout::new(TimeoutPhase::Response).with_limit(limit).into()),
            }
        }
    }

    /// Waits until `goal` is seen; `false` if the server cannot say, and another goal is needed.
    async fn reach(&self, goal: Goal, is_unknown: &mut bool) -> Result<bool> {
        let mut reading = Reading {
            content: &self.content,
            reader: self.content.reader(),
        };
        let mut asking: Option<BoxFuture<'static, Result<i64>>> = None;
        // Each watch is asked again only after it has answered.
        let mut asked = 0;
        poll_fn(|cx| {
            loop {
                if self.agree(goal) {
                    return Poll::Ready(Ok(true));
                }
                let (watch, watches) = self
                    .content
                    .with(|content| (content.watch.clone(), content.watches));
                match self.content.poll(&mut reading.reader, cx) {
                    Poll::Ready(Some(_)) => continue,
                    Poll::Ready(None) => return Poll::Ready(Err(self.end())),
                    Poll::Pending => {}
                }
                if asking.is_none()
                    && !*is_unknown
                    && asked != watches
                    && let Some(handle) = watch
                {
                    asked = watches;
                    asking = Some(Box::pin(async move { handle.progress().await }));
                }
                let Some(answer) = &mut asking else {
                    return Poll::Pending;
                };
                match ready!(answer.as_mut().poll(cx)) {
                    Err(error) if is_progress_unknown(&error) => {
                        *is_unknown = true;
                        asking = None;
                        if goal.needs_progress() {
                            return Poll::Ready(Ok(false));
                        }
                    }
                    // It is about to be replaced.
                    Err(error) if matches!(error.kind(), ErrorKind::Watch(_)) => asking = None,
                    Err(error) => return Poll::Ready(Err(error)),
                    Ok(_) => (asking, asked) = (None, 0),
                }
            }
        })
        .await
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

/// A reader that is forgotten when nobody reads any more.
struct Reading<'m, V: Clone> {
    content: &'m Latest<Content<V>>,
    reader: crate::latest::Reader,
}

impl<V: Clone> Drop for Reading<'_, V> {
    fn drop(&mut self) {
        self.content.forget(&self.reader);
    }
}

impl<V> Clone for Mirror<V> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            keys: self.keys.clone(),
            content: self.content.clone(),
            _alive: self._alive.clone(),
        }
    }
}

impl<V> fmt::Debug for MirrorCall<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorCall")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl<V: Clone + Send + Sync + 'static> fmt::Debug for Mirror<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("keys", &self.keys)
            .field("revision", &self.revision())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
