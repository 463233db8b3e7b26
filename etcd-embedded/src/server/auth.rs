//! The authentication service.
//!
//! Source: `server/etcdserver/api/v3rpc/auth.go`, `apply/auth.go`.

use etcd_core::error::EtcdError;
use etcd_core::message::{
    AuthDisableResponse, AuthEnableResponse, AuthStatusResponse, Authenticate, AuthenticateResponse,
    RoleAddResponse, RoleDeleteResponse, RoleGetResponse, RoleGrantPermissionResponse, RoleListResponse,
    RoleRevokePermissionResponse, UserAddResponse, UserChangePasswordResponse, UserDeleteResponse,
    UserGetResponse, UserGrantRoleResponse, UserListResponse, UserRevokeRoleResponse,
};

use super::{Server, unimplemented};
use crate::auth::Identity;
use crate::{Dialect, Request, Response, Status};

/// A response that says nothing but who answered.
macro_rules! acknowledge {
    ($server:ident, $name:ident, $response:ident) => {{
        let mut response = $response::default();
        response.header = $server.header();
        Ok(Response::$name(response))
    }};
}

impl Server {
    pub(super) fn answer_auth(&mut self, token: Option<&str>, request: Request) -> Result<Response, Status> {
        if let Request::Authenticate(login) = &request {
            return self.authenticate(login).map(Response::Authenticate);
        }
        if matches!(request, Request::AuthStatus(_)) && self.config.dialect == Dialect::G1_6 {
            return Err(unimplemented(request.rpc()));
        }
        if let Request::RoleGrantPermission(grant) = &request
            && grant.permission.is_none()
        {
            // Checked by every member on its own; it is what a 3.4 server dies of.
            return Err(EtcdError::PermissionNotGiven.into());
        }
        let identity = self.propose(token, 0)?;
        self.check_auth_permitted(identity.as_ref(), &request)?;
        self.apply_auth(request)
    }

    fn check_auth_permitted(&self, identity: Option<&Identity>, request: &Request) -> Result<(), EtcdError> {
        let users = &self.state.users;
        let own = match request {
            // Who comes without a token has no name, and may ask about the user of no name.
            Request::UserGet(get) => identity.map_or("", |identity| &identity.user) == get.name,
            Request::RoleGet(get) => {
                identity.is_some_and(|identity| users.has_role(&identity.user, &get.role))
            }
            _ => false,
        };
        if own { Ok(()) } else { users.check_admin(identity) }
    }

    fn apply_auth(&mut self, request: Request) -> Result<Response, Status> {
        let salt = self.random.next_u64();
        let checks_ranges = self.config.dialect == Dialect::G2;
        let hashes_nothing = self.config.dialect == Dialect::G1_6;
        let users = &mut self.state.users;
        match request {
            Request::AuthEnable(_) => {
                users.enable()?;
                acknowledge!(self, AuthEnable, AuthEnableResponse)
            }
            Request::AuthDisable(_) => {
                users.disable();
                self.tokens.clear();
                acknowledge!(self, AuthDisable, AuthDisableResponse)
            }
            Request::AuthStatus(_) => {
                let mut response = AuthStatusResponse::default();
                response.enabled = users.is_enabled();
                response.auth_revision = users.revision();
                response.header = self.header();
                Ok(Response::AuthStatus(response))
            }
            Request::UserAdd(add) => {
                users.add_user(&add, salt)?;
                acknowledge!(self, UserAdd, UserAddResponse)
            }
            Request::UserGet(get) => {
                let mut response = UserGetResponse::default();
                response.roles = users.roles_of(&get.name)?;
                response.header = self.header();
                Ok(Response::UserGet(response))
            }
            Request::UserList(_) => {
                let mut response = UserListResponse::default();
                response.users = users.user_names();
                response.header = self.header();
                Ok(Response::UserList(response))
            }
            Request::UserDelete(delete) => {
                users.delete_user(&delete.name)?;
                self.tokens.invalidate(&delete.name);
                acknowledge!(self, UserDelete, UserDeleteResponse)
            }
            Request::UserChangePassword(change) => {
                users.change_password(&change, salt, hashes_nothing)?;
                self.tokens.invalidate(&change.name);
                acknowledge!(self, UserChangePassword, UserChangePasswordResponse)
            }
            Request::UserGrantRole(grant) => {
                users.grant_role(&grant.user, &grant.role)?;
                acknowledge!(self, UserGrantRole, UserGrantRoleResponse)
            }
            Request::UserRevokeRole(revoke) => {
                users.revoke_role(&revoke.name, &revoke.role)?;
                acknowledge!(self, UserRevokeRole, UserRevokeRoleResponse)
            }
            Request::RoleAdd(add) => {
                users.add_role(&add.name)?;
                acknowledge!(self, RoleAdd, RoleAddResponse)
            }
            Request::RoleGet(get) => {
                let mut response = RoleGetResponse::default();
                response.permissions = users.permissions_of(&get.role)?;
                response.header = self.header();
                Ok(Response::RoleGet(response))
            }
            Request::RoleList(_) => {
                let mut response = RoleListResponse::default();
                response.roles = users.role_names();
                response.header = self.header();
                Ok(Response::RoleList(response))
            }
            Request::RoleDelete(delete) => {
                users.delete_role(&delete.role)?;
                acknowledge!(self, RoleDelete, RoleDeleteResponse)
            }
            Request::RoleGrantPermission(grant) => {
                users.grant_permission(&grant, checks_ranges)?;
                acknowledge!(self, RoleGrantPermission, RoleGrantPermissionResponse)
            }
            Request::RoleRevokePermission(revoke) => {
                users.revoke_permission(&revoke)?;
                acknowledge!(self, RoleRevokePermission, RoleRevokePermissionResponse)
            }
            other => Err(unimplemented(other.rpc())),
        }
    }

    fn authenticate(&mut self, login: &Authenticate) -> Result<AuthenticateResponse, Status> {
        self.state.users.check_password(&login.name, &login.password)?;
        self.enter_log()?;
        let deadline = self.now + self.config.auth_token_ttl;
        let mut response = AuthenticateResponse::default();
        response.header = self.header();
        response.token = self
            .tokens
            .assign(&mut self.random, &login.name, self.applied, deadline);
        Ok(response)
    }
}
