//! Elections: the calls of the server's service, and who leads as a stream of our own.

use etcd_core::key::IntoBytes;
use etcd_core::message::{Campaign, Leader, LeaderKey, Proclaim, Resign};

use super::group;
use crate::{Call, ObserveLeaderCall};

group! {
    /// Elections: the calls of the server's election service, and [`observe`](Self::observe). Made by
    /// [`Client::elections`](crate::Client::elections).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// # let client = anyetcd::Client::embedded()?;
    /// let lease = client.leases().grant(60).await?;
    /// let won = client.elections().campaign("boss", lease.id, "10.0.0.1").await?;
    /// client.elections().proclaim(won.leader.clone(), "10.0.0.2").await?;
    /// let leader = client.elections().leader("boss").await?.kv.unwrap();
    /// assert_eq!(leader.value, "10.0.0.2");
    /// client.elections().resign(won.leader).await?;
    /// # Ok(())
    /// # }
    /// ```
    Elections
}

impl Elections<'_> {
    /// Waits to win the election `name`, held by `lease`, and proclaims `value` then.
    ///
    /// If its outcome is unknown ([`Error::is_outcome_unknown`](crate::Error::is_outcome_unknown)), revoke the lease
    /// and begin anew: the server may still be taking back the key of the call that was lost.
    ///
    /// Its deadline is [`ClientBuilder::wait_timeout`](crate::ClientBuilder::wait_timeout). Dropping it while it
    /// waits gives the candidacy up; dropped earlier, it may leave it there until `lease` ends, as
    /// [`Locks::lock`](crate::Locks::lock) does.
    pub fn campaign(&self, name: impl IntoBytes, lease: i64, value: impl IntoBytes) -> Call<Campaign> {
        self.client.call(Campaign::new(name, lease, value))
    }

    /// Changes what the leader proclaims.
    pub fn proclaim(&self, leader: LeaderKey, value: impl IntoBytes) -> Call<Proclaim> {
        self.client.call(Proclaim::new(leader, value))
    }

    /// Asks who leads the election `name`. Without a leader the answer is the error
    /// [`EtcdError::ElectionNoLeader`](crate::EtcdError::ElectionNoLeader). To follow who leads, see
    /// [`observe`](Self::observe).
    pub fn leader(&self, name: impl IntoBytes) -> Call<Leader> {
        self.client.call(Leader::new(name))
    }

    /// Gives the leadership up.
    pub fn resign(&self, leader: LeaderKey) -> Call<Resign> {
        self.client.call(Resign::new(leader))
    }

    /// Follows who leads the election `name`: first who does now, if anybody, then each new leader, each time that nobody
    /// leads any more, and each proclamation of the leader.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// # let client = anyetcd::Client::embedded()?;
    /// # let lease = client.leases().grant(60).await?;
    /// let mut boss = client.elections().observe("boss").await?;
    /// # let won = client.elections().campaign("boss", lease.id, "10.0.0.1").await?;
    /// # client.elections().resign(won.leader).await?;
    /// # let mut last = Vec::new();
    /// while let Some(told) = boss.try_next().await? {
    ///     match &told.leader {
    ///         Some(leader) => println!("{:?} leads", leader.kv.value),
    ///         None => println!("nobody leads since revision {}", told.revision),
    ///     }
    /// #   last.push(told.leader.map(|leader| leader.kv.value));
    /// #   if last.len() == 3 { break; }
    /// }
    /// # assert_eq!(last, [None, Some("10.0.0.1".into()), None]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What it promises stands at [`ObserveLeader`](crate::ObserveLeader). It is not the server's own stream
    /// (`/v3/election/observe`), which ends with its connection, and sometimes without a word, leaves out what happens
    /// between its read and its watch, and cannot say that nobody leads.
    pub fn observe(&self, name: impl IntoBytes) -> ObserveLeaderCall {
        ObserveLeaderCall::new(self.client.clone(), name.into_bytes())
    }
}
