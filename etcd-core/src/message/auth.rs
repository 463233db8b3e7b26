//! Authentication itself: on, off, and logging in.

use super::ResponseHeader;
use crate::codec::{Secret, message};

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
