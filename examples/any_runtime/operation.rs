//! What operators do: members, users and roles, copies of the database.

use anyetcd::message::Permission;
use anyetcd::{Client, EtcdError, Result, prefix};

pub(crate) async fn tour(client: &Client) -> Result<()> {
    members(client).await?;
    users_and_roles(client).await?;
    snapshot(client).await
}

async fn members(client: &Client) -> Result<()> {
    println!("# Members");
    let status = client.maintenance().status(client.current_endpoint()).await?;
    println!("knows a leader: {}", status.leader != 0);
    let members = client.cluster().member_list().await?.members;
    println!(
        "is a member: {}",
        members.iter().any(|member| member.id == status.header.member_id)
    );
    Ok(())
}

async fn users_and_roles(client: &Client) -> Result<()> {
    println!("# Users and roles");
    let auth = client.auth();
    auth.role_add("any_runtime").await?;
    let keys = prefix("any_runtime/");
    let permission = Permission::read_write(keys.clone());
    auth.role_grant_permission("any_runtime", permission).await?;
    for granted in auth.role_get("any_runtime").await?.permissions {
        println!(
            "may {:?} {:?} to {:?}",
            granted.permission_type, granted.key, granted.range_end
        );
    }
    auth.user_add("any_runtime", "a password").await?;
    auth.user_grant_role("any_runtime", "any_runtime").await?;
    println!("roles: {:?}", auth.user_get("any_runtime").await?.roles);
    auth.user_change_password("any_runtime", "another").await?;
    auth.user_revoke_role("any_runtime", "any_runtime").await?;
    println!("roles: {:?}", auth.user_get("any_runtime").await?.roles);
    auth.role_revoke_permission("any_runtime", keys).await?;
    println!(
        "permissions: {}",
        auth.role_get("any_runtime").await?.permissions.len()
    );
    clean(client).await?;
    let users = auth.user_list().await?.users;
    println!("still a user: {}", users.iter().any(|user| user == "any_runtime"));
    Ok(())
}

async fn snapshot(client: &Client) -> Result<()> {
    println!("# Snapshot");
    // As a stream; `save` writes a file. It ends well only if it is complete and its checksum is right.
    let mut snapshot = client.maintenance().snapshot(client.current_endpoint()).await?;
    while snapshot.try_next().await?.is_some() {}
    let progress = snapshot.progress();
    println!(
        "complete: {}",
        progress.received == progress.total && progress.total > 0
    );
    Ok(())
}

/// Removes the user and the role, if they are there.
pub(crate) async fn clean(client: &Client) -> Result<()> {
    match client.auth().user_delete("any_runtime").await {
        Err(error) if error.etcd() != Some(EtcdError::UserNotFound) => return Err(error),
        _ => {}
    }
    match client.auth().role_delete("any_runtime").await {
        Err(error) if error.etcd() != Some(EtcdError::RoleNotFound) => Err(error),
        _ => Ok(()),
    }
}
