//! The request messages as protobuf knows them: names, types, and what belongs to a `oneof`.
//!
//! Source: `rpc.proto`, `kv.proto`, `auth.proto`, `v3lock.proto`, `v3election.proto`.

use etcd_core::rpc::Rpc;

#[derive(Debug)]
pub(super) struct Schema {
    pub(super) fields: &'static [Field],
}

#[derive(Debug)]
pub(super) struct Field {
    /// The name in the `.proto` file.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
    /// The full name of the `oneof` it belongs to.
    pub(super) oneof: Option<&'static str>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Bytes,
    Text,
    Int64,
    Uint64,
    Bool,
    Enum(&'static Enum),
    Message(&'static Schema),
}

#[derive(Debug)]
pub(super) struct Enum {
    /// The full name in the `.proto` file.
    pub(super) name: &'static str,
    pub(super) values: &'static [&'static str],
}

impl Field {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            repeated: false,
            oneof: None,
        }
    }

    const fn list(name: &'static str, kind: Kind) -> Self {
        Self {
            repeated: true,
            ..Self::new(name, kind)
        }
    }

    const fn one_of(oneof: &'static str, name: &'static str, kind: Kind) -> Self {
        Self {
            oneof: Some(oneof),
            ..Self::new(name, kind)
        }
    }

    /// The name in JSON: an underscore and what follows become a capital.
    pub(super) fn json_name(&self) -> String {
        let mut name = String::with_capacity(self.name.len());
        let mut capital = false;
        for character in self.name.chars() {
            match character {
                '_' => capital = true,
                _ if std::mem::take(&mut capital) => name.push(character.to_ascii_uppercase()),
                _ => name.push(character),
            }
        }
        name
    }
}

impl Schema {
    /// The field of this name, in either spelling.
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        let exact = self.fields.iter().find(|field| field.name == name);
        exact.or_else(|| {
            let mut underscored = self.fields.iter().filter(|field| field.name.contains('_'));
            underscored.find(|field| field.json_name() == name)
        })
    }
}

macro_rules! schemas {
    ($( $schema:ident { $( $constructor:ident($($argument:expr),*) ),* $(,)? } )*) => {
        $( static $schema: Schema = Schema { fields: &[ $( Field::$constructor($($argument),*) ),* ] }; )*
    };
}

use Kind::{Bool, Bytes, Int64, Message, Text, Uint64};

const TARGET: &str = "etcdserverpb.Compare.target_union";
const REQUEST: &str = "etcdserverpb.RequestOp.request";
const WATCH_UNION: &str = "etcdserverpb.WatchRequest.request_union";

