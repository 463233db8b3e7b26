//! The table of RPCs.

use super::{RetryClass, Rpc, RpcKind};

/// Declares the rows and the table of all of them.
macro_rules! table {
    ($(
        $service:literal $short:literal {
            $( $row:ident = $method:literal, $kind:ident, $retry:ident $(, $waits:ident)? => [$($path:literal),*]; )*
        }
    )*) => {
        /// The rows by name.
        pub mod rows {
            use super::{RetryClass, Rpc, RpcKind};

            $( $(
                #[doc = concat!("`", $short, "/", $method, "`")]
                pub const $row: Rpc = Rpc {
                    service: $service,
                    method: $method,
                    name: concat!($short, "/", $method),
                    paths: &[$($path),*],
                    kind: RpcKind::$kind,
                    retry: RetryClass::$retry,
                    waits: false $( || { stringify!($waits); true } )?,
                };
            )* )*
        }

        /// All RPCs.
        pub const RPCS: &[Rpc] = &[$( $( rows::$row ),* ),*];
    };
}

// `Idempotent` is what leaves the cluster the same however often it is applied, by itself and whatever others
// do in between. Deletions are not: a second one may remove what somebody created after the first. Neither is
// a grant (a second lease lives on) nor an unlock or a resignation (the same lease may have won again). Nor are locks
// and campaigns: the server takes back the key of a caller that went away while it waited (`concurrency.Mutex.Lock`,
// `Election.Campaign`), and a repetition under the same lease shares that key: it may be told that it won just before
// the key goes.
table! {
    "etcdserverpb.KV" "KV" {
        RANGE = "Range", Unary, Read => ["/v3/kv/range"];
        RANGE_STREAM = "RangeStream", ServerStream, Read => [];
        PUT = "Put", Unary, Write => ["/v3/kv/put"];
        DELETE_RANGE = "DeleteRange", Unary, Write => ["/v3/kv/deleterange"];
        TXN = "Txn", Unary, Write => ["/v3/kv/txn"];
        COMPACT = "Compact", Unary, Write => ["/v3/kv/compaction"];
    }
    "etcdserverpb.Watch" "Watch" {
        WATCH = "Watch", Bidirectional, Read, waits => ["/v3/watch"];
    }
    "etcdserverpb.Lease" "Lease" {
        LEASE_GRANT = "LeaseGrant", Unary, Write => ["/v3/lease/grant"];
        LEASE_REVOKE = "LeaseRevoke", Unary, Idempotent => ["/v3/lease/revoke", "/v3/kv/lease/revoke"];
        LEASE_KEEP_ALIVE = "LeaseKeepAlive", Bidirectional, Idempotent => ["/v3/lease/keepalive"];
        LEASE_TIME_TO_LIVE = "LeaseTimeToLive", Unary, Read => ["/v3/lease/timetolive", "/v3/kv/lease/timetolive"];
        LEASE_LEASES = "LeaseLeases", Unary, Read => ["/v3/lease/leases", "/v3/kv/lease/leases"];
    }
    "v3lockpb.Lock" "Lock" {
        LOCK = "Lock", Unary, Write, waits => ["/v3/lock/lock"];
        UNLOCK = "Unlock", Unary, Write => ["/v3/lock/unlock"];
    }
    "v3electionpb.Election" "Election" {
        CAMPAIGN = "Campaign", Unary, Write, waits => ["/v3/election/campaign"];
        PROCLAIM = "Proclaim", Unary, Write => ["/v3/election/proclaim"];
        LEADER = "Leader", Unary, Read => ["/v3/election/leader"];
        OBSERVE = "Observe", ServerStream, Read, waits => ["/v3/election/observe"];
        RESIGN = "Resign", Unary, Write => ["/v3/election/resign"];
    }
    "etcdserverpb.Auth" "Auth" {
        AUTH_ENABLE = "AuthEnable", Unary, Idempotent => ["/v3/auth/enable"];
        AUTH_DISABLE = "AuthDisable", Unary, Write => ["/v3/auth/disable"];
        AUTH_STATUS = "AuthStatus", Unary, Read => ["/v3/auth/status"];
        AUTHENTICATE = "Authenticate", Unary, Read => ["/v3/auth/authenticate"];
        USER_ADD = "UserAdd", Unary, Write => ["/v3/auth/user/add"];
        USER_GET = "UserGet", Unary, Read => ["/v3/auth/user/get"];
        USER_LIST = "UserList", Unary, Read => ["/v3/auth/user/list"];
        USER_DELETE = "UserDelete", Unary, Write => ["/v3/auth/user/delete"];
        USER_CHANGE_PASSWORD = "UserChangePassword", Unary, Write => ["/v3/auth/user/changepw"];
        USER_GRANT_ROLE = "UserGrantRole", Unary, Write => ["/v3/auth/user/grant"];
        USER_REVOKE_ROLE = "UserRevokeRole", Unary, Write => ["/v3/auth/user/revoke"];
        ROLE_ADD = "RoleAdd", Unary, Write => ["/v3/auth/role/add"];
        ROLE_GET = "RoleGet", Unary, Read => ["/v3/auth/role/get"];
        ROLE_LIST = "RoleList", Unary, Read => ["/v3/auth/role/list"];
        ROLE_DELETE = "RoleDelete", Unary, Write => ["/v3/auth/role/delete"];
        ROLE_GRANT_PERMISSION = "RoleGrantPermission", Unary, Write => ["/v3/auth/role/grant"];
        ROLE_REVOKE_PERMISSION = "RoleRevokePermission", Unary, Write => ["/v3/auth/role/revoke"];
    }
    "etcdserverpb.Cluster" "Cluster" {
        MEMBER_ADD = "MemberAdd", Unary, Write => ["/v3/cluster/member/add"];
        MEMBER_REMOVE = "MemberRemove", Unary, Write => ["/v3/cluster/member/remove"];
        MEMBER_UPDATE = "MemberUpdate", Unary, Write => ["/v3/cluster/member/update"];
        MEMBER_LIST = "MemberList", Unary, Read => ["/v3/cluster/member/list"];
        MEMBER_PROMOTE = "MemberPromote", Unary, Write => ["/v3/cluster/member/promote"];
    }
    "etcdserverpb.Maintenance" "Maintenance" {
        ALARM = "Alarm", Unary, Write => ["/v3/maintenance/alarm"];
        STATUS = "Status", Unary, Read => ["/v3/maintenance/status"];
        DEFRAGMENT = "Defragment", Unary, Idempotent => ["/v3/maintenance/defragment"];
        HASH = "Hash", Unary, Read => ["/v3/maintenance/hash"];
        HASH_KV = "HashKV", Unary, Read => ["/v3/maintenance/hashkv"];
        SNAPSHOT = "Snapshot", ServerStream, Read => ["/v3/maintenance/snapshot"];
        MOVE_LEADER = "MoveLeader", Unary, Write => ["/v3/maintenance/transfer-leadership"];
        DOWNGRADE = "Downgrade", Unary, Write => ["/v3/maintenance/downgrade"];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_unique() {
        let mut names: Vec<_> = RPCS.iter().map(|rpc| rpc.name).collect();
        let mut paths: Vec<_> = RPCS.iter().flat_map(|rpc| rpc.paths).collect();
        let counts = (names.len(), paths.len());
        names.sort_unstable();
        names.dedup();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!((names.len(), paths.len()), counts);
    }

    #[test]
    fn only_what_changes_nothing_is_a_read() {
        let reads = |rpc: &&Rpc| rpc.retry == RetryClass::Read;
        for rpc in RPCS.iter().filter(reads) {
            let writing = [
                "Put", "Add", "Delete", "Remove", "Grant", "Revoke", "Change", "Enable", "Disable",
            ];
            assert!(
                !writing.iter().any(|word| rpc.method.contains(word)),
                "{}",
                rpc.name
            );
        }
    }
}
