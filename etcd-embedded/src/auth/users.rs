//! Users and roles.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use etcd_core::codec::Secret;
use etcd_core::error::EtcdError;
use etcd_core::message::{
    Permission, RoleGrantPermission, RoleRevokePermission, UserAdd, UserChangePassword,
};

use super::password::Password;
use super::permission::{is_valid, permits};
use super::{Access, Identity, ROOT};
use crate::span::Span;

/// Users, roles, and whether they matter.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    pub(super) enabled: bool,
    pub(super) revision: u64,
    pub(super) users: BTreeMap<String, User>,
    pub(super) roles: BTreeMap<String, Vec<Permission>>,
}

#[derive(Clone, Debug)]
pub(super) struct User {
    /// `None` for a user that can only come with a client certificate.
    pub(super) password: Option<Password>,
    pub(super) roles: BTreeSet<String>,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            enabled: false,
            // The store counts its own creation (`NewAuthStore`).
            revision: 1,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
        }
    }
}

impl Users {
    /// Whether authentication is on.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// How often users, roles and permissions have changed.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn enable(&mut self) -> Result<(), EtcdError> {
        if self.enabled {
            return Ok(());
        }
        let root = self.users.get(ROOT).ok_or(EtcdError::RootUserNotExist)?;
        if !root.roles.contains(ROOT) {
            return Err(EtcdError::RootRoleNotExist);
        }
        self.enabled = true;
        Ok(())
    }

    pub(crate) fn disable(&mut self) {
        if self.enabled {
            self.enabled = false;
            self.revision += 1;
        }
    }

    /// Whether a user may log in with a password.
    pub(crate) fn check_password(&self, user: &str, password: &Secret) -> Result<(), EtcdError> {
        if !self.enabled {
            return Err(EtcdError::AuthNotEnabled);
        }
        let user = self.users.get(user).ok_or(EtcdError::AuthFailed)?;
        match &user.password {
            None => Err(EtcdError::NoPasswordUser),
            Some(kept) if kept.matches(password) => Ok(()),
            Some(_) => Err(EtcdError::AuthFailed),
        }
    }

    /// A hash in place of the password is ignored, as servers before 3.6 do (`UserAdd` in `v3_server.go`).
    pub(crate) fn add_user(&mut self, add: &UserAdd, salt: u64) -> Result<(), EtcdError> {
        if add.name.is_empty() {
            return Err(EtcdError::UserEmpty);
        }
        if self.users.contains_key(&add.name) {
            return Err(EtcdError::UserAlreadyExists);
        }
        let without_password = add.options.as_ref().is_some_and(|options| options.no_password);
        let user = User {
            password: (!without_password).then(|| Password::new(&add.password, salt)),
            roles: BTreeSet::new(),
        };
        self.users.insert(add.name.clone(), user);
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn delete_user(&mut self, name: &str) -> Result<(), EtcdError> {
        if self.enabled && name == ROOT {
            return Err(EtcdError::InvalidAuthManagement);
        }
        self.users.remove(name).ok_or(EtcdError::UserNotFound)?;
        self.revision += 1;
        Ok(())
    }

    /// `hashes_nothing` says whether an empty password is hashed too, or else kept as an empty hash, with which nobody
    /// can log in (`UserChangePassword` in `v3_server.go` of 3.5). A user can be added with an empty one.
    pub(crate) fn change_password(
        &mut self,
        change: &UserChangePassword,
        salt: u64,
        hashes_nothing: bool,
    ) -> Result<(), EtcdError> {
        let user = self.user_mut(&change.name)?;
        if user.password.is_some() {
            user.password = Some(if change.password.expose().is_empty() && !hashes_nothing {
                Password::unusable()
            } else {
                Password::new(&change.password, salt)
            });
        }
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn roles_of(&self, user: &str) -> Result<Vec<String>, EtcdError> {
        let user = self.users.get(user).ok_or(EtcdError::UserNotFound)?;
        Ok(user.roles.iter().cloned().collect())
    }

    pub(crate) fn user_names(&self) -> Vec<String> {
        self.users.keys().cloned().collect()
    }

    pub(crate) fn grant_role(&mut self, user: &str, role: &str) -> Result<(), EtcdError> {
        let role_exists = role == ROOT || self.roles.contains_key(role);
        let user = self.user_mut(user)?;
        if !role_exists {
            return Err(EtcdError::RoleNotFound);
        }
        if user.roles.insert(role.to_owned()) {
            self.revision += 1;
        }
        Ok(())
    }

    pub(crate) fn revoke_role(&mut self, user: &str, role: &str) -> Result<(), EtcdError> {
        if self.enabled && user == ROOT && role == ROOT {
            return Err(EtcdError::InvalidAuthManagement);
        }
        if !self.user_mut(user)?.roles.remove(role) {
            return Err(EtcdError::RoleNotGranted);
        }
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn add_role(&mut self, name: &str) -> Result<(), EtcdError> {
        if name.is_empty() {
            return Err(EtcdError::RoleEmpty);
        }
        if self.roles.contains_key(name) {
            return Err(EtcdError::RoleAlreadyExists);
        }
        self.roles.insert(name.to_owned(), Vec::new());
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn permissions_of(&self, role: &str) -> Result<Vec<Permission>, EtcdError> {
        self.roles.get(role).cloned().ok_or(EtcdError::RoleNotFound)
    }

    pub(crate) fn role_names(&self) -> Vec<String> {
        self.roles.keys().cloned().collect()
    }

    pub(crate) fn delete_role(&mut self, name: &str) -> Result<(), EtcdError> {
        if self.enabled && name == ROOT {
            return Err(EtcdError::InvalidAuthManagement);
        }
        self.roles.remove(name).ok_or(EtcdError::RoleNotFound)?;
        for user in self.users.values_mut() {
            user.roles.remove(name);
        }
        self.revision += 1;
        Ok(())
    }

    /// `check_range` says whether a permission whose end comes before its key is refused (after 3.5.1).
    pub(crate) fn grant_permission(
        &mut self,
        grant: &RoleGrantPermission,
        check_range: bool,
    ) -> Result<(), EtcdError> {
        let permission = grant.permission.as_ref().ok_or(EtcdError::PermissionNotGiven)?;
        if check_range && !is_valid(permission) {
            return Err(EtcdError::InvalidAuthManagement);
        }
        let permissions = self.roles.get_mut(&grant.name).ok_or(EtcdError::RoleNotFound)?;
        // Only the first one with this key is looked at; another one of the same key is added beside it.
        let position = permissions.partition_point(|known| known.key < permission.key);
        match permissions.get_mut(position) {
            Some(known) if known.key == permission.key && known.range_end == permission.range_end => {
                known.permission_type = permission.permission_type.clone();
            }
            _ => {
                permissions.push(permission.clone());
                permissions.sort_by(|a, b| a.key.cmp(&b.key));
            }
        }
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn revoke_permission(&mut self, revoke: &RoleRevokePermission) -> Result<(), EtcdError> {
        let permissions = self.roles.get_mut(&revoke.role).ok_or(EtcdError::RoleNotFound)?;
        let before = permissions.len();
        permissions.retain(|known| known.key != revoke.key || known.range_end != revoke.range_end);
        if permissions.len() == before {
            return Err(EtcdError::PermissionNotGranted);
        }
        self.revision += 1;
        Ok(())
    }

    /// Whether whoever makes a call may do so with these keys.
    pub(crate) fn check(
        &self,
        identity: Option<&Identity>,
        access: Access,
        key: &Bytes,
        range_end: &Bytes,
    ) -> Result<(), EtcdError> {
        if !self.enabled {
            return Ok(());
        }
        let identity = identity.ok_or(EtcdError::UserEmpty)?;
        let user = self
            .users
            .get(&identity.user)
            .ok_or(EtcdError::PermissionDenied)?;
        if user.roles.contains(ROOT) {
            return Ok(());
        }
        let permissions = user
            .roles
            .iter()
            .filter_map(|role| self.roles.get(role))
            .flatten();
        if permits(permissions, access, &Span::new(key, range_end)) {
            Ok(())
        } else {
            Err(EtcdError::PermissionDenied)
        }
    }

    /// Whether whoever makes a call may do everything.
    pub(crate) fn check_admin(&self, identity: Option<&Identity>) -> Result<(), EtcdError> {
        if !self.enabled {
            return Ok(());
        }
        let identity = identity.ok_or(EtcdError::UserEmpty)?;
        let user = self.users.get(&identity.user).ok_or(EtcdError::UserNotFound)?;
        if user.roles.contains(ROOT) {
            Ok(())
        } else {
            Err(EtcdError::PermissionDenied)
        }
    }

    pub(crate) fn has_role(&self, user: &str, role: &str) -> bool {
        self.users.get(user).is_some_and(|user| user.roles.contains(role))
    }

    fn user_mut(&mut self, name: &str) -> Result<&mut User, EtcdError> {
        self.users.get_mut(name).ok_or(EtcdError::UserNotFound)
    }
}
