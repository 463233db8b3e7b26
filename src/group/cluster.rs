//! Members of the cluster.

use etcd_core::message::{MemberAdd, MemberList, MemberPromote, MemberRemove, MemberUpdate};

use super::group;
use crate::Call;

group! {
    /// Members of the cluster. Made by [`Client::cluster`](crate::Client::cluster).
    ///
    /// Of changes that follow each other at once, servers were seen to drop the later one without an answer (etcd's issue 14040). It
    /// ends with a timeout then; look at the members, and ask again.
    ///
    /// ```no_run
    /// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
    /// let added = client.cluster().member_add(["http://10.0.0.4:2380"]).learner().await?;
    /// client.cluster().member_promote(added.member.id).await?;
    /// # Ok(())
    /// # }
    /// ```
    Cluster
}

impl Cluster<'_> {
    /// Adds a member that its peers reach at `peer_urls`.
    pub fn member_add(&self, peer_urls: impl IntoIterator<Item = impl Into<String>>) -> Call<MemberAdd> {
        self.client.call(MemberAdd::new(peer_urls))
    }

    /// Removes the member `id`.
    pub fn member_remove(&self, id: u64) -> Call<MemberRemove> {
        self.client.call(MemberRemove::new(id))
    }

    /// Changes where the peers of the member `id` reach it.
    pub fn member_update(
        &self,
        id: u64,
        peer_urls: impl IntoIterator<Item = impl Into<String>>,
    ) -> Call<MemberUpdate> {
        self.client.call(MemberUpdate::new(id, peer_urls))
    }

    /// Lists the members, as a quorum agrees on them unless `serializable` is set.
    pub fn member_list(&self) -> Call<MemberList> {
        self.client.call(MemberList::new())
    }

    /// Gives the learner `id` its vote.
    pub fn member_promote(&self, id: u64) -> Call<MemberPromote> {
        self.client.call(MemberPromote::new(id))
    }
}
