//! Leases.

use std::future::IntoFuture;

use bytes::Bytes;
use etcd_core::error::{Code, Error, EtcdError, ProtocolError, Result, ServerError};
use etcd_core::frame::LineFramer;
use etcd_core::gateway;
use etcd_core::message::{
    LeaseGrant, LeaseKeepAlive, LeaseKeepAliveResponse, LeaseList, LeaseRevoke, LeaseTimeToLive,
};
use etcd_core::runtime::BoxFuture;

use super::group;
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
        // The renewals of a lease are a stream; a stream of one message is answered by one line.
        Box::pin(async move {
            let answer = exchange::whole_body(&client.shared, &request, &options).await?;
            let describe = exchange::describe(&request, answer.endpoint);
            only_answer(answer.content).map_err(describe)
        })
    }
}

fn only_answer(body: Bytes) -> Result<LeaseKeepAliveResponse> {
    let mut framer = LineFramer::new();
    framer.handle_chunk(body);
    framer.handle_end();
    // Some servers answer with nothing at all what they do not understand.
    let line = framer
        .poll_line()
        .ok_or(ProtocolError::MissingField { field: "result" })??;
    let response = gateway::stream_message::<LeaseKeepAlive>(&line)?;
    if response.ttl <= 0 {
        let gone = ServerError::new(Code::NotFound, &EtcdError::LeaseNotFound.to_string());
        return Err(Error::from(gone));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_without_time_means_that_the_lease_is_gone() {
        let alive = only_answer(Bytes::from_static(
            b"{\"result\":{\"ID\":\"7\",\"TTL\":\"60\"}}\n",
        ))
        .unwrap();
        assert_eq!((alive.id, alive.ttl), (7, 60));
        let gone = only_answer(Bytes::from_static(b"{\"result\":{\"ID\":\"7\"}}\n")).unwrap_err();
        assert_eq!(gone.etcd(), Some(EtcdError::LeaseNotFound));
        assert!(only_answer(Bytes::new()).is_err());
    }
}
