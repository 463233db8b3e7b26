//! Requests and responses of all calls, each as one type.

use etcd_core::codec::{DecodeError, from_json, to_json};
use etcd_core::message::*;
use etcd_core::rpc::{Rpc, rows};

/// Declares [`Request`] and [`Response`], one variant for each call.
macro_rules! calls {
    ($( $name:ident($request:ty) => $response:ty, $row:ident; )*) => {
        /// A request, or one message of a stream of them.
        ///
        /// Made from the message itself:
        ///
        /// ```
        /// use etcd_core::message::Put;
        /// use etcd_embedded::Request;
        ///
        /// let request = Request::from(Put::new("k", "v"));
        /// assert_eq!(request.rpc().name, "KV/Put");
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Request {
            $( #[doc = concat!("Of the call `", stringify!($name), "`.")] $name($request), )*
        }

        /// A response, or one message of a stream of them.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Response {
            $( #[doc = concat!("To the call `", stringify!($name), "`.")] $name($response), )*
        }

        $(
            impl From<$request> for Request {
                fn from(request: $request) -> Self {
                    Self::$name(request)
                }
            }
        )*

        impl Request {
            /// The call it belongs to.
            #[must_use]
            pub fn rpc(&self) -> &'static Rpc {
                match self {
                    $( Self::$name(_) => &rows::$row, )*
                }
            }

            /// Decodes the request of a call from its JSON.
            ///
            /// # Errors
            ///
            /// As [`from_json`] has them; `None` for a call that this server does not know.
            pub fn from_json(rpc: &Rpc, json: &[u8]) -> Option<Result<Self, DecodeError>> {
                $(
                    if rpc.name == rows::$row.name {
                        return Some(from_json::<$request>(json).map(Self::$name));
                    }
                )*
                None
            }
        }

        impl Response {
            /// The response as one JSON document.
            #[must_use]
            pub fn to_json(&self) -> Vec<u8> {
                match self {
                    $( Self::$name(response) => to_json(response), )*
                }
            }
        }
    };
}

calls! {
    Range(Get) => GetResponse, RANGE;
    RangeStream(RangeStream) => RangeStreamResponse, RANGE_STREAM;
    Put(Put) => PutResponse, PUT;
    DeleteRange(Delete) => DeleteResponse, DELETE_RANGE;
    Txn(Txn) => TxnResponse, TXN;
    Compact(Compact) => CompactResponse, COMPACT;
    Watch(Watch) => WatchResponse, WATCH;
    LeaseGrant(LeaseGrant) => LeaseGrantResponse, LEASE_GRANT;
    LeaseRevoke(LeaseRevoke) => LeaseRevokeResponse, LEASE_REVOKE;
    LeaseKeepAlive(LeaseKeepAlive) => LeaseKeepAliveResponse, LEASE_KEEP_ALIVE;
    LeaseTimeToLive(LeaseTimeToLive) => LeaseTimeToLiveResponse, LEASE_TIME_TO_LIVE;
    LeaseLeases(LeaseList) => LeaseListResponse, LEASE_LEASES;
    Lock(Lock) => LockResponse, LOCK;
    Unlock(Unlock) => UnlockResponse, UNLOCK;
    Campaign(Campaign) => CampaignResponse, CAMPAIGN;
    Proclaim(Proclaim) => ProclaimResponse, PROCLAIM;
    Leader(Leader) => LeaderResponse, LEADER;
    Observe(Observe) => LeaderResponse, OBSERVE;
    Resign(Resign) => ResignResponse, RESIGN;
    AuthEnable(AuthEnable) => AuthEnableResponse, AUTH_ENABLE;
    AuthDisable(AuthDisable) => AuthDisableResponse, AUTH_DISABLE;
    AuthStatus(AuthStatus) => AuthStatusResponse, AUTH_STATUS;
    Authenticate(Authenticate) => AuthenticateResponse, AUTHENTICATE;
    UserAdd(UserAdd) => UserAddResponse, USER_ADD;
    UserGet(UserGet) => UserGetResponse, USER_GET;
    UserList(UserList) => UserListResponse, USER_LIST;
    UserDelete(UserDelete) => UserDeleteResponse, USER_DELETE;
    UserChangePassword(UserChangePassword) => UserChangePasswordResponse, USER_CHANGE_PASSWORD;
    UserGrantRole(UserGrantRole) => UserGrantRoleResponse, USER_GRANT_ROLE;
    UserRevokeRole(UserRevokeRole) => UserRevokeRoleResponse, USER_REVOKE_ROLE;
    RoleAdd(RoleAdd) => RoleAddResponse, ROLE_ADD;
    RoleGet(RoleGet) => RoleGetResponse, ROLE_GET;
    RoleList(RoleList) => RoleListResponse, ROLE_LIST;
    RoleDelete(RoleDelete) => RoleDeleteResponse, ROLE_DELETE;
    RoleGrantPermission(RoleGrantPermission) => RoleGrantPermissionResponse, ROLE_GRANT_PERMISSION;
    RoleRevokePermission(RoleRevokePermission) => RoleRevokePermissionResponse, ROLE_REVOKE_PERMISSION;
    MemberAdd(MemberAdd) => MemberAddResponse, MEMBER_ADD;
    MemberRemove(MemberRemove) => MemberRemoveResponse, MEMBER_REMOVE;
    MemberUpdate(MemberUpdate) => MemberUpdateResponse, MEMBER_UPDATE;
    MemberList(MemberList) => MemberListResponse, MEMBER_LIST;
    MemberPromote(MemberPromote) => MemberPromoteResponse, MEMBER_PROMOTE;
    Alarm(Alarm) => AlarmResponse, ALARM;
    Status(Status) => StatusResponse, STATUS;
    Defragment(Defragment) => DefragmentResponse, DEFRAGMENT;
    Hash(Hash) => HashResponse, HASH;
    HashKv(HashKv) => HashKvResponse, HASH_KV;
    Snapshot(Snapshot) => SnapshotResponse, SNAPSHOT;
    MoveLeader(MoveLeader) => MoveLeaderResponse, MOVE_LEADER;
    Downgrade(Downgrade) => DowngradeResponse, DOWNGRADE;
}

#[cfg(test)]
mod tests {
    use etcd_core::rpc::RPCS;

    use super::*;

    #[test]
    fn every_call_of_the_table_can_be_decoded() {
        for rpc in RPCS {
            let request = Request::from_json(rpc, b"{}").unwrap_or_else(|| panic!("{} is unknown", rpc.name));
            assert_eq!(request.unwrap().rpc().name, rpc.name);
        }
    }
}
