//! What ties a request to its RPC, and what is refused before anything is sent.

use super::{Rpc, rows, txn};
use crate::codec::Message;
use crate::error::{InvalidArgument, RetryClass};
use crate::message::*;

/// A request: which RPC it belongs to, what answers it, and whether it can be sent.
///
/// Implemented by the messages of [`crate::message`] and by no others.
pub trait Request: Message + Send + Sync + 'static {
    /// The message that answers it; each of them, where the answers stream.
    type Response: Message + Send + 'static;

    /// The RPC.
    const RPC: &'static Rpc;

    /// Refuses what no server accepts, or what servers take for something else than it seems to mean.
    ///
    /// Limits that servers can configure are checked as far as `limits` states them; sizes are left to the
    /// server.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`] says what is wrong.
    fn validate(&self, limits: &Limits) -> Result<(), InvalidArgument> {
        let _ = limits;
        Ok(())
    }

    /// What a repetition of this very request would do: the class of its RPC, or better where the request
    /// itself shows it (a transaction that only reads).
    fn retry_class(&self) -> RetryClass {
        Self::RPC.retry
    }

    /// Whether the answer reflects everything that was acknowledged, anywhere, before the request was sent.
    ///
    /// Only then does a lower revision than one already seen mean that the cluster lost data.
    fn is_linearizable(&self) -> bool {
        false
    }

    /// Whether a member without a leader cannot serve it, and should say so at once instead of letting it wait.
    fn needs_leader(&self) -> bool {
        // What looks after a member is that member's own business.
        Self::RPC.service != rows::STATUS.service
    }

    /// Who answered.
    fn header(response: &Self::Response) -> &ResponseHeader;
}

/// What the servers in use are configured to accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most operations, or conditions, in a branch of a transaction, counting the branches it lies in
    /// (`--max-txn-ops`). Default [`MAX_TXN_OPS`].
    pub max_txn_ops: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_txn_ops: MAX_TXN_OPS,
        }
    }
}

/// Declares requests: type, response, row of the table, and the checks its fields must pass.
macro_rules! requests {
    ($( $request:ty => $response:ty, $row:ident $(, |$this:ident| $check:expr)?; )*) => {
        $(
            impl Request for $request {
                type Response = $response;
                const RPC: &'static Rpc = &rows::$row;

                fn header(response: &$response) -> &ResponseHeader {
                    &response.header
                }

                $(
                    fn validate(&self, _: &Limits) -> Result<(), InvalidArgument> {
                        let $this = self;
                        $check
                    }
                )?
            }
        )*
    };
}

