//! The maintenance service.
//!
//! Source: `server/etcdserver/api/v3rpc/maintenance.go`, `apply.go`.

use bytes::Bytes;
use etcd_core::error::EtcdError;
use etcd_core::message::{
    Alarm, AlarmAction, AlarmMember, AlarmResponse, AlarmType, DefragmentResponse, Downgrade,
    DowngradeAction, DowngradeResponse, HashKv, HashKvResponse, HashResponse, MoveLeader, MoveLeaderResponse,
    SnapshotResponse, StatusResponse,
};

use super::{CallId, Server, ensure, unimplemented};
use crate::snapshot::{self, SNAPSHOT_CHUNK_BYTES};
use crate::state;
use crate::{Dialect, Request, Response, Status};

/// What a database consists of besides keys, and what it grows by.
const BASE_BYTES: u64 = 20 * 1024;
const PAGE_BYTES: u64 = 4096;

impl Server {
    pub(super) fn answer_maintenance(
        &mut self,
        token: Option<&str>,
        request: Request,
    ) -> Result<Response, Status> {
        match request {
            Request::Alarm(alarm) => self.alarm(token, &alarm).map(Response::Alarm),
            Request::Status(_) => self.status(token).map(Response::Status),
            Request::Defragment(_) => {
                self.require_admin_raw(token)?;
                self.state.store.defragment();
                // The gateway leaves the header empty.
                Ok(Response::Defragment(DefragmentResponse::default()))
            }
            Request::Hash(_) => self.hash(token).map(Response::Hash),
            Request::HashKv(hash) => self.hash_kv(token, &hash).map(Response::HashKv),
            Request::MoveLeader(target) => self.move_leader(token, &target).map(Response::MoveLeader),
            Request::Downgrade(downgrade) => self.downgrade(token, &downgrade).map(Response::Downgrade),
            other => Err(unimplemented(other.rpc())),
        }
    }

    /// As [`require_admin`](Self::require_admin), with the error as the `auth` package words it: these calls forget
    /// to translate it.
    fn require_admin_raw(&mut self, token: Option<&str>) -> Result<(), Status> {
        self.require_admin(token)
            .map_err(|error| Status::from(error).in_words_of_auth())
    }

    /// Demands an administrator where the dialect does.
    pub(super) fn require_admin_if_guarded(&mut self, token: Option<&str>) -> Result<(), EtcdError> {
        if self.config.dialect.guards_calls_without_keys() {
            self.require_admin(token)
        } else {
            Ok(())
        }
    }

    fn alarm(&mut self, token: Option<&str>, alarm: &Alarm) -> Result<AlarmResponse, Status> {
        match alarm.action {
            AlarmAction::Get => self.require_identity(token)?,
            _ => self.require_admin_if_guarded(token)?,
        }
        if self.config.dialect == Dialect::G1_6 {
            // One of the calls that forget to translate the error there.
            self.propose(token, 0)
                .map_err(|error| Status::from(error).in_words_of_auth())?;
        } else {
            self.propose(token, 0)?;
        }
        let mut response = AlarmResponse::default();
        if self.config.dialect != Dialect::G1_6 {
            response.header = self.header();
        }
        let alarms = &mut self.state.alarms;
        let kind = state::Alarm::from_type(&alarm.alarm);
        let concerned: Vec<_> = match (&alarm.action, kind) {
            (AlarmAction::Get, None) => alarms.iter().copied().collect(),
            (AlarmAction::Get, Some(kind)) => alarms
                .iter()
                .copied()
                .filter(|(known, _)| *known == kind)
                .collect(),
            (AlarmAction::Activate, Some(kind)) => {
                alarms.insert((kind, alarm.member_id));
                vec![(kind, alarm.member_id)]
            }
            (AlarmAction::Deactivate, Some(kind)) => {
                let removed = alarms.remove(&(kind, alarm.member_id));
                removed.then_some((kind, alarm.member_id)).into_iter().collect()
            }
            _ => Vec::new(),
        };
        response.alarms = concerned
            .into_iter()
            .map(|(kind, member)| {
                let mut alarm = AlarmMember::default();
                alarm.member_id = member;
                alarm.alarm = kind.to_type();
                alarm
            })
            .collect();
        debug_assert!(response.alarms.iter().all(|alarm| alarm.alarm != AlarmType::None));
        Ok(response)
    }