schemas! {
    EMPTY {}
    NAME { new("name", Text) }
    ROLE { new("role", Text) }
    BYTES_NAME { new("name", Bytes) }
    ID { new("ID", Int64) }
    MEMBER_ID { new("ID", Uint64) }
    RANGE {
        new("key", Bytes), new("range_end", Bytes), new("limit", Int64), new("revision", Int64),
        new("sort_order", Kind::Enum(&SORT_ORDER)), new("sort_target", Kind::Enum(&SORT_TARGET)),
        new("serializable", Bool), new("keys_only", Bool), new("count_only", Bool),
        new("min_mod_revision", Int64), new("max_mod_revision", Int64),
        new("min_create_revision", Int64), new("max_create_revision", Int64),
    }
    PUT {
        new("key", Bytes), new("value", Bytes), new("lease", Int64),
        new("prev_kv", Bool), new("ignore_value", Bool), new("ignore_lease", Bool),
    }
    DELETE_RANGE { new("key", Bytes), new("range_end", Bytes), new("prev_kv", Bool) }
    TXN {
        list("compare", Message(&COMPARE)), list("success", Message(&REQUEST_OP)), list("failure", Message(&REQUEST_OP)),
    }
    COMPARE {
        new("result", Kind::Enum(&COMPARE_RESULT)), new("target", Kind::Enum(&COMPARE_TARGET)), new("key", Bytes),
        one_of(TARGET, "version", Int64), one_of(TARGET, "create_revision", Int64),
        one_of(TARGET, "mod_revision", Int64), one_of(TARGET, "value", Bytes), one_of(TARGET, "lease", Int64),
        new("range_end", Bytes),
    }
    REQUEST_OP {
        one_of(REQUEST, "request_range", Message(&RANGE)), one_of(REQUEST, "request_put", Message(&PUT)),
        one_of(REQUEST, "request_delete_range", Message(&DELETE_RANGE)), one_of(REQUEST, "request_txn", Message(&TXN)),
    }
    COMPACTION { new("revision", Int64), new("physical", Bool) }
    WATCH {
        one_of(WATCH_UNION, "create_request", Message(&WATCH_CREATE)),
        one_of(WATCH_UNION, "cancel_request", Message(&WATCH_CANCEL)),
        one_of(WATCH_UNION, "progress_request", Message(&EMPTY)),
    }
    WATCH_CREATE {
        new("key", Bytes), new("range_end", Bytes), new("start_revision", Int64), new("progress_notify", Bool),
        list("filters", Kind::Enum(&FILTER_TYPE)), new("prev_kv", Bool), new("watch_id", Int64), new("fragment", Bool),
    }
    WATCH_CANCEL { new("watch_id", Int64) }
    LEASE_GRANT { new("TTL", Int64), new("ID", Int64) }
    LEASE_TIME_TO_LIVE { new("ID", Int64), new("keys", Bool) }
    LOCK { new("name", Bytes), new("lease", Int64) }
    UNLOCK { new("key", Bytes) }
    CAMPAIGN { new("name", Bytes), new("lease", Int64), new("value", Bytes) }
    PROCLAIM { new("leader", Message(&LEADER_KEY)), new("value", Bytes) }
    RESIGN { new("leader", Message(&LEADER_KEY)) }
    LEADER_KEY { new("name", Bytes), new("key", Bytes), new("rev", Int64), new("lease", Int64) }
    AUTHENTICATE { new("name", Text), new("password", Text) }
    USER_ADD {
        new("name", Text), new("password", Text), new("options", Message(&USER_ADD_OPTIONS)),
        new("hashedPassword", Text),
    }
    USER_ADD_OPTIONS { new("no_password", Bool) }
    USER_CHANGE_PASSWORD { new("name", Text), new("password", Text), new("hashedPassword", Text) }
    USER_GRANT_ROLE { new("user", Text), new("role", Text) }
    USER_REVOKE_ROLE { new("name", Text), new("role", Text) }
    ROLE_GRANT_PERMISSION { new("name", Text), new("perm", Message(&PERMISSION)) }
    ROLE_REVOKE_PERMISSION { new("role", Text), new("key", Bytes), new("range_end", Bytes) }
    PERMISSION { new("permType", Kind::Enum(&PERMISSION_TYPE)), new("key", Bytes), new("range_end", Bytes) }
    MEMBER_ADD { list("peerURLs", Text), new("isLearner", Bool) }
    MEMBER_UPDATE { new("ID", Uint64), list("peerURLs", Text) }
    MEMBER_LIST { new("linearizable", Bool) }
    ALARM {
        new("action", Kind::Enum(&ALARM_ACTION)), new("memberID", Uint64), new("alarm", Kind::Enum(&ALARM_TYPE)),
    }
    HASH_KV { new("revision", Int64) }
    MOVE_LEADER { new("targetID", Uint64) }
    DOWNGRADE { new("action", Kind::Enum(&DOWNGRADE_ACTION)), new("version", Text) }
}

macro_rules! enums {
    ($( $name:ident = $full:literal [$($value:literal),*]; )*) => {
        $( static $name: Enum = Enum { name: $full, values: &[$($value),*] }; )*
    };
}

