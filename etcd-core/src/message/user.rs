//! Users.

use super::ResponseHeader;
use crate::codec::{Secret, message};

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