requests! {
    Compact => CompactResponse, COMPACT, |compact| {
        positive("the revision", compact.revision)
    };
    Watch => WatchResponse, WATCH, |watch| match watch {
        Watch::Create(create) => key_given(&create.key),
        Watch::Cancel(_) | Watch::Progress(_) => Ok(()),
        // A server waits for ever after a stream that begins with an empty message.
        Watch::Unknown => Err(InvalidArgument::EmptyOperation),
    };

    LeaseGrant => LeaseGrantResponse, LEASE_GRANT, |grant| match grant.ttl {
        given @ ..=0 => Err(InvalidArgument::NonPositiveTtl { given }),
        1..=MAX_LEASE_TTL => Ok(()),
        given => Err(InvalidArgument::TtlTooLarge { given, limit: MAX_LEASE_TTL }),
    };
    LeaseRevoke => LeaseRevokeResponse, LEASE_REVOKE, |revoke| lease_given(revoke.id);
    LeaseKeepAlive => LeaseKeepAliveResponse, LEASE_KEEP_ALIVE, |renewal| lease_given(renewal.id);
    LeaseTimeToLive => LeaseTimeToLiveResponse, LEASE_TIME_TO_LIVE, |query| lease_given(query.id);
    LeaseList => LeaseListResponse, LEASE_LEASES;

    Lock => LockResponse, LOCK, |lock| name_given("lock", &lock.name).and_then(|()| lease_given(lock.lease));
    Unlock => UnlockResponse, UNLOCK, |unlock| key_given(&unlock.key);

    Campaign => CampaignResponse, CAMPAIGN, |campaign| {
        name_given("election", &campaign.name).and_then(|()| lease_given(campaign.lease))
    };
    Proclaim => ProclaimResponse, PROCLAIM, |proclaim| leader_given(proclaim.leader.as_ref());
    Leader => LeaderResponse, LEADER, |leader| name_given("election", &leader.name);
    Observe => LeaderResponse, OBSERVE, |observe| name_given("election", &observe.name);
    Resign => ResignResponse, RESIGN, |resign| leader_given(resign.leader.as_ref());

    AuthEnable => AuthEnableResponse, AUTH_ENABLE;
    AuthDisable => AuthDisableResponse, AUTH_DISABLE;
    AuthStatus => AuthStatusResponse, AUTH_STATUS;
    Authenticate => AuthenticateResponse, AUTHENTICATE, |login| name_given("user", login.name.as_bytes());
    UserAdd => UserAddResponse, USER_ADD, |add| name_given("user", add.name.as_bytes());
    UserGet => UserGetResponse, USER_GET, |get| name_given("user", get.name.as_bytes());
    UserList => UserListResponse, USER_LIST;
    UserDelete => UserDeleteResponse, USER_DELETE, |delete| name_given("user", delete.name.as_bytes());
    UserChangePassword => UserChangePasswordResponse, USER_CHANGE_PASSWORD, |change| {
        name_given("user", change.name.as_bytes())
    };
    UserGrantRole => UserGrantRoleResponse, USER_GRANT_ROLE, |grant| {
        name_given("user", grant.user.as_bytes()).and_then(|()| name_given("role", grant.role.as_bytes()))
    };
    UserRevokeRole => UserRevokeRoleResponse, USER_REVOKE_ROLE, |revoke| {
        name_given("user", revoke.name.as_bytes()).and_then(|()| name_given("role", revoke.role.as_bytes()))
    };
    RoleAdd => RoleAddResponse, ROLE_ADD, |add| name_given("role", add.name.as_bytes());
    RoleGet => RoleGetResponse, ROLE_GET, |get| name_given("role", get.role.as_bytes());
    RoleList => RoleListResponse, ROLE_LIST;
    RoleDelete => RoleDeleteResponse, ROLE_DELETE, |delete| name_given("role", delete.role.as_bytes());
    RoleGrantPermission => RoleGrantPermissionResponse, ROLE_GRANT_PERMISSION, |grant| {
        name_given("role", grant.name.as_bytes())?;
        let permission = grant.permission.as_ref().ok_or(InvalidArgument::Missing { what: "permission" })?;
        key_given(&permission.key)
    };
    RoleRevokePermission => RoleRevokePermissionResponse, ROLE_REVOKE_PERMISSION, |revoke| {
        name_given("role", revoke.role.as_bytes()).and_then(|()| key_given(&revoke.key))
    };

    MemberAdd => MemberAddResponse, MEMBER_ADD, |add| peer_urls_given(&add.peer_urls);
    MemberRemove => MemberRemoveResponse, MEMBER_REMOVE;
    MemberUpdate => MemberUpdateResponse, MEMBER_UPDATE, |update| peer_urls_given(&update.peer_urls);
    MemberPromote => MemberPromoteResponse, MEMBER_PROMOTE;

    Status => StatusResponse, STATUS;
    Defragment => DefragmentResponse, DEFRAGMENT;
    Hash => HashResponse, HASH;
    HashKv => HashKvResponse, HASH_KV;
    Snapshot => SnapshotResponse, SNAPSHOT;
    MoveLeader => MoveLeaderResponse, MOVE_LEADER;
    Downgrade => DowngradeResponse, DOWNGRADE, |downgrade| {
        if downgrade.version.is_empty() && downgrade.action != DowngradeAction::Cancel {
            return Err(InvalidArgument::Missing { what: "version" });
        }
        Ok(())
    };
}

impl Request for Get {
    type Response = GetResponse;
    const RPC: &'static Rpc = &rows::RANGE;

    fn validate(&self, _: &Limits) -> Result<(), InvalidArgument> {
        key_given(&self.key)?;
        sort_target_known(&self.sort_target)
    }

    fn is_linearizable(&self) -> bool {
        !self.serializable
    }

    fn needs_leader(&self) -> bool {
        !self.serializable
    }

    fn header(response: &GetResponse) -> &ResponseHeader {
        &response.header
    }
}

impl Request for RangeStream {
    type Response = RangeStreamResponse;
    const RPC: &'static Rpc = &rows::RANGE_STREAM;

    fn validate(&self, _: &Limits) -> Result<(), InvalidArgument> {
        key_given(&self.key)
    }

