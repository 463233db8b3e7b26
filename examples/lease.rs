//! Leases: keys that disappear by themselves, unless somebody keeps them alive.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example lease
//! ```

mod endpoints;

use std::time::Duration;

use anyetcd::{Client, EtcdError, prefix};

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    let client = Client::connect(endpoints::from_env()).await?;
    // What an interrupted run left behind.
    client.delete(prefix("lease/")).await?;

    keys_of_a_lease(&client).await?;
    a_lease_is_renewed(&client).await?;
    a_lease_expires(&client).await
}

/// A key belongs to at most one lease, a lease has any number of keys, and they go together.
async fn keys_of_a_lease(client: &Client) -> anyetcd::Result<()> {
    let lease = client.leases().grant(60).await?;
    for name in ["a", "b"] {
        client
            .put(format!("lease/{name}"), "here")
            .lease(lease.id)
            .await?;
    }
    let mut keys = client.leases().time_to_live(lease.id).keys().await?.keys;
    keys.sort(); // they come in no particular order
    println!("the lease holds {keys:?}");

    client.leases().revoke(lease.id).await?;
    let left = client.get(prefix("lease/")).count_only().await?.count;
    println!("it is revoked, and {left} of them are left");
    Ok(())
}

/// Each renewal gives a lease its full time again.
async fn a_lease_is_renewed(client: &Client) -> anyetcd::Result<()> {
    let lease = client.leases().grant(60).await?;
    for _ in 0..5 {
        let renewed = client.leases().keep_alive_once(lease.id).await?;
        println!("renewed for {} s", renewed.ttl);
    }
    client.leases().revoke(lease.id).await?;

    // What is gone cannot be renewed, and the error says so in a way that a program understands.
    match client.leases().keep_alive_once(lease.id).await {
        Err(error) if error.etcd() == Some(EtcdError::LeaseNotFound) => println!("too late to renew it"),
        other => println!("unexpectedly {other:?}"),
    }
    Ok(())
}

/// Nobody renews it: the time runs out, and the keys go.
async fn a_lease_expires(client: &Client) -> anyetcd::Result<()> {
    // A server grants more where its own minimum is higher: its answer is what counts.
    let lease = client.leases().grant(5).await?;
    println!("asked for 5 s, got {} s", lease.ttl);
    client.put("lease/short", "lived").lease(lease.id).await?;

    // Its time is over a moment before its keys go.
    while client.get("lease/short").await?.count > 0 {
        let left = client.leases().time_to_live(lease.id).await?;
        if left.is_alive() {
            println!("{} s left", left.ttl);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!(
        "expired, and its key: {:?}",
        client.get("lease/short").await?.first()
    );
    Ok(())
}
