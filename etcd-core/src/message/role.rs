//! Roles, and what they permit.

use bytes::Bytes;

use super::ResponseHeader;
use crate::codec::{message, open_enum};
use crate::key::KeyRange;

message! {
    /// Adds a role; `AuthRoleAddRequest` in etcd's protocol.
    pub struct RoleAdd {
        /// The role's name.
        name: String,
    }
}

impl RoleAdd {
    /// Adds the role `name`, which permits nothing yet.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

message! {
    /// The answer to [`RoleAdd`].
    pub struct RoleAddResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

message! {
    /// Asks what a role permits; `AuthRoleGetRequest` in etcd's protocol.
    pub struct RoleGet {
        /// The role.
        role: String,
    }
}

impl RoleGet {
    /// Asks about the role `role`.
    #[must_use]
    pub fn new(role: impl Into<String>) -> Self {
        Self { role: role.into() }
    }
}

message! {
    /// The answer to [`RoleGet`].
    pub struct RoleGetResponse {
        /// Who answered.
        header: ResponseHeader,
        /// What the role permits.
        permissions as "perm": Vec<Permission>,
    }
}

message! {
    /// Lists the roles; `AuthRoleListRequest` in etcd's protocol.
    pub struct RoleList {}
}

message! {
    /// The answer to [`RoleList`].
    pub struct RoleListResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The roles' names.
        roles: Vec<String>,
    }
}

message! {
    /// Deletes a role; `AuthRoleDeleteRequest` in etcd's protocol.
    pub struct RoleDelete {
        /// The role.
        role: String,
    }
}

impl RoleDelete {
    /// Deletes the role `role`.
    #[must_use]
    pub fn new(role: impl Into<String>) -> Self {
        Self { role: role.into() }
    }
}

message! {
    /// The answer to [`RoleDelete`].
    pub struct RoleDeleteResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

open_enum! {
    /// What a permission allows.
    pub enum PermissionType {
        /// Reading.
        Read = 0 "READ",
        /// Writing.
        Write = 1 "WRITE",
        /// Both.
        ReadWrite = 2 "READWRITE",
    }
}

message! {
    /// What may be done with a range of keys.
    pub struct Permission {
        /// What is allowed.
        permission_type as "permType": PermissionType,
        /// The first key.
        key: Bytes,
        /// The key after the last one, as in [`Get::range_end`](super::Get::range_end).
        range_end: Bytes,
    }
}

impl Permission {
    /// Allows reading `keys`.
    #[must_use]
    pub fn read(keys: impl Into<KeyRange>) -> Self {
        Self::new(PermissionType::Read, keys)
    }

    /// Allows writing `keys`.
    #[must_use]
    pub fn write(keys: impl Into<KeyRange>) -> Self {
        Self::new(PermissionType::Write, keys)
    }

    /// Allows reading and writing `keys`.
    #[must_use]
    pub fn read_write(keys: impl Into<KeyRange>) -> Self {
        Self::new(PermissionType::ReadWrite, keys)
    }

    fn new(permission_type: PermissionType, keys: impl Into<KeyRange>) -> Self {
        let (key, range_end) = keys.into().into_parts();
        Self {
            permission_type,
            key,
            range_end,
        }
    }
}

message! {
    /// Adds a permission to a role; `AuthRoleGrantPermissionRequest` in etcd's protocol.
    pub struct RoleGrantPermission {
        /// The role.
        name: String,
        /// The permission. Without one, an etcd 3.4 server dies on the request: it is refused unsent.
        permission as "perm": Option<Permission>,
    }
}

impl RoleGrantPermission {
    /// Lets the role `name` do what `permission` allows.
    #[must_use]
    pub fn new(name: impl Into<String>, permission: Permission) -> Self {
        Self {
            name: name.into(),
            permission: Some(permission),
        }
    }
}

message! {
    /// The answer to [`RoleGrantPermission`].
    pub struct RoleGrantPermissionResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

message! {
    /// Takes a permission from a role; `AuthRoleRevokePermissionRequest` in etcd's protocol.
    pub struct RoleRevokePermission {
        /// The role.
        role: String,
        /// The first key.
        key: Bytes,
        /// The key after the last one, as in [`Get::range_end`](super::Get::range_end).
        range_end: Bytes,
    }
}

impl RoleRevokePermission {
    /// Takes from the role `role` what it was permitted to do with exactly `keys`.
    #[must_use]
    pub fn new(role: impl Into<String>, keys: impl Into<KeyRange>) -> Self {
        let (key, range_end) = keys.into().into_parts();
        Self {
            role: role.into(),
            key,
            range_end,
        }
    }
}

message! {
    /// The answer to [`RoleRevokePermission`].
    pub struct RoleRevokePermissionResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}