enums! {
    SORT_ORDER = "etcdserverpb.RangeRequest.SortOrder" ["NONE", "ASCEND", "DESCEND"];
    SORT_TARGET = "etcdserverpb.RangeRequest.SortTarget" ["KEY", "VERSION", "CREATE", "MOD", "VALUE"];
    COMPARE_RESULT = "etcdserverpb.Compare.CompareResult" ["EQUAL", "GREATER", "LESS", "NOT_EQUAL"];
    COMPARE_TARGET = "etcdserverpb.Compare.CompareTarget" ["VERSION", "CREATE", "MOD", "VALUE", "LEASE"];
    FILTER_TYPE = "etcdserverpb.WatchCreateRequest.FilterType" ["NOPUT", "NODELETE"];
    PERMISSION_TYPE = "authpb.Permission.Type" ["READ", "WRITE", "READWRITE"];
    ALARM_ACTION = "etcdserverpb.AlarmRequest.AlarmAction" ["GET", "ACTIVATE", "DEACTIVATE"];
    ALARM_TYPE = "etcdserverpb.AlarmType" ["NONE", "NOSPACE", "CORRUPT"];
    DOWNGRADE_ACTION = "etcdserverpb.DowngradeRequest.DowngradeAction" ["VALIDATE", "ENABLE", "CANCEL"];
}

/// What a call's requests look like.
pub(super) fn request(rpc: &Rpc) -> &'static Schema {
    match rpc.name {
        "KV/Range" => &RANGE,
        "KV/Put" => &PUT,
        "KV/DeleteRange" => &DELETE_RANGE,
        "KV/Txn" => &TXN,
        "KV/Compact" => &COMPACTION,
        "Watch/Watch" => &WATCH,
        "Lease/LeaseGrant" => &LEASE_GRANT,
        "Lease/LeaseRevoke" | "Lease/LeaseKeepAlive" => &ID,
        "Lease/LeaseTimeToLive" => &LEASE_TIME_TO_LIVE,
        "Lock/Lock" => &LOCK,
        "Lock/Unlock" => &UNLOCK,
        "Election/Campaign" => &CAMPAIGN,
        "Election/Proclaim" => &PROCLAIM,
        "Election/Leader" | "Election/Observe" => &BYTES_NAME,
        "Election/Resign" => &RESIGN,
        "Auth/Authenticate" => &AUTHENTICATE,
        "Auth/UserAdd" => &USER_ADD,
        "Auth/UserGet" | "Auth/UserDelete" | "Auth/RoleAdd" => &NAME,
        "Auth/UserChangePassword" => &USER_CHANGE_PASSWORD,
        "Auth/UserGrantRole" => &USER_GRANT_ROLE,
        "Auth/UserRevokeRole" => &USER_REVOKE_ROLE,
        "Auth/RoleGet" | "Auth/RoleDelete" => &ROLE,
        "Auth/RoleGrantPermission" => &ROLE_GRANT_PERMISSION,
        "Auth/RoleRevokePermission" => &ROLE_REVOKE_PERMISSION,
        "Cluster/MemberAdd" => &MEMBER_ADD,
        "Cluster/MemberRemove" | "Cluster/MemberPromote" => &MEMBER_ID,
        "Cluster/MemberUpdate" => &MEMBER_UPDATE,
        "Cluster/MemberList" => &MEMBER_LIST,
        "Maintenance/Alarm" => &ALARM,
        "Maintenance/HashKV" => &HASH_KV,
        "Maintenance/MoveLeader" => &MOVE_LEADER,
        "Maintenance/Downgrade" => &DOWNGRADE,
        // The rest asks without saying anything.
        _ => &EMPTY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_both_its_names_and_no_other() {
        assert!(RANGE.field("range_end").is_some() && RANGE.field("rangeEnd").is_some());
        assert!(RANGE.field("RangeEnd").is_none() && RANGE.field("KEY").is_none());
        assert!(LEASE_GRANT.field("TTL").is_some() && LEASE_GRANT.field("ttl").is_none());
    }

    #[test]
    fn every_call_with_something_to_say_has_its_fields() {
        for rpc in etcd_core::rpc::RPCS {
            let says_nothing = [
                "KV/RangeStream",
                "Lease/LeaseLeases",
                "Auth/AuthEnable",
                "Auth/AuthDisable",
                "Auth/AuthStatus",
                "Auth/UserList",
                "Auth/RoleList",
                "Maintenance/Status",
                "Maintenance/Defragment",
                "Maintenance/Hash",
                "Maintenance/Snapshot",
            ];
            assert_eq!(
                request(rpc).fields.is_empty(),
                says_nothing.contains(&rpc.name),
                "{}",
                rpc.name
            );
        }
    }
}
