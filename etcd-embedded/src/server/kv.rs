//! The key-value service.
//!
//! Source: `server/etcdserver/v3_server.go`, `apply/{auth,capped,corrupt}.go`, `api/v3rpc/{key,quota}.go`.

use etcd_core::error::EtcdError;
use etcd_core::message::{
    Compact, CompactResponse, Delete, DeleteResponse, Get, GetResponse, Put, PutResponse, Txn, TxnOp,
    TxnResponse,
};

use super::Server;
use crate::Status;
use crate::auth::{Access, Identity};
use crate::protobuf::delimited;
use crate::state::Alarm;
use crate::store::{check_get, check_put, check_txn, encoded_size, is_read_only, put_cost, txn_cost};

/// What an entry of the log holds besides the request: its header with the id of the proposal.
const ENTRY_OVERHEAD: usize = 14;

impl Server {
    pub(super) fn range(&mut self, token: Option<&str>, get: &Get) -> Result<GetResponse, Status> {
        self.check_received(encoded_size(get))?;
        check_get(get)?;
        let identity = self.identity(token)?;
        self.state
            .users
            .check(identity.as_ref(), Access::Read, &get.key, &get.range_end)?;
        let mut response = self.state.store.range(get)?;
        response.header = self.header_at(response.header.revision);
        Ok(response)
    }

    pub(super) fn put(&mut self, token: Option<&str>, put: &Put) -> Result<PutResponse, Status> {
        self.check_received(encoded_size(put))?;
        self.check_quota(put_cost(put))?;
        check_put(put)?;
        let identity = self.propose(token, encoded_size(put))?;
        self.check_not_corrupt()?;
        self.check_space(true)?;
        self.check_put_permitted(identity.as_ref(), put)?;
        let mut response = self.state.store.put(&mut self.state.leases, put)?;
        response.header = self.header_at(response.header.revision);
        Ok(response)
    }

    pub(super) fn delete_range(
        &mut self,
        token: Option<&str>,
        delete: &Delete,
    ) -> Result<DeleteResponse, Status> {
        self.check_received(encoded_size(delete))?;
        if delete.key.is_empty() {
            return Err(EtcdError::EmptyKey.into());
        }
        let identity = self.propose(token, encoded_size(delete))?;
        self.check_not_corrupt()?;
        self.check_delete_permitted(identity.as_ref(), delete)?;
        let mut response = self.state.store.delete(&mut self.state.leases, delete);
        response.header = self.header_at(response.header.revision);
        Ok(response)
    }

    pub(super) fn txn(&mut self, token: Option<&str>, txn: &Txn) -> Result<TxnResponse, Status> {
        let size = encoded_size(txn);
        self.check_received(size)?;
        self.check_quota(txn_cost(txn))?;
        check_txn(txn, self.config.max_txn_ops)?;
        let identity = if is_read_only(txn) {
            self.identity(token)?
        } else {
            let identity = self.propose(token, size)?;
            self.check_not_corrupt()?;
            self.check_space(txn_cost(txn) > 0)?;
            identity
        };
        self.check_txn_permitted(identity.as_ref(), txn)?;
        let mut response = self.state.store.txn(&mut self.state.leases, txn)?;
        response.header = self.header_at(response.header.revision);
        Ok(response)
    }

    pub(super) fn compact(
        &mut self,
        token: Option<&str>,
        compact: &Compact,
    ) -> Result<CompactResponse, Status> {
        if self.config.dialect.guards_calls_without_keys() {
            self.require_admin(token)?;
        }
        self.propose(token, 0)?;
        self.check_not_corrupt()?;
        let keep_deletions = self.config.dialect.compaction_keeps_its_deletions();
        self.state.store.compact(compact.revision, keep_deletions)?;
        let mut response = CompactResponse::default();
        response.header = self.header();
        Ok(response)
    }

    /// Takes a request into the log.
    pub(super) fn propose(
        &mut self,
        token: Option<&str>,
        size: usize,
    ) -> Result<Option<Identity>, EtcdError> {
        let identity = self.identity(token)?;
        if ENTRY_OVERHEAD + delimited(size) > self.config.max_request_bytes {
            return Err(EtcdError::RequestTooLarge);
        }
        self.enter_log()?;
        Ok(identity)
    }

    pub(super) fn check_quota(&mut self, cost: u64) -> Result<(), EtcdError> {
        // The member that was asked has looked already when an entry is applied.
        if cost == 0 || self.applying().is_some() || self.database_size() + cost < self.config.quota() {
            return Ok(());
        }
        self.raise_out_of_space();
        Err(EtcdError::NoSpace)
    }

    pub(super) fn check_space(&self, needed: bool) -> Result<(), EtcdError> {
        super::ensure(
            !needed || !self.state.has_alarm(Alarm::NoSpace),
            EtcdError::NoSpace,
        )
    }

    pub(super) fn check_not_corrupt(&self) -> Result<(), EtcdError> {
        super::ensure(!self.state.has_alarm(Alarm::Corrupt), EtcdError::Corrupt)
    }

    fn check_received(&self, size: usize) -> Result<(), Status> {
        let limit = self.config.max_request_bytes + crate::config::GRPC_OVERHEAD_BYTES;
        if size <= limit {
            return Ok(());
        }
        Err(Status::new(
            etcd_core::error::Code::ResourceExhausted,
            format!("grpc: received message larger than max ({size} vs. {limit})"),
        ))
    }

    fn check_put_permitted(&self, identity: Option<&Identity>, put: &Put) -> Result<(), EtcdError> {
        let users = &self.state.users;
        let end = bytes::Bytes::new();
        users.check(identity, Access::Write, &put.key, &end)?;
        // A lease with a key this user may not write cannot be revoked by this user, so neither can it be joined.
        self.check_lease_keys(identity, Access::Write, put.lease)?;
        if put.prev_kv {
            users.check(identity, Access::Read, &put.key, &end)?;
        }
        Ok(())
    }

    fn check_delete_permitted(&self, identity: Option<&Identity>, delete: &Delete) -> Result<(), EtcdError> {
        let users = &self.state.users;
        users.check(identity, Access::Write, &delete.key, &delete.range_end)?;
        if delete.prev_kv {
            users.check(identity, Access::Read, &delete.key, &delete.range_end)?;
        }
        Ok(())
    }

    /// Both branches count, whichever would run.
    fn check_txn_permitted(&self, identity: Option<&Identity>, txn: &Txn) -> Result<(), EtcdError> {
        let users = &self.state.users;
        let thorough = self.config.dialect.checks_permissions_within_transactions();
        for compare in &txn.compare {
            users.check(identity, Access::Read, &compare.key, &compare.range_end)?;
        }
        for operation in txn.success.iter().chain(&txn.failure) {
            match operation {
                TxnOp::Get(get) => users.check(identity, Access::Read, &get.key, &get.range_end)?,
                TxnOp::Put(put) if thorough => self.check_put_permitted(identity, put)?,
                TxnOp::Put(put) => users.check(identity, Access::Write, &put.key, &bytes::Bytes::new())?,
                TxnOp::Delete(delete) => self.check_delete_permitted(identity, delete)?,
                TxnOp::Txn(inner) if thorough => self.check_txn_permitted(identity, inner)?,
                _ => {}
            }
        }
        Ok(())
    }
}
