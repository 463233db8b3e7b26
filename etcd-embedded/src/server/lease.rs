//! The lease service.
//!
//! Source: `server/etcdserver/v3_server.go`, `api/v3rpc/lease.go`.

use etcd_core::error::EtcdError;
use etcd_core::message::{
    LeaseGrant, LeaseGrantResponse, LeaseKeepAlive, LeaseKeepAliveResponse, LeaseListResponse, LeaseRevoke,
    LeaseRevokeResponse, LeaseStatus, LeaseTimeToLive, LeaseTimeToLiveResponse,
};

use super::{CallId, Server};
use crate::auth::Access;
use crate::{Response, Status};

/// What a lease counts against the quota (`leaseOverhead` in `server/storage/quota.go`).
const LEASE_COST: u64 = 64;

impl Server {
    pub(super) fn lease_grant(
        &mut self,
        token: Option<&str>,
        grant: &LeaseGrant,
    ) -> Result<LeaseGrantResponse, Status> {
        self.check_quota(LEASE_COST)?;
        self.require_identity(token)?;
        self.propose(token, 0)?;
        self.check_not_corrupt()?;
        self.check_space(true)?;
        let id = match grant.id {
            0 => self.new_lease_id(),
            id => id,
        };
        let min_ttl = self.config.min_lease_ttl;
        let ttl = self.state.leases.grant(self.now, id, grant.ttl, min_ttl)?;
        let mut response = LeaseGrantResponse::default();
        response.header = self.header();
        (response.id, response.ttl) = (id, ttl);
        Ok(response)
    }

    pub(super) fn lease_revoke(
        &mut self,
        token: Option<&str>,
        revoke: &LeaseRevoke,
    ) -> Result<LeaseRevokeResponse, Status> {
        self.require_identity(token)?;
        let identity = self.propose(token, 0)?;
        self.check_not_corrupt()?;
        self.check_lease_keys(identity.as_ref(), Access::Write, revoke.id)?;
        self.state.revoke(revoke.id)?;
        let mut response = LeaseRevokeResponse::default();
        response.header = self.header();
        Ok(response)
    }

    pub(super) fn lease_time_to_live(
        &mut self,
        token: Option<&str>,
        query: &LeaseTimeToLive,
    ) -> Result<LeaseTimeToLiveResponse, Status> {
        self.check_query(token, query)?;
        let mut response = LeaseTimeToLiveResponse::default();
        response.header = self.header();
        response.id = query.id;
        let Some(lease) = self.state.leases.get(query.id) else {
            response.ttl = -1;
            return Ok(response);
        };
        response.ttl = lease.remaining(self.now);
        response.granted_ttl = lease.ttl;
        if query.keys {
            response.keys = lease.keys.iter().cloned().collect();
        }
        Ok(response)
    }

    pub(super) fn check_query(
        &mut self,
        token: Option<&str>,
        query: &LeaseTimeToLive,
    ) -> Result<(), EtcdError> {
        self.require_identity(token)?;
        if query.keys && self.config.dialect.guards_calls_without_keys() {
            let identity = self.identity(token)?;
            self.check_lease_keys(identity.as_ref(), Access::Read, query.id)?;
        }
        Ok(())
    }

    pub(super) fn lease_leases(&mut self, token: Option<&str>) -> Result<LeaseListResponse, Status> {
        self.require_identity(token)?;
        let ids: Vec<_> = self.state.leases.ids().collect();
        if self.config.dialect.guards_calls_without_keys() {
            let identity = self.identity(token)?;
            for id in &ids {
                self.check_lease_keys(identity.as_ref(), Access::Read, *id)?;
            }
        }
        let mut response = LeaseListResponse::default();
        response.header = self.header();
        response.leases = ids
            .into_iter()
            .map(|id| {
                let mut status = LeaseStatus::default();
                status.id = id;
                status
            })
            .collect();
        Ok(response)
    }

    pub(super) fn take_keep_alive(&mut self, call: CallId, token: Option<&str>, renewal: &LeaseKeepAlive) {
        // The header tells the revision before the renewal, so that a later revocation has a later one.
        let mut response = LeaseKeepAliveResponse::default();
        response.header = self.header();
        response.id = renewal.id;
        if let Err(error) = self.check_renewal(token, renewal.id) {
            return self.end(call, Err(error.into()));
        }
        // A lease that is gone has no time left.
        response.ttl = self
            .state
            .leases
            .keep_alive(self.now, renewal.id)
            .unwrap_or_default();
        self.send(call, Response::LeaseKeepAlive(response));
    }

    pub(super) fn check_renewal(&mut self, token: Option<&str>, lease: i64) -> Result<(), EtcdError> {
        self.require_identity(token)?;
        if !self.config.dialect.guards_calls_without_keys() {
            return Ok(());
        }
        let identity = self.identity(token)?;
        self.check_lease_keys(identity.as_ref(), Access::Write, lease)
    }

    /// A positive number that no lease has.
    pub(super) fn new_lease_id(&mut self) -> i64 {
        loop {
            let id = (self.random.next_u64() >> 1).cast_signed();
            if id != 0 && !self.state.leases.exists(id) {
                return id;
            }
        }
    }
}
