//! Writes that happen only if a key is as expected.

use std::future::IntoFuture;

use etcd_core::error::{Error, ProtocolError, Result};
use etcd_core::key::{IntoBytes, KeyRange};
use etcd_core::message::{
    Compare, Delete, DeleteResponse, Get, KeyValue, Put, PutResponse, ResponseHeader, Txn, TxnOp,
    TxnOpResponse, TxnResponse,
};
use etcd_core::runtime::BoxFuture;

use crate::Call;

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConditionalOutcome<T> {
    /// The key was as expected, and the write was applied.
    Applied(T),
    /// The key was not as expected, and nothing was changed.
    Refused {
        /// Who answered.
        header: ResponseHeader,
        /// What the key holds instead; `None` if it does not exist.
        current: Option<KeyValue>,
    },
}

impl<T> ConditionalOutcome<T> {
    /// Whether the write was applied.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }

    /// What the key holds instead of what was expected; `None` if the write was applied or the key does not exist.
    #[must_use]
    pub fn current(&self) -> Option<&KeyValue> {
        match self {
            Self::Applied(_) => None,
            Self::Refused { current, .. } => current.as_ref(),
        }
    }
}

/// A put that happens only if the key is as expected; made when awaited.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyetcd::Result<()> {
/// # let client = anyetcd::Client::embedded()?;
/// let outcome = client.put("leader", "me").if_absent().await?;
/// if outcome.is_applied() {
///     println!("it is me");
/// } else {
///     println!("somebody else: {:?}", outcome.current());
/// }
/// assert!(!client.put("leader", "me, too").if_absent().await?.is_applied());
/// # Ok(())
/// # }
/// ```
///
/// Cancel safety is that of a [`Call`].
#[must_use = "a call is made when it is awaited"]
#[derive(Debug)]
pub struct ConditionalPut(Conditional<Put>);

impl ConditionalPut {
    pub(crate) fn if_absent(call: Call<Put>) -> Self {
        let condition = Compare::create_revision(&call.request.key).eq(0);
        Self(Conditional { call, condition })
    }

    pub(crate) fn if_mod_revision(call: Call<Put>, revision: i64) -> Self {
        let condition = Compare::mod_revision(&call.request.key).eq(revision);
        Self(Conditional { call, condition })
    }

    pub(crate) fn if_value(call: Call<Put>, value: impl IntoBytes) -> Self {
        let condition = Compare::value(&call.request.key).eq(value);
        Self(Conditional { call, condition })
    }
}

impl IntoFuture for ConditionalPut {
    type Output = Result<ConditionalOutcome<PutResponse>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let key = KeyRange::single(&self.0.call.request.key);
        Box::pin(self.0.apply(key, |response| match response {
            TxnOpResponse::Put(put) => Some(put),
            _ => None,
        }))
    }
}

/// A deletion that happens only if the key is as expected; made when awaited.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyetcd::Result<()> {
/// # let client = anyetcd::Client::embedded()?;
/// # client.put("job/7", "").await?;
/// let seen = client.get("job/7").await?;
/// if let Some(job) = seen.first() {
///     let mine = client.delete("job/7").if_mod_revision(job.mod_revision).await?.is_applied();
///     assert!(mine, "nobody else was there");
/// }
/// # Ok(())
/// # }
/// ```
///
/// Cancel safety is that of a [`Call`].
#[must_use = "a call is made when it is awaited"]
#[derive(Debug)]
pub struct ConditionalDelete(Conditional<Delete>);

impl ConditionalDelete {
    pub(crate) fn if_mod_revision(call: Call<Delete>, revision: i64) -> Self {
        let condition = Compare::mod_revision(keys(&call.request)).eq(revision);
        Self(Conditional { call, condition })
    }

    pub(crate) fn if_value(call: Call<Delete>, value: impl IntoBytes) -> Self {
        let condition = Compare::value(keys(&call.request)).eq(value);
        Self(Conditional { call, condition })
    }
}

impl IntoFuture for ConditionalDelete {
    type Output = Result<ConditionalOutcome<DeleteResponse>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let keys = keys(&self.0.call.request);
        Box::pin(self.0.apply(keys, |response| match response {
            TxnOpResponse::Delete(delete) => Some(delete),
            _ => None,
        }))
    }
}

/// What a deletion is about.
fn keys(delete: &Delete) -> KeyRange {
    KeyRange::from_parts(delete.key.clone(), delete.range_end.clone())
}

#[derive(Debug)]
struct Conditional<R> {
    call: Call<R>,
    condition: Compare,
}

impl<R: Into<TxnOp>> Conditional<R> {
    /// As a transaction: the write if the condition holds, otherwise a look at what is there.
    async fn apply<T>(
        self,
        keys: KeyRange,
        own: fn(TxnOpResponse) -> Option<T>,
    ) -> Result<ConditionalOutcome<T>> {
        let Call {
            client,
            request,
            options,
        } = self.call;
        let txn = Txn::when([self.condition])
            .then([request])
            .otherwise([Get::new(keys).limit(1)]);
        let mut call = client.txn(txn);
        call.options = options;
        let TxnResponse {
            header,
            succeeded,
            mut responses,
            ..
        } = call.await?;
        let missing = || Error::from(ProtocolError::MissingField { field: "responses" });
        let response = responses.pop().ok_or_else(missing)?;
        if succeeded {
            return own(response).map(ConditionalOutcome::Applied).ok_or_else(missing);
        }
        match response {
            TxnOpResponse::Get(mut get) => Ok(ConditionalOutcome::Refused {
                header,
                current: get.kvs.pop(),
            }),
            _ => Err(missing()),
        }
    }
}