    fn header(response: &RangeStreamResponse) -> &ResponseHeader {
        &response.range_response.header
    }
}

impl Request for Put {
    type Response = PutResponse;
    const RPC: &'static Rpc = &rows::PUT;

    fn validate(&self, _: &Limits) -> Result<(), InvalidArgument> {
        key_given(&self.key)?;
        if self.ignore_value && !self.value.is_empty() {
            return Err(InvalidArgument::ValueWithIgnoreValue);
        }
        if self.ignore_lease && self.lease != 0 {
            return Err(InvalidArgument::LeaseWithIgnoreLease);
        }
        Ok(())
    }

    fn is_linearizable(&self) -> bool {
        true
    }

    fn header(response: &PutResponse) -> &ResponseHeader {
        &response.header
    }
}

impl Request for Delete {
    type Response = DeleteResponse;
    const RPC: &'static Rpc = &rows::DELETE_RANGE;

    fn validate(&self, _: &Limits) -> Result<(), InvalidArgument> {
        key_given(&self.key)
    }

    fn is_linearizable(&self) -> bool {
        true
    }

    fn header(response: &DeleteResponse) -> &ResponseHeader {
        &response.header
    }
}

impl Request for Txn {
    type Response = TxnResponse;
    const RPC: &'static Rpc = &rows::TXN;

    fn validate(&self, limits: &Limits) -> Result<(), InvalidArgument> {
        txn::validate(self, limits)
    }

    fn retry_class(&self) -> RetryClass {
        if txn::all_reads(self, |_| true) {
            RetryClass::Read
        } else {
            RetryClass::Write
        }
    }

    fn is_linearizable(&self) -> bool {
        // As the server judges: one that only reads, and only serializably, is served from the member's store
        // (`IsTxnSerializable` in `server/etcdserver/txn/txn.go`).
        !txn::all_reads(self, |get| get.serializable)
    }

    fn needs_leader(&self) -> bool {
        self.is_linearizable()
    }

    fn header(response: &TxnResponse) -> &ResponseHeader {
        &response.header
    }
}

impl Request for MemberList {
    type Response = MemberListResponse;
    const RPC: &'static Rpc = &rows::MEMBER_LIST;

    fn needs_leader(&self) -> bool {
        self.linearizable
    }

    fn header(response: &MemberListResponse) -> &ResponseHeader {
        &response.header
    }
}

impl Request for Alarm {
    type Response = AlarmResponse;
    const RPC: &'static Rpc = &rows::ALARM;

    fn retry_class(&self) -> RetryClass {
        match self.action {
            AlarmAction::Get => RetryClass::Read,
            _ => RetryClass::Idempotent,
        }
    }

    fn header(response: &AlarmResponse) -> &ResponseHeader {
        &response.header
    }
}

pub(super) fn key_given(key: &[u8]) -> Result<(), InvalidArgument> {
    if key.is_empty() {
        Err(InvalidArgument::EmptyKey)
    } else {
        Ok(())
    }
}

/// Servers sort with whatever stands for the target, and end with a panic where nothing does (`Range` in `apply.go` of 3.4
/// and 3.5).
fn sort_target_known(target: &SortTarget) -> Result<(), InvalidArgument> {
    match target {
        SortTarget::Other(_) => Err(InvalidArgument::UnknownSortTarget),
        _ => Ok(()),
    }
}

fn name_given(what: &'static str, name: &[u8]) -> Result<(), InvalidArgument> {
    if name.is_empty() {
        Err(InvalidArgument::EmptyName { what })
    } else {
        Ok(())
    }
}

fn positive(what: &'static str, given: i64) -> Result<(), InvalidArgument> {
    if given > 0 {
        Ok(())
    } else {
        Err(InvalidArgument::NotPositive { what, given })
    }
}

fn lease_given(id: i64) -> Result<(), InvalidArgument> {
    if id == 0 {
        Err(InvalidArgument::NoLease)
    } else {
        Ok(())
    }
}

fn leader_given(leader: Option<&LeaderKey>) -> Result<(), InvalidArgument> {
    match leader {
        Some(leader) if !leader.key.is_empty() => Ok(()),
        _ => Err(InvalidArgument::Missing { what: "leader key" }),
    }
}

fn peer_urls_given(urls: &[String]) -> Result<(), InvalidArgument> {
    if urls.is_empty() {
        Err(InvalidArgument::EmptyList { what: "peer URL" })
    } else {
        Ok(())
    }
}
