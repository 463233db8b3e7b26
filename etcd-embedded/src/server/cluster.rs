//! The cluster service, of a cluster of one.
//!
//! Learners can be added and never catch up; voters cannot be added, because a cluster of one would lose its quorum.
//!
//! Source: `server/etcdserver/server.go`, `api/v3rpc/member.go`, `api/membership/cluster.go`.

use etcd_core::error::{Code, EtcdError};
use etcd_core::message::{
    Member, MemberAdd, MemberAddResponse, MemberListResponse, MemberPromote, MemberRemove,
    MemberRemoveResponse, MemberUpdate, MemberUpdateResponse,
};

use super::{Server, ensure, unimplemented};
use crate::{Request, Response, Status};

impl Server {
    pub(super) fn answer_cluster(
        &mut self,
        token: Option<&str>,
        request: Request,
    ) -> Result<Response, Status> {
        match request {
            Request::MemberList(_) => self.member_list(token).map(Response::MemberList),
            Request::MemberAdd(add) => self.member_add(token, &add).map(Response::MemberAdd),
            Request::MemberRemove(remove) => self.member_remove(token, &remove).map(Response::MemberRemove),
            Request::MemberUpdate(update) => self.member_update(token, update).map(Response::MemberUpdate),
            Request::MemberPromote(promote) => Err(self.member_promote(token, &promote)),
            other => Err(unimplemented(other.rpc())),
        }
    }

    fn member_list(&mut self, token: Option<&str>) -> Result<MemberListResponse, Status> {
        self.require_identity(token)?;
        let mut response = MemberListResponse::default();
        response.header = self.header_without_revision();
        response.members.clone_from(&self.state.members);
        Ok(response)
    }

    fn member_add(&mut self, token: Option<&str>, add: &MemberAdd) -> Result<MemberAddResponse, Status> {
        check_urls(&add.peer_urls)?;
        self.require_admin(token)?;
        let members = &self.state.members;
        let taken = members
            .iter()
            .flat_map(|member| &member.peer_urls)
            .any(|url| add.peer_urls.contains(url));
        ensure(!taken, EtcdError::PeerUrlExists)?;
        ensure(add.is_learner, EtcdError::Unhealthy)?;
        ensure(
            !members.iter().any(|member| member.is_learner),
            EtcdError::TooManyLearners,
        )?;

        self.enter_log()?;
        let mut member = Member::default();
        member.id = self.random.next_u64() >> 1;
        member.peer_urls.clone_from(&add.peer_urls);
        member.is_learner = true;
        self.state.members.push(member.clone());
        let mut response = MemberAddResponse::default();
        response.header = self.header_without_revision();
        response.member = member;
        response.members.clone_from(&self.state.members);
        Ok(response)
    }

    fn member_remove(
        &mut self,
        token: Option<&str>,
        remove: &MemberRemove,
    ) -> Result<MemberRemoveResponse, Status> {
        self.require_admin(token)?;
        let members = &self.state.members;
        let known = members.iter().position(|member| member.id == remove.id);
        match known {
            Some(_) if remove.id != self.member_id => {}
            None if members.len() == 1 || self.state.removed_members.contains(&remove.id) => {
                return Err(EtcdError::MemberNotFound.into());
            }
            // The server forgets to translate this one, and its code is lost.
            _ => {
                return Err(Status::new(
                    Code::Unknown,
                    EtcdError::MemberNotEnoughStarted.to_string(),
                ));
            }
        }
        self.enter_log()?;
        self.state.members.retain(|member| member.id != remove.id);
        self.state.removed_members.insert(remove.id);
        let mut response = MemberRemoveResponse::default();
        response.header = self.header_without_revision();
        response.members.clone_from(&self.state.members);
        Ok(response)
    }

    fn member_update(
        &mut self,
        token: Option<&str>,
        update: MemberUpdate,
    ) -> Result<MemberUpdateResponse, Status> {
        self.require_admin(token)?;
        let members = &self.state.members;
        let taken = members
            .iter()
            .filter(|member| member.id != update.id)
            .flat_map(|member| &member.peer_urls)
            .any(|url| update.peer_urls.contains(url));
        let position = members
            .iter()
            .position(|member| member.id == update.id)
            .ok_or(EtcdError::MemberNotFound)?;
        ensure(!taken, EtcdError::PeerUrlExists)?;
        self.enter_log()?;
        let member = &mut self.state.members[position];
        member.peer_urls = update.peer_urls;
        // The update replaces all of a member's raft attributes, and this is one of them.
        member.is_learner = false;
        let mut response = MemberUpdateResponse::default();
        response.header = self.header_without_revision();
        response.members.clone_from(&self.state.members);
        Ok(response)
    }

    fn member_promote(&mut self, token: Option<&str>, promote: &MemberPromote) -> Status {
        if let Err(error) = self.require_admin(token) {
            return error.into();
        }
        let member = self.state.members.iter().find(|member| member.id == promote.id);
        match member {
            None => EtcdError::MemberNotFound,
            Some(member) if member.is_learner => EtcdError::LearnerNotReady,
            Some(_) => EtcdError::MemberNotLearner,
        }
        .into()
    }
}

/// `NewURLs` in `client/pkg/types/urls.go`.
fn check_urls(urls: &[String]) -> Result<(), EtcdError> {
    let valid = |url: &String| {
        let address = ["http://", "https://", "unix://", "unixs://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        address.is_some_and(|address| {
            let port = address.rsplit_once(':').map(|(_, port)| port);
            port.is_some_and(|port| port.parse::<u16>().is_ok())
        })
    };
    ensure(
        !urls.is_empty() && urls.iter().all(valid),
        EtcdError::MemberBadUrls,
    )
}
