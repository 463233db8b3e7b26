//! Users, roles and permissions.

use bytes::Bytes;

use super::ResponseHeader;
use crate::codec::{Secret, message, open_enum};
use crate::key::KeyRange;

message! {
    /// Switches authentication on for the whole cluster; `AuthEnableRequest` in etcd's protocol.
    ///
    /// A user `root` with the role `root` must exist.
    pub struct AuthEnable {}
}

message! {
    /// The answer to [`AuthEnable`].
    pub struct AuthEnableResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

message! {
    /// Switches authentication off for the whole cluster; `AuthDisableRequest` in etcd's protocol.
    pub struct AuthDisable {}
}

message! {
    /// The answer to [`AuthDisable`].
    pub struct AuthDisableResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

message! {
    /// Asks whether authentication is on (3.5 and newer); `AuthStatusRequest` in etcd's protocol.
    pub struct AuthStatus {}
}

message! {
    /// The answer to [`AuthStatus`].
    pub struct AuthStatusResponse {
        /// Who answered.
        header: ResponseHeader,
        /// Whether authentication is on.
        enabled: bool,
        /// The revision of users, roles and permissions.
        auth_revision as "authRevision": u64,
    }
}

message! {
    /// Trades a password for a token; `AuthenticateRequest` in etcd's protocol.
    pub struct Authenticate {
        /// The user.
        name: String,
        /// The password.
        password: Secret,
    }
}

impl Authenticate {
    /// Logs the user `name` in.
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
        }
    }
}

message! {
    /// The answer to [`Authenticate`].
    pub struct AuthenticateResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The token that later calls carry.
        token: Secret,
    }
}

message! {
    /// Adds a user; `AuthUserAddRequest` in etcd's protocol.
    pub struct UserAdd {
        /// The user's name.
        name: String,
        /// The password.
        password: Secret,
        /// Options.
        options: Option<UserAddOptions>,
        /// The password's bcrypt hash in base64, in place of the password (3.5 and newer).
        hashed_password as "hashedPassword": Secret,
    }
}

message! {
    /// Options of a user.
    pub struct UserAddOptions {
        /// Whether the user has no password and can only come with a client certificate.
        no_password: bool,
    }
}

impl UserAdd {
    /// Adds the user `name` with a password.
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
            ..Self::default()
        }
    }

    /// Adds the user `name` without a password: it is known by the common name of its client certificate.
    #[must_use]
    pub fn without_password(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            options: Some(UserAddOptions { no_password: true }),
            ..Self::default()
        }
    }

    /// Adds the user `name` with the bcrypt hash of its password, in base64 (3.5 and newer).
    #[must_use]
    pub fn with_hash(name: impl Into<String>, hashed_password: impl Into<Secret>) -> Self {
        Self {
            name: name.into(),
            hashed_password: hashed_password.into(),
            ..Self::default()
        }
    }
}

message! {
    /// The answer to [`UserAdd`].
    pub struct UserAddResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

message! {
    /// Asks for a user's roles; `AuthUserGetRequest` in etcd's protocol.
    pub struct UserGet {
        /// The user.
        name: String,
    }
}

impl UserGet {
    /// Asks about the user `name`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

message! {
    /// The answer to [`UserGet`].
    pub struct UserGetResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The user's roles.
        roles: Vec<String>,
    }
}

message! {
    /// Lists the users; `AuthUserListRequest` in etcd's protocol.
    pub struct UserList {}
}

message! {
    /// The answer to [`UserList`].
    pub struct UserListResponse {
        /// Who answered.
        header: ResponseHeader,
        /// The users' names.
        users: Vec<String>,
    }
}

message! {
    /// Deletes a user; `AuthUserDeleteRequest` in etcd's protocol.
    pub struct UserDelete {
        /// The user.
        name: String,
    }
}

impl UserDelete {
    /// Deletes the user `name`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

message! {
    /// The answer to [`UserDelete`].
    pub struct UserDeleteResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

message! {
    /// Changes a user's password; `AuthUserChangePasswordRequest` in etcd's protocol.
    pub struct UserChangePassword {
        /// The user.
        name: String,
        /// The new password.
        password: Secret,
        /// Its bcrypt hash in base64, in place of the password (3.5 and newer).
        hashed_password as "hashedPassword": Secret,
    }
}

impl UserChangePassword {
    /// Gives the user `name` a new password.
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
            ..Self::default()
        }
    }
}

message! {
    /// The answer to [`UserChangePassword`].
    pub struct UserChangePasswordResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

message! {
    /// Gives a user a role; `AuthUserGrantRoleRequest` in etcd's protocol.
    pub struct UserGrantRole {
        /// The user.
        user: String,
        /// The role.
        role: String,
    }
}

impl UserGrantRole {
    /// Gives `user` the role `role`.
    #[must_use]
    pub fn new(user: impl Into<String>, role: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            role: role.into(),
        }
    }
}

message! {
    /// The answer to [`UserGrantRole`].
    pub struct UserGrantRoleResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

message! {
    /// Takes a role from a user; `AuthUserRevokeRoleRequest` in etcd's protocol.
    pub struct UserRevokeRole {
        /// The user.
        name: String,
        /// The role.
        role: String,
    }
}

impl UserRevokeRole {
    /// Takes the role `role` from the user `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, role: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            role: role.into(),
        }
    }
}

message! {
    /// The answer to [`UserRevokeRole`].
    pub struct UserRevokeRoleResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

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