    fn status(&mut self, token: Option<&str>) -> Result<StatusResponse, Status> {
        self.require_admin_if_guarded(token)?;
        let mut response = StatusResponse::default();
        response.header = self.header();
        response.version = self.config.dialect.server_version().to_owned();
        response.db_size = self.database_size().cast_signed();
        response.db_size_in_use = pages(self.state.store.size()).cast_signed();
        response.leader = self.leader_id();
        response.raft_index = self.applied;
        response.raft_applied_index = self.applied;
        response.raft_term = self.term();
        if !self.has_leader() {
            response.errors.push(EtcdError::NoLeader.to_string());
        }
        response.errors.extend(
            self.state
                .alarms
                .iter()
                // As the generated Go code prints the message, with a space after each field.
                .map(|(alarm, member)| format!("memberID:{member} alarm:{} ", alarm.name())),
        );
        Ok(response)
    }

    fn hash(&mut self, token: Option<&str>) -> Result<HashResponse, Status> {
        self.require_admin_raw(token)?;
        let mut response = HashResponse::default();
        response.header = self.header();
        response.hash = self.state.store.hash(0)?;
        Ok(response)
    }

    fn hash_kv(&mut self, token: Option<&str>, hash: &HashKv) -> Result<HashKvResponse, Status> {
        self.require_admin_raw(token)?;
        let mut response = HashKvResponse::default();
        response.hash = self.state.store.hash(hash.revision)?;
        response.compact_revision = self.state.store.compact_revision();
        response.header = self.header();
        Ok(response)
    }

    /// The only member leads already; to pass the leadership to it changes nothing.
    fn move_leader(
        &mut self,
        token: Option<&str>,
        target: &MoveLeader,
    ) -> Result<MoveLeaderResponse, Status> {
        self.require_admin_if_guarded(token)?;
        ensure(target.target_id == self.member_id, EtcdError::BadLeaderTransferee)?;
        Ok(MoveLeaderResponse::default())
    }

    fn downgrade(&mut self, token: Option<&str>, downgrade: &Downgrade) -> Result<DowngradeResponse, Status> {
        if self.config.dialect == Dialect::G1_6 {
            return Err(unimplemented(&etcd_core::rpc::rows::DOWNGRADE));
        }
        self.require_admin_if_guarded(token)?;
        match downgrade.action {
            DowngradeAction::Cancel => {
                ensure(self.state.downgrade.is_some(), EtcdError::NoInflightDowngrade)?;
                self.propose(token, 0)?;
                self.state.downgrade = None;
            }
            _ => {
                let version =
                    cluster_version(&downgrade.version).ok_or(EtcdError::WrongDowngradeVersionFormat)?;
                let current = cluster_version(self.config.dialect.cluster_version()).unwrap_or_default();
                let allowed = (current.0, current.1 - 1);
                ensure(version == allowed, EtcdError::InvalidDowngradeTargetVersion)?;
                ensure(self.state.downgrade.is_none(), EtcdError::DowngradeInProcess)?;
                if downgrade.action == DowngradeAction::Enable {
                    self.propose(token, 0)?;
                    self.state.downgrade = Some(format!("{}.{}.0", version.0, version.1));
                }
            }
        }
        let mut response = DowngradeResponse::default();
        response.header = self.header();
        response.version = self.config.dialect.cluster_version().to_owned();
        Ok(response)
    }

    pub(super) fn take_snapshot(&mut self, call: CallId, token: Option<&str>) {
        if let Err(status) = self.require_admin_raw(token) {
            return self.end(call, Err(status));
        }
        let bytes = Bytes::from(snapshot::encode(&self.state));
        let digest = snapshot::digest(&bytes);
        for start in (0..bytes.len()).step_by(SNAPSHOT_CHUNK_BYTES) {
            let end = bytes.len().min(start + SNAPSHOT_CHUNK_BYTES);
            let mut piece = SnapshotResponse::default();
            piece.remaining_bytes = (bytes.len() - end) as u64;
            piece.blob = bytes.slice(start..end);
            self.send(call, Response::Snapshot(piece));
        }
        let mut trailer = SnapshotResponse::default();
        trailer.blob = Bytes::copy_from_slice(&digest);
        self.send(call, Response::Snapshot(trailer));
        self.end(call, Ok(()));
    }

    /// What the database would occupy: an estimate, in whole pages.
    pub(super) fn database_size(&self) -> u64 {
        pages(self.state.store.allocated())
    }
}

/// What a database occupies whose versions occupy `bytes`.
fn pages(bytes: u64) -> u64 {
    (BASE_BYTES + bytes).div_ceil(PAGE_BYTES) * PAGE_BYTES
}

/// Major and minor of a version that is written as two or three numbers.
fn cluster_version(text: &str) -> Option<(u32, u32)> {
    let numbers: Option<Vec<u32>> = text.split('.').map(|number| number.parse().ok()).collect();
    match numbers?[..] {
        [major, minor] | [major, minor, _] => Some((major, minor)),
        _ => None,
    }
}
