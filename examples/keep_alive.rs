//! A lease that keeps itself alive, and a service that stays registered.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example keep_alive
//! ```

mod endpoints;

use std::time::Duration;

use anyetcd::{Client, Lease, Put, RegistrationState, prefix};

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    let client = Client::connect(endpoints::from_env()).await?;
    // What an interrupted run left behind.
    client.delete(prefix("keep_alive/")).await?;

    work_while_a_lease_is_held(&client).await?;
    stay_registered(&client).await
}

/// The work stops when the lease is lost: from then on, somebody else may do it.
async fn work_while_a_lease_is_held(client: &Client) -> anyetcd::Result<()> {
    let lease = client.lease(Duration::from_secs(6)).await?;
    client.put("keep_alive/worker", "busy").lease(lease.id()).await?;
    tokio::select! {
        done = work(&lease) => done?,
        lost = lease.lost() => return Err(lost.into()),
    }
    // Longer than the lease would have lived by itself.
    let worker = client.get("keep_alive/worker").await?;
    println!(
        "after 7 s of work the key is still there: {}",
        worker.first().is_some()
    );

    lease.revoke().await?;
    let worker = client.get("keep_alive/worker").await?;
    println!("and gone with its lease: {}", worker.first().is_none());
    Ok(())
}

async fn work(lease: &Lease) -> anyetcd::Result<()> {
    tokio::time::sleep(Duration::from_secs(7)).await;
    println!("held to the end: {}", lease.is_held());
    Ok(())
}

/// The key comes back if its lease is lost.
async fn stay_registered(client: &Client) -> anyetcd::Result<()> {
    let registration = client
        .lease(Duration::from_secs(10))
        .register([Put::new("keep_alive/service", "10.0.0.1:8080")])
        .await?;
    let mut states = registration.states();

    // Somebody ends the lease.
    if let Some(RegistrationState::Registered { lease, .. }) = states.next().await {
        client.leases().revoke(lease).await?;
    }
    while let Some(state) = states.next().await {
        match state {
            // Not seen if it is registered again before anybody looks: these are states, not events.
            RegistrationState::Lost { lost, .. } => println!("lost: {}", lost.reason()),
            RegistrationState::Registered { .. } => break,
            _ => {}
        }
    }
    let service = client.get("keep_alive/service").await?;
    println!("registered again: {}", service.first().is_some());
    registration.withdraw().await
}
