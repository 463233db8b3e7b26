//! Users, roles and permissions.
//!
//! [`Users`] is what the cluster agrees on; [`Tokens`] are a member's own. A password is kept as a salted SHA-256:
//! servers use bcrypt, which is meant to be slow and would make tests slow with it.
//!
//! Source: `server/auth/store.go`, `range_perm_cache.go`, `simple_token.go`.

mod password;
mod permission;
mod persist;
mod tokens;
mod users;

pub(crate) use permission::Access;
pub(crate) use tokens::{Tokens, index_of};
pub(crate) use users::Users;

/// The user and the role that may do everything.
const ROOT: &str = "root";

/// Who makes a call: a user, as a token told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
}
