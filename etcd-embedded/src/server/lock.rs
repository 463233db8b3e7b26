//! The lock service.
//!
//! Source: `server/etcdserver/api/v3lock/lock.go`, `client/v3/concurrency/{mutex,session}.go`.

use bytes::Bytes;
use etcd_core::error::EtcdError;
use etcd_core::message::{
    Compare, Delete, Get, LeaseGrant, Lock, LockResponse, Put, ResponseHeader, SortOrder, Txn, TxnOp,
    TxnOpResponse, Unlock, UnlockResponse,
};

use super::waiting::{Contest, Goal, contest_prefix, contestant_key, first_created};
use super::{CallId, Server};
use crate::{Dialect, Response, Status};

/// The seconds of a lease that the server makes for whoever brings none (`defaultSessionTTL` in `session.go`). Nobody
/// keeps it alive.
const SESSION_TTL: i64 = 60;

impl Server {
    pub(super) fn take_lock(&mut self, call: CallId, token: Option<&str>, lock: &Lock) {
        let entered = self.enter_lock(token, lock);
        self.entered_lock(call, entered);
    }

    /// Goes on with a lock whose key is written.
    pub(super) fn entered_lock(&mut self, call: CallId, entered: Result<Entry, Status>) {
        match entered {
            Ok(Entry::Held(response)) => self.finish(call, Ok(Response::Lock(response))),
            Ok(Entry::Waits(contest)) => self.contend(call, contest),
            Err(status) => self.end(call, Err(status.wrapped())),
        }
    }

    /// Writes the key, and looks whether it is the oldest one.
    pub(super) fn enter_lock(&mut self, token: Option<&str>, lock: &Lock) -> Result<Entry, Status> {
        let lease = self.session(token, lock.lease)?;
        let prefix = contest_prefix(&lock.name);
        let key = contestant_key(&prefix, lease);
        let owner = first_created(&prefix, SortOrder::Ascend);
        let txn = Txn::when([Compare::create_revision(&key).eq(0)])
            .then([
                TxnOp::from(Put::new(&key, "").lease(lease)),
                TxnOp::from(owner.clone()),
            ])
            .otherwise([Get::new(&key), owner]);
        let response = self.txn(token, &txn)?;
        let mut found = response.responses.iter().map(|response| match response {
            TxnOpResponse::Get(got) => got.first().map(|pair| pair.create_revision),
            _ => None,
        });
        let own = found.next().flatten();
        let owner = found.next().flatten();
        // Just written, or written before by the same lease.
        let revision = own.unwrap_or(response.header.revision);
        if owner.is_none_or(|owner| owner == revision) {
            return Ok(Entry::Held(locked(response.header, key)));
        }
        Ok(Entry::Waits(Contest {
            prefix,
            key,
            revision,
            goal: Goal::Lock,
            predecessor: Bytes::new(),
            from: 0,
        }))
    }

    /// Nobody is before the contestant any more; what is left to see is whether its own key is still there.
    pub(super) fn take_lock_turn(
        &mut self,
        call: CallId,
        token: Option<&str>,
        contest: &Contest,
        header: ResponseHeader,
    ) {
        if self.config.dialect == Dialect::G1_6 {
            // 3.4 does not look, and grants a lock to a session that has expired.
            return self.finish(call, Ok(Response::Lock(locked(header, contest.key.clone()))));
        }
        match self.range(token, &Get::new(&contest.key)) {
            Ok(found) if found.kvs.is_empty() => self.end(call, Err(EtcdError::SessionExpired.into())),
            Ok(found) => {
                let response = locked(found.header, contest.key.clone());
                self.finish(call, Ok(Response::Lock(response)));
            }
            Err(status) => self.lose_turn(call, contest, status),
        }
    }

    pub(super) fn unlock(&mut self, token: Option<&str>, unlock: &Unlock) -> Result<UnlockResponse, Status> {
        let deleted = self
            .delete_range(token, &Delete::new(&unlock.key))
            .map_err(Status::wrapped)?;
        let mut response = UnlockResponse::default();
        response.header = deleted.header;
        Ok(response)
    }

    /// The lease of a contestant: the one it brings, which is not looked at, or a new one.
    pub(super) fn session(&mut self, token: Option<&str>, lease: i64) -> Result<i64, Status> {
        if lease != 0 {
            return Ok(lease);
        }
        Ok(self.lease_grant(token, &LeaseGrant::new(SESSION_TTL))?.id)
    }
}

/// What entering a lock has led to.
pub(super) enum Entry {
    Held(LockResponse),
    Waits(Contest),
}

fn locked(header: ResponseHeader, key: Bytes) -> LockResponse {
    let mut response = LockResponse::default();
    (response.header, response.key) = (header, key);
    response
}
