//! The beginning of a mirror: what it is to hold, and the first read.

use std::error::Error as StdError;
use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use etcd_core::error::{Result, WatchError};
use etcd_core::key::KeyRange;
use etcd_core::machine::Observed;
use etcd_core::message::KeyValue;
use etcd_core::runtime::BoxFuture;
use futures_channel::oneshot;

use super::content::{Content, Decode};
use super::decode::DecodeError;
use super::task::Following;
use super::{Mirror, ObserveCall};
use crate::Client;
use crate::latest::Latest;

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
            let mut observe = ObserveCall::new(self.client.clone(), self.keys).await?;
            let Some(Observed::Snapshot { revision, kvs }) = observe.try_next().await? else {
                return Err(WatchError::Canceled.into());
            };
            let content = Arc::new(Latest::new(Content::new(revision, &kvs, &self.decode)));
            let (alive, dropped) = oneshot::channel();
            let mirror = Mirror::new(observe.catch_up(), content.clone(), alive);
            let following = Following {
                observe,
                decode: self.decode,
                content,
            };
            self.client.shared.runtime.spawn(Box::pin(following.run(dropped)));
            Ok(mirror)
        })
    }
}

impl<V> fmt::Debug for MirrorCall<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorCall")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
