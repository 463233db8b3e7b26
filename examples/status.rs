//! How a cluster is: its members, what each of them says of itself, and whether anything is wrong.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://10.0.0.1:2379,http://10.0.0.2:2379 cargo run --example status
//! ```

mod endpoints;

use std::time::Duration;

use anyetcd::Client;

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    // Connects to the first endpoint that answers.
    let client = Client::connect(endpoints::from_env()).await?;

    let members = client.cluster().member_list().await?;
    println!(
        "cluster {:x} has {} members",
        members.header.cluster_id,
        members.members.len()
    );
    for member in members.members {
        let role = if member.is_learner { "learner" } else { "voter" };
        println!(
            "  {:x} {} ({role}) at {}",
            member.id,
            member.name,
            member.client_urls.join(", ")
        );
    }

    // A member speaks for itself only, so each endpoint is asked. One that is silent must not hold up the others.
    for endpoint in client.endpoints() {
        match client
            .maintenance()
            .status(&endpoint)
            .timeout(Duration::from_secs(2))
            .await
        {
            Ok(status) => {
                let leads = status.leader == status.header.member_id;
                println!(
                    "{endpoint}: etcd {}, {}",
                    status.version,
                    if leads { "leader" } else { "follower" }
                );
                println!(
                    "  database: {} bytes, {} in use",
                    status.db_size, status.db_size_in_use
                );
                println!(
                    "  revision {}, raft term {}",
                    status.header.revision, status.raft_term
                );
                println!(
                    "  raft index {}, applied {}",
                    status.raft_index, status.raft_applied_index
                );
                for trouble in status.errors {
                    println!("  trouble: {trouble}");
                }
            }
            Err(error) => println!("{endpoint}: {error}"),
        }
    }

    let alarms = client.maintenance().alarms().await?.alarms;
    println!("{} alarms", alarms.len());
    for alarm in alarms {
        println!("  {:?} at member {:x}", alarm.alarm, alarm.member_id);
    }
    Ok(())
}
