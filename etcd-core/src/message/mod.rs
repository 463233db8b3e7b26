//! The messages of every etcd v3 RPC, as plain data.
//!
//! A request is named after what it does ([`Put`], [`Get`], [`LeaseGrant`]), its answer after the request
//! ([`PutResponse`]). Field names are etcd's, in Rust's case; fields that newer servers added (up to 3.7) are
//! there and hold their default where an older server does not send them. What an even newer server adds is
//! skipped, and values that its enums gain are kept as `Other`.
//!
//! Requests are built with methods named like their fields and say with [`Request::validate`] whether they
//! can be sent at all. They are `#[non_exhaustive]`: start from `new` or `Default`.
//!
//! Source: `api/etcdserverpb/rpc.proto`, `api/mvccpb/kv.proto`, `api/authpb/auth.proto`,
//! `server/etcdserver/api/v3lock/v3lockpb/v3lock.proto` and
//! `server/etcdserver/api/v3election/v3electionpb/v3election.proto` of etcd.
//!
//! [`Request::validate`]: crate::rpc::Request::validate

mod auth;
mod cluster;
mod compare;
mod election;
mod header;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod role;
mod txn;
mod user;
mod watch;

pub use auth::{
    AuthDisable, AuthDisableResponse, AuthEnable, AuthEnableResponse, AuthStatus, AuthStatusResponse,
    Authenticate, AuthenticateResponse,
};
pub use cluster::{
    Member, MemberAdd, MemberAddResponse, MemberList, MemberListResponse, MemberPromote,
    MemberPromoteResponse, MemberRemove, MemberRemoveResponse, MemberUpdate, MemberUpdateResponse,
};
pub use compare::{Compare, CompareResult, CompareTarget, Comparison};
pub use election::{
    Campaign, CampaignResponse, Leader, LeaderKey, LeaderResponse, Observe, Proclaim, ProclaimResponse,
    Resign, ResignResponse,
};
pub use header::ResponseHeader;
pub use kv::{
    Compact, CompactResponse, Delete, DeleteResponse, Get, GetResponse, KeyValue, Put, PutResponse,
    RangeStream, RangeStreamResponse, SortOrder, SortTarget,
};
pub use lease::{
    LeaseGrant, LeaseGrantResponse, LeaseKeepAlive, LeaseKeepAliveResponse, LeaseList, LeaseListResponse,
    LeaseRevoke, LeaseRevokeResponse, LeaseStatus, LeaseTimeToLive, LeaseTimeToLiveResponse, MAX_LEASE_TTL,
};
pub use lock::{Lock, LockResponse, Unlock, UnlockResponse};
pub use maintenance::{
    Alarm, AlarmAction, AlarmMember, AlarmResponse, AlarmType, Defragment, DefragmentResponse, Downgrade,
    DowngradeAction, DowngradeInfo, DowngradeResponse, Hash, HashKv, HashKvResponse, HashResponse,
    MoveLeader, MoveLeaderResponse, Snapshot, SnapshotResponse, Status, StatusResponse,
};
pub use role::{
    Permission, PermissionType, RoleAdd, RoleAddResponse, RoleDelete, RoleDeleteResponse, RoleGet,
    RoleGetResponse, RoleGrantPermission, RoleGrantPermissionResponse, RoleList, RoleListResponse,
    RoleRevokePermission, RoleRevokePermissionResponse,
};
pub use txn::{MAX_TXN_OPS, Txn, TxnOp, TxnOpResponse, TxnResponse};
pub use user::{
    UserAdd, UserAddOptions, UserAddResponse, UserChangePassword, UserChangePasswordResponse, UserDelete,
    UserDeleteResponse, UserGet, UserGetResponse, UserGrantRole, UserGrantRoleResponse, UserList,
    UserListResponse, UserRevokeRole, UserRevokeRoleResponse,
};
pub use watch::{
    Event, EventType, Watch, WatchCancel, WatchCreate, WatchFilter, WatchProgress, WatchResponse,
};
