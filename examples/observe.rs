//! A range that is read and then followed: as a stream of changes, as a map in memory, and as who leads an election.
//!
//! ```sh
//! cargo run --example observe                                         # on an etcd within this process
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example observe    # on yours
//! ```

use std::env;
use std::time::Duration;

use anyetcd::{Client, ObserveLeader, Observed, prefix};

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    let client = match env::var("ETCD_ENDPOINTS") {
        Ok(urls) => Client::connect(urls.split(',')).await?,
        Err(_) => Client::embedded()?,
    };
    // What an interrupted run left behind.
    client.delete(prefix("observe/")).await?;

    what_is_there_and_what_changes(&client).await?;
    a_range_in_memory(&client).await?;
    who_leads(&client).await?;
    client.delete(prefix("observe/")).await?;
    Ok(())
}

/// First the whole range, at one revision, and then everything since: nothing is missed in between.
async fn what_is_there_and_what_changes(client: &Client) -> anyetcd::Result<()> {
    client.put("observe/config/color", "blue").await?;
    let mut observe = client.observe(prefix("observe/config/")).prev_kv().await?;
    client.put("observe/config/color", "green").await?;
    client.delete("observe/config/color").await?;
    let mut left = 2;
    while let Some(observed) = observe.try_next().await? {
        match observed {
            Observed::Snapshot { kvs, .. } => {
                for kv in kvs {
                    println!("at first: {:?} = {:?}", kv.key, kv.value);
                }
            }
            Observed::Changes { events, .. } => {
                for event in events {
                    let before = event.prev_kv.map(|kv| kv.value);
                    println!(
                        "then: {:?} {:?}, before {before:?}",
                        event.event_type, event.kv.key
                    );
                    left -= 1;
                }
            }
            _ => {}
        }
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// A mirror is read without waiting. Whoever needs to see what was written by now waits until it is in sync.
async fn a_range_in_memory(client: &Client) -> anyetcd::Result<()> {
    let mirror = client.mirror(prefix("observe/service/")).await?;
    client.put("observe/service/a", "10.0.0.1").await?;
    client.put("observe/service/b", "10.0.0.2").await?;
    mirror.sync().await?;
    for (key, kv) in mirror.view().iter() {
        println!("in memory: {key:?} = {:?}", kv.value);
    }
    client.delete("observe/service/a").await?;
    mirror.sync().await?;
    println!("and after a deletion: {} left", mirror.len());
    Ok(())
}

/// Who leads comes first, and then whoever leads next; also that nobody does.
async fn who_leads(client: &Client) -> anyetcd::Result<()> {
    let elections = client.elections();
    let mut boss = elections.observe("observe/boss").await?;
    show(&mut boss).await?;
    let lease = client.lease(Duration::from_secs(60)).await?;
    let ada = elections
        .campaign("observe/boss", lease.id(), "ada")
        .await?
        .leader;
    show(&mut boss).await?;
    elections.proclaim(ada.clone(), "ada, with a plan").await?;
    show(&mut boss).await?;
    elections.resign(ada).await?;
    show(&mut boss).await?;
    lease.revoke().await
}

/// Prints what is told next.
async fn show(boss: &mut ObserveLeader) -> anyetcd::Result<()> {
    match boss.try_next().await?.map(|told| told.leader) {
        Some(Some(leader)) => println!("leads: {:?}", leader.kv.value),
        Some(None) => println!("nobody leads"),
        None => println!("unexpectedly over"),
    }
    Ok(())
}
