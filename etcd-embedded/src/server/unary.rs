//! Calls with one request and one response: who answers which.

use etcd_core::error::EtcdError;

use super::{Server, ensure, unimplemented};
use crate::auth::{Access, Identity};
use crate::{Request, Response, Status};

impl Server {
    pub(super) fn answer(&mut self, token: Option<&str>, request: Request) -> Result<Response, Status> {
        match request {
            Request::Range(get) => self.range(token, &get).map(Response::Range),
            Request::Put(put) => self.put(token, &put).map(Response::Put),
            Request::DeleteRange(delete) => self.delete_range(token, &delete).map(Response::DeleteRange),
            Request::Txn(txn) => self.txn(token, &txn).map(Response::Txn),
            Request::Compact(compact) => self.compact(token, &compact).map(Response::Compact),
            Request::LeaseGrant(grant) => self.lease_grant(token, &grant).map(Response::LeaseGrant),
            Request::LeaseRevoke(revoke) => self.lease_revoke(token, &revoke).map(Response::LeaseRevoke),
            Request::LeaseTimeToLive(query) => self
                .lease_time_to_live(token, &query)
                .map(Response::LeaseTimeToLive),
            Request::LeaseLeases(_) => self.lease_leases(token).map(Response::LeaseLeases),
            Request::Unlock(unlock) => self.unlock(token, &unlock).map(Response::Unlock),
            Request::Proclaim(proclaim) => self.proclaim(token, &proclaim).map(Response::Proclaim),
            Request::Leader(leader) => self.leader(token, &leader).map(Response::Leader),
            Request::Resign(resign) => self.resign(token, &resign).map(Response::Resign),
            request @ (Request::MemberAdd(_)
            | Request::MemberRemove(_)
            | Request::MemberUpdate(_)
            | Request::MemberList(_)
            | Request::MemberPromote(_)) => self.answer_cluster(token, request),
            request @ (Request::Alarm(_)
            | Request::Status(_)
            | Request::Defragment(_)
            | Request::Hash(_)
            | Request::HashKv(_)
            | Request::MoveLeader(_)
            | Request::Downgrade(_)) => self.answer_maintenance(token, request),
            Request::RangeStream(_) => Err(unimplemented(request.rpc())),
            request => self.answer_auth(token, request),
        }
    }

    /// Who makes a call, `None` if it came without a token.
    ///
    /// Source: `AuthInfoFromCtx` in `server/auth/store.go`.
    pub(super) fn identity(&mut self, token: Option<&str>) -> Result<Option<Identity>, EtcdError> {
        if let Some(caller) = self.applying() {
            return caller.clone();
        }
        let Some(token) = token else {
            return Ok(None);
        };
        if !self.state.users.is_enabled() && !self.config.dialect.checks_tokens_while_auth_is_off() {
            return Ok(None);
        }
        match self.tokens.user(self.now, token, self.config.auth_token_ttl) {
            Some(user) => Ok(Some(Identity {
                user: user.to_owned(),
            })),
            None => Err(EtcdError::InvalidAuthToken),
        }
    }

    /// Demands a token for a call that touches no keys, where the dialect does.
    pub(super) fn require_identity(&mut self, token: Option<&str>) -> Result<(), EtcdError> {
        if !self.state.users.is_enabled() || !self.config.dialect.guards_calls_without_keys() {
            return Ok(());
        }
        let identity = self.identity(token)?;
        ensure(identity.is_some(), EtcdError::UserEmpty)
    }

    /// Demands the token of somebody who may do everything.
    pub(super) fn require_admin(&mut self, token: Option<&str>) -> Result<(), EtcdError> {
        let identity = self.identity(token)?;
        self.state.users.check_admin(identity.as_ref())
    }

    /// Whether `identity` may do this with every key of a lease.
    pub(super) fn check_lease_keys(
        &self,
        identity: Option<&Identity>,
        access: Access,
        lease: i64,
    ) -> Result<(), EtcdError> {
        let users = &self.state.users;
        if users.check_admin(identity).is_ok() {
            return Ok(());
        }
        let Some(lease) = self.state.leases.get(lease) else {
            return Ok(());
        };
        lease
            .keys
            .iter()
            .try_for_each(|key| users.check(identity, access, key, &bytes::Bytes::new()))
    }
}
