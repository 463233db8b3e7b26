//! What processes agree with each other by: leases, locks, elections.

use std::time::Duration;

use anyetcd::{Client, ErrorKind, EtcdError, Result};

pub(crate) async fn tour(client: &Client) -> Result<()> {
    leases(client).await?;
    locks(client).await?;
    elections(client).await
}

async fn leases(client: &Client) -> Result<()> {
    println!("# Leases");
    let lease = client.leases().grant(600).await?;
    println!("granted {} s", lease.ttl);
    client.put("any_runtime/leased", "1").lease(lease.id).await?;
    client.put("any_runtime/leased", "2").ignore_lease().await?;
    let kept = client.get("any_runtime/leased").await?;
    println!(
        "kept its lease: {}",
        kept.first().is_some_and(|kv| kv.lease == lease.id)
    );

    let renewed = client.leases().keep_alive_once(lease.id).await?;
    println!("renewed for {} s", renewed.ttl);
    let left = client.leases().time_to_live(lease.id).keys().await?;
    println!(
        "alive: {}, of {} s, holds {:?}",
        left.is_alive(),
        left.granted_ttl,
        left.keys
    );
    let listed = client.leases().list().await?.leases;
    println!("listed: {}", listed.iter().any(|listed| listed.id == lease.id));

    client.leases().revoke(lease.id).await?;
    println!(
        "revoked, and its key: {:?}",
        client.get("any_runtime/leased").await?.first()
    );
    println!(
        "alive: {}",
        client.leases().time_to_live(lease.id).await?.is_alive()
    );
    Ok(())
}

async fn locks(client: &Client) -> Result<()> {
    println!("# Locks");
    let mine = client.leases().grant(600).await?.id;
    let theirs = client.leases().grant(600).await?.id;

    let held = client.locks().lock("any_runtime/lock", mine).await?;
    println!("locked");
    // Gives up waiting, and its place with it.
    match client
        .locks()
        .lock("any_runtime/lock", theirs)
        .timeout(Duration::from_millis(300))
        .await
    {
        Err(error) if matches!(error.kind(), ErrorKind::Timeout(_)) => println!("it is not to be had twice"),
        other => println!("unexpectedly {other:?}"),
    }
    client.locks().unlock(held.key).await?;
    let held = client.locks().lock("any_runtime/lock", theirs).await?;
    println!("locked by the other");
    // Whoever dies loses the lock.
    client.leases().revoke(theirs).await?;
    println!("it is held by {} now", client.get(held.key).await?.count);
    client.leases().revoke(mine).await?;
    Ok(())
}

async fn elections(client: &Client) -> Result<()> {
    println!("# Elections");
    let lease = client.leases().grant(600).await?.id;
    let won = client
        .elections()
        .campaign("any_runtime/election", lease, "me")
        .await?;
    show_leader(client).await?;
    client
        .elections()
        .proclaim(won.leader.clone(), "still me")
        .await?;
    show_leader(client).await?;
    client.elections().resign(won.leader).await?;
    show_leader(client).await?;
    client.leases().revoke(lease).await?;
    Ok(())
}

async fn show_leader(client: &Client) -> Result<()> {
    match client.elections().leader("any_runtime/election").await {
        Ok(leader) => println!("the leader says {:?}", leader.kv.map(|kv| kv.value)),
        Err(error) if error.etcd() == Some(EtcdError::ElectionNoLeader) => println!("nobody leads"),
        Err(error) => return Err(error),
    }
    Ok(())
}
