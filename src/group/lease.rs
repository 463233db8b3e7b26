//! Leases.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use etcd_core::error::{Code, EtcdError, ProtocolError, Result, ServerError};
use etcd_core::frame::LineFramer;
use etcd_core::gateway;
use etcd_core::message::{
    LeaseGrant, LeaseKeepAlive, LeaseKeepAliveResponse, LeaseList, LeaseRevoke, LeaseTimeToLive,
};
use etcd_core::runtime::BoxFuture;

use super::group;
use crate::call::CallOptions;
use crate::client::{Shared, lock};
use crate::{Call, exchange};

group! {
    /// Leases: what lets keys disappear by themselves. Made by [`Client::leases`](crate::Client::leases).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// # let client = anyetcd::Client::embedded()?;
    /// let lease = client.leases().grant(60).await?;
    /// client.put("service/a", "10.0.0.1").lease(lease.id).await?;
    /// client.leases().keep_alive_once(lease.id).await?;
    /// client.leases().revoke(lease.id).await?;
    /// assert_eq!(client.get("service/a").await?.count, 0);
    /// # Ok(())
    /// # }
    /// ```
    Leases
}

impl Leases<'_> {
    /// Grants a lease of `ttl` seconds, at least 1. The answer says how long it really is.
    pub fn grant(&self, ttl: i64) -> Call<LeaseGrant> {
        self.client.call(LeaseGrant::new(ttl))
    }

    /// Ends the lease `id` and deletes its keys.
    ///
    /// It is repeated if its answer is lost, so that [`EtcdError::LeaseNotFound`] may mean that an earlier attempt of
    /// this very call ended the lease.
    pub fn revoke(&self, id: i64) -> Call<LeaseRevoke> {
        self.client.call(LeaseRevoke::new(id))
    }

    /// Asks how long the lease `id` lives. For a lease that does not exist the answer's `ttl` is -1.
    pub fn time_to_live(&self, id: i64) -> Call<LeaseTimeToLive> {
        self.client.call(LeaseTimeToLive::new(id))
    }

    /// Lists all leases.
    pub fn list(&self) -> Call<LeaseList> {
        self.client.call(LeaseList::default())
    }

    /// Renews the lease `id` for its full time, once.
    pub fn keep_alive_once(&self, id: i64) -> KeepAliveOnce {
        KeepAliveOnce {
            call: self.client.call(LeaseKeepAlive::new(id)),
        }
    }
}

/// A single renewal of a lease; made when awaited.
///
/// # Errors
///
/// [`EtcdError::LeaseNotFound`] if there is no such lease any more, and what ends every [`Call`].
///
/// Cancel safety is that of a [`Call`].
#[must_use = "a call is made when it is awaited"]
#[derive(Debug)]
pub struct KeepAliveOnce {
    call: Call<LeaseKeepAlive>,
}

impl KeepAliveOnce {
    /// How long this call may take; see [`Call::timeout`].
    pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
        self.call = self.call.timeout(timeout);
        self
    }
}

impl IntoFuture for KeepAliveOnce {
    type Output = Result<LeaseKeepAliveResponse>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Call {
            client,
            request,
            options,
        } = self.call;
        Box::pin(async move {
            let (response, _) = renew_once(&client.shared, &request, &options).await?;
            Ok(response)
        })
    }
}

/// Renews a lease by an exchange of its own; returns also when the request was sent.
pub(crate) async fn renew_once(
    shared: &Arc<Shared>,
    request: &LeaseKeepAlive,
    options: &CallOptions,
) -> Result<(LeaseKeepAliveResponse, Instant)> {
    // The renewals of a lease are a stream; a stream of one message is answered by one line.
    let answer = exchange::whole_body(shared, request, options).await?;
    let describe = exchange::describe(request, answer.endpoint);
    let response = only_answer(answer.content).map_err(&describe)?;
    lock(&shared.guard)
        .handle_header(&response.header, None)
        .map_err(|changed| describe(changed.into()))?;
    if response.ttl <= 0 {
        let gone = ServerError::new(Code::NotFound, &EtcdError::LeaseNotFound.to_string());
        return Err(describe(gone.into()));
    }
    Ok((response, answer.sent_at))
}

fn only_answer(body: Bytes) -> Result<LeaseKeepAliveResponse> {
    let mut framer = LineFramer::new();
    framer.handle_chunk(body);
    framer.handle_end();
    // Some servers answer with nothing at all what they do not understand.
    let line = framer
        .poll_line()
        .ok_or(ProtocolError::MissingField { field: "result" })??;
    Ok(gateway::stream_message::<LeaseKeepAlive>(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_is_answered_by_one_line() {
        let alive = only_answer(Bytes::from_static(
            b"{\"result\":{\"ID\":\"7\",\"TTL\":\"60\"}}\n",
        ))
        .unwrap();
        assert_eq!((alive.id, alive.ttl), (7, 60));
        assert!(only_answer(Bytes::new()).is_err());
    }
}
