//! Members of the cluster.

use super::ResponseHeader;
use crate::codec::message;

message! {
    /// A member of the cluster.
    pub struct Member {
        /// The member's id.
        id as "ID": u64,
        /// Its name, empty until it has started.
        name: String,
        /// Where the other members reach it.
        peer_urls as "peerURLs": Vec<String>,
        /// Where clients reach it, none until it has started.
        client_urls as "clientURLs": Vec<String>,
        /// Whether it only follows, without a vote.
        is_learner as "isLearner": bool,
    }
}

message! {
    /// Adds a member; `MemberAddRequest` in etcd's protocol.
    pub struct MemberAdd {
        /// Where the other members will reach it.
        peer_urls as "peerURLs": Vec<String>,
        /// Whether it starts without a vote.
        is_learner as "isLearner": bool,
    }
}

impl MemberAdd {
    /// Adds a member that its peers reach at `peer_urls`.
    #[must_use]
    pub fn new(peer_urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            peer_urls: peer_urls.into_iter().map(Into::into).collect(),
            is_learner: false,
        }
    }

    /// Adds it as a learner, which follows without a vote until promoted.
    #[must_use]
    pub fn learner(mut self) -> Self {
        self.is_learner = true;
        self
    }
}

message! {
    /// The answer to [`MemberAdd`].
    pub struct MemberAddResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The new member.
        member: Member,
        /// All members.
        members: Vec<Member>,
    }
}

message! {
    /// Removes a member; `MemberRemoveRequest` in etcd's protocol.
    pub struct MemberRemove {
        /// The member.
        id as "ID": u64,
    }
}

impl MemberRemove {
    /// Removes the member `id`.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self { id }
    }
}

message! {
    /// The answer to [`MemberRemove`].
    pub struct MemberRemoveResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The members that are left.
        members: Vec<Member>,
    }
}

message! {
    /// Changes where a member's peers reach it; `MemberUpdateRequest` in etcd's protocol.
    pub struct MemberUpdate {
        /// The member.
        id as "ID": u64,
        /// Its new peer URLs.
        peer_urls as "peerURLs": Vec<String>,
    }
}

impl MemberUpdate {
    /// Gives the member `id` the peer URLs `peer_urls`.
    #[must_use]
    pub fn new(id: u64, peer_urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            id,
            peer_urls: peer_urls.into_iter().map(Into::into).collect(),
        }
    }
}

message! {
    /// The answer to [`MemberUpdate`].
    pub struct MemberUpdateResponse {
        /// Who answered.
        header: ResponseHeader,
        /// All members.
        members: Vec<Member>,
    }
}

message! {
    /// Lists the members; `MemberListRequest` in etcd's protocol.
    pub struct MemberList {
        /// Whether the answer goes through the quorum. etcd 3.4 ignores it and answers from its own store.
        linearizable: bool,
    }
}

impl MemberList {
    /// Lists the members as a quorum agrees on them.
    #[must_use]
    pub fn new() -> Self {
        Self { linearizable: true }
    }

    /// Lets the member answer from its own store: possibly stale, available without a quorum.
    #[must_use]
    pub fn serializable(mut self) -> Self {
        self.linearizable = false;
        self
    }
}

message! {
    /// The answer to [`MemberList`].
    pub struct MemberListResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The members, in no particular order.
        members: Vec<Member>,
    }
}

message! {
    /// Gives a learner its vote; `MemberPromoteRequest` in etcd's protocol.
    pub struct MemberPromote {
        /// The member.
        id as "ID": u64,
    }
}

impl MemberPromote {
    /// Promotes the learner `id`.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self { id }
    }
}

message! {
    /// The answer to [`MemberPromote`].
    pub struct MemberPromoteResponse {
        /// Who answered.
        header: ResponseHeader,
        /// All members.
        members: Vec<Member>,
    }
}
