//! Users, roles, and permissions.

use etcd_core::codec::Secret;
use etcd_core::key::KeyRange;
use etcd_core::message::{
    AuthDisable, AuthEnable, AuthStatus, Authenticate, Permission, RoleAdd, RoleDelete, RoleGet,
    RoleGrantPermission, RoleList, RoleRevokePermission, UserAdd, UserChangePassword, UserDelete, UserGet,
    UserGrantRole, UserList, UserRevokeRole,
};

use super::group;
use crate::Call;

group! {
    /// Users, roles, and permissions. Made by [`Client::auth`](crate::Client::auth).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> anyetcd::Result<()> {
    /// # let client = anyetcd::Client::embedded()?;
    /// use anyetcd::{message::Permission, prefix};
    ///
    /// let auth = client.auth();
    /// auth.role_add("reader").await?;
    /// auth.role_grant_permission("reader", Permission::read(prefix("config/"))).await?;
    /// auth.user_add("alice", "secret").await?;
    /// auth.user_grant_role("alice", "reader").await?;
    /// # Ok(())
    /// # }
    /// ```
    Auth
}

impl Auth<'_> {
    /// Switches authentication on. A user `root` with the role `root` must exist.
    pub fn enable(&self) -> Call<AuthEnable> {
        self.client.call(AuthEnable::default())
    }

    /// Switches authentication off.
    pub fn disable(&self) -> Call<AuthDisable> {
        self.client.call(AuthDisable::default())
    }

    /// Asks whether authentication is on (etcd 3.5 and newer).
    pub fn status(&self) -> Call<AuthStatus> {
        self.client.call(AuthStatus::default())
    }

    /// Trades a password for a token. A client with
    /// [`credentials`](crate::ClientBuilder::credentials) does so by itself.
    pub fn authenticate(&self, name: impl Into<String>, password: impl Into<Secret>) -> Call<Authenticate> {
        self.client.call(Authenticate::new(name, password)).anonymous()
    }

    /// Adds the user `name` with a password. For other kinds of users make the [`UserAdd`] yourself and pass it
    /// to [`Client::call`](crate::Client::call).
    pub fn user_add(&self, name: impl Into<String>, password: impl Into<Secret>) -> Call<UserAdd> {
        self.client.call(UserAdd::new(name, password))
    }

    /// Asks for the roles of the user `name`.
    pub fn user_get(&self, name: impl Into<String>) -> Call<UserGet> {
        self.client.call(UserGet::new(name))
    }

    /// Lists the users.
    pub fn user_list(&self) -> Call<UserList> {
        self.client.call(UserList::default())
    }

    /// Deletes the user `name`.
    pub fn user_delete(&self, name: impl Into<String>) -> Call<UserDelete> {
        self.client.call(UserDelete::new(name))
    }

    /// Gives the user `name` a new password.
    pub fn user_change_password(
        &self,
        name: impl Into<String>,
        password: impl Into<Secret>,
    ) -> Call<UserChangePassword> {
        self.client.call(UserChangePassword::new(name, password))
    }

    /// Gives `user` the role `role`.
    pub fn user_grant_role(&self, user: impl Into<String>, role: impl Into<String>) -> Call<UserGrantRole> {
        self.client.call(UserGrantRole::new(user, role))
    }

    /// Takes the role `role` from `user`.
    pub fn user_revoke_role(&self, user: impl Into<String>, role: impl Into<String>) -> Call<UserRevokeRole> {
        self.client.call(UserRevokeRole::new(user, role))
    }

    /// Adds the role `name`, which permits nothing yet.
    pub fn role_add(&self, name: impl Into<String>) -> Call<RoleAdd> {
        self.client.call(RoleAdd::new(name))
    }

    /// Asks what the role `role` permits.
    pub fn role_get(&self, role: impl Into<String>) -> Call<RoleGet> {
        self.client.call(RoleGet::new(role))
    }

    /// Lists the roles.
    pub fn role_list(&self) -> Call<RoleList> {
        self.client.call(RoleList::default())
    }

    /// Deletes the role `role`.
    pub fn role_delete(&self, role: impl Into<String>) -> Call<RoleDelete> {
        self.client.call(RoleDelete::new(role))
    }

    /// Lets the role `role` do what `permission` allows.
    pub fn role_grant_permission(
        &self,
        role: impl Into<String>,
        permission: Permission,
    ) -> Call<RoleGrantPermission> {
        self.client.call(RoleGrantPermission::new(role, permission))
    }

    /// Takes from the role `role` what it was permitted to do with exactly `keys`.
    pub fn role_revoke_permission(
        &self,
        role: impl Into<String>,
        keys: impl Into<KeyRange>,
    ) -> Call<RoleRevokePermission> {
        self.client.call(RoleRevokePermission::new(role, keys))
    }
}
