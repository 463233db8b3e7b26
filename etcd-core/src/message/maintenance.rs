//! Looking after members and their databases.

use bytes::Bytes;

use super::ResponseHeader;
use crate::codec::{message, open_enum};

open_enum! {
    /// What to do with alarms.
    pub enum AlarmAction {
        /// Lists them.
        Get = 0 "GET",
        /// Raises one.
        Activate = 1 "ACTIVATE",
        /// Clears them.
        Deactivate = 2 "DEACTIVATE",
    }
}

open_enum! {
    /// A kind of alarm.
    pub enum AlarmType {
        /// None: any kind, when listing or clearing.
        None = 0 "NONE",
        /// The database has reached its quota; writes are refused.
        NoSpace = 1 "NOSPACE",
        /// A member's store is corrupt.
        Corrupt = 2 "CORRUPT",
    }
}

message! {
    /// Lists, raises or clears alarms; `AlarmRequest` in etcd's protocol.
    pub struct Alarm {
        /// What to do.
        action: AlarmAction,
        /// The member concerned; of no account when listing.
        member_id as "memberID": u64,
        /// The kind concerned.
        alarm: AlarmType,
    }
}

impl Alarm {
    /// Lists the alarms that are raised.
    #[must_use]
    pub fn list() -> Self {
        Self::default()
    }

    /// Raises an alarm for the member `member_id`.
    #[must_use]
    pub fn activate(alarm: AlarmType, member_id: u64) -> Self {
        Self {
            action: AlarmAction::Activate,
            member_id,
            alarm,
        }
    }

    /// Clears an alarm of the member `member_id`. There is no id that stands for all members: a server looks for
    /// an alarm of exactly this one and answers without any if there is none
    /// (`server/etcdserver/api/v3alarm/alarms.go`, `Deactivate`).
    #[must_use]
    pub fn deactivate(alarm: AlarmType, member_id: u64) -> Self {
        Self {
            action: AlarmAction::Deactivate,
            member_id,
            alarm,
        }
    }
}

message! {
    /// An alarm of a member.
    pub struct AlarmMember {
        /// The member.
        member_id as "memberID": u64,
        /// What is wrong with it.
        alarm: AlarmType,
    }
}

message! {
    /// The answer to [`Alarm`].
    pub struct AlarmResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The alarms concerned.
        alarms: Vec<AlarmMember>,
    }
}

message! {
    /// Asks a member how it is; `StatusRequest` in etcd's protocol.
    pub struct Status {}
}

message! {
    /// The answer to [`Status`].
    pub struct StatusResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The member's version of etcd.
        version: String,
        /// The size of its database file, in bytes.
        db_size as "dbSize": i64,
        /// The member it believes to lead, 0 for none.
        leader: u64,
        /// The raft index it knows to be committed.
        raft_index as "raftIndex": u64,
        /// Its raft term.
        raft_term as "raftTerm": u64,
        /// The raft index it has applied (etcd 3.4 and newer).
        raft_applied_index as "raftAppliedIndex": u64,
        /// Alarms and other trouble (3.4 and newer).
        errors: Vec<String>,
        /// How much of the database file is in use, in bytes (3.4 and newer).
        db_size_in_use as "dbSizeInUse": i64,
        /// Whether it is a learner (3.4 and newer).
        is_learner as "isLearner": bool,
        /// The version of the database's format (3.6 and newer).
        storage_version as "storageVersion": String,
        /// The quota of the database, in bytes (3.6 and newer).
        db_size_quota as "dbSizeQuota": i64,
        /// The downgrade in progress (3.6 and newer).
        downgrade_info as "downgradeInfo": Option<DowngradeInfo>,
    }
}

message! {
    /// A downgrade of the cluster.
    pub struct DowngradeInfo {
        /// Whether one is in progress.
        enabled: bool,
        /// The version it leads to.
        target_version as "targetVersion": String,
    }
}

message! {
    /// Returns a member's free space to its file system; `DefragmentRequest` in etcd's protocol.
    pub struct Defragment {}
}

message! {
    /// The answer to [`Defragment`].
    pub struct DefragmentResponse {
        /// Who answered; the gateway leaves it empty.
        header: ResponseHeader,
    }
}

message! {
    /// Asks for a checksum of a member's database; `HashRequest` in etcd's protocol.
    pub struct Hash {}
}

message! {
    /// The answer to [`Hash`](struct@Hash).
    pub struct HashResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The checksum.
        hash: u32,
    }
}

message! {
    /// Asks for a checksum of a member's keys up to a revision; `HashKVRequest` in etcd's protocol.
    pub struct HashKv {
        /// The last revision that counts, 0 for all.
        revision: i64,
    }
}

impl HashKv {
    /// Up to `revision`; 0 for all there are.
    #[must_use]
    pub fn new(revision: i64) -> Self {
        Self { revision }
    }
}

message! {
    /// The answer to [`HashKv`].
    pub struct HashKvResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The checksum.
        hash: u32,
        /// The oldest readable revision when the hash began.
        compact_revision: i64,
        /// The revision the hash goes up to (3.6 and newer).
        hash_revision: i64,
    }
}

message! {
    /// Asks for a copy of a member's database; `SnapshotRequest` in etcd's protocol.
    pub struct Snapshot {}
}

message! {
    /// One piece of the answer to [`Snapshot`].
    pub struct SnapshotResponse {
        /// Who answered; the first one tells the time of the snapshot.
        header: ResponseHeader,
        /// How many bytes follow, the closing checksum aside.
        remaining_bytes: u64,
        /// The next bytes. The very last 32 are the SHA-256 of all others.
        blob: Bytes,
        /// The version of the member that made the snapshot (3.6 and newer).
        version: String,
    }
}

message! {
    /// Makes another member leader; to be sent to the leader. `MoveLeaderRequest` in etcd's protocol.
    pub struct MoveLeader {
        /// The member that is to lead.
        target_id as "targetID": u64,
    }
}

impl MoveLeader {
    /// Passes the leadership to the member `target_id`.
    #[must_use]
    pub fn new(target_id: u64) -> Self {
        Self { target_id }
    }
}

message! {
    /// The answer to [`MoveLeader`].
    pub struct MoveLeaderResponse {
        /// Who answered; the gateway leaves it empty.
        header: ResponseHeader,
    }
}

open_enum! {
    /// A step of a downgrade.
    pub enum DowngradeAction {
        /// Asks whether the cluster could be downgraded.
        Validate = 0 "VALIDATE",
        /// Begins.
        Enable = 1 "ENABLE",
        /// Calls it off.
        Cancel = 2 "CANCEL",
    }
}

message! {
    /// Prepares the cluster for an older version of etcd (3.5 and newer); `DowngradeRequest`.
    pub struct Downgrade {
        /// The step.
        action: DowngradeAction,
        /// The version to go down to, as `major.minor`.
        version: String,
    }
}

impl Downgrade {
    /// Asks whether the cluster could go down to `version`.
    #[must_use]
    pub fn validate(version: impl Into<String>) -> Self {
        Self {
            action: DowngradeAction::Validate,
            version: version.into(),
        }
    }

    /// Begins going down to `version`.
    #[must_use]
    pub fn enable(version: impl Into<String>) -> Self {
        Self {
            action: DowngradeAction::Enable,
            version: version.into(),
        }
    }

    /// Calls the downgrade off.
    #[must_use]
    pub fn cancel() -> Self {
        Self {
            action: DowngradeAction::Cancel,
            version: String::new(),
        }
    }
}

message! {
    /// The answer to [`Downgrade`].
    pub struct DowngradeResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The cluster's version now.
        version: String,
    }
}
