//! The first minutes with etcd: write, read, decide, let a key disappear by itself, and watch it happen.
//!
//! ```sh
//! cargo run --example quickstart                                         # on an etcd within this process
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example quickstart    # on yours
//! ```

use std::env;
use std::time::Duration;

use anyetcd::embedded::EMBEDDED_ENDPOINT;
use anyetcd::{Client, Compare, Get, Put, Txn, prefix};

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    let client = match env::var("ETCD_ENDPOINTS") {
        // Finds the runtime it is called in. On async-std or smol this line would be the same.
        Ok(urls) => Client::connect(urls.split(',')).await?,
        // An etcd in memory, as one would use it in unit tests: no socket, nothing to install.
        Err(_) => Client::embedded()?,
    };
    let endpoint = client.current_endpoint();
    let version = client.maintenance().status(&endpoint).await?.version;
    match endpoint.to_string().as_str() {
        EMBEDDED_ENDPOINT => println!("on Tokio, with the embedded etcd, which acts like {version}"),
        url => println!("on Tokio, with etcd {version} at {url}"),
    }

    // A call is made when it is awaited; until then it can be given options.
    client.put("quickstart/mode", "fast").await?;
    let before = client.put("quickstart/mode", "faster").prev_kv().await?.prev_kv;
    println!("before: {:?}", before.map(|kv| kv.value));

    // Keys and values are bytes. A prefix is a range of keys.
    client.put("quickstart/bytes", b"\x00\xff").await?;
    for kv in client.get(prefix("quickstart/")).limit(100).await?.kvs {
        println!("{:?} = {:?}, written {} times", kv.key, kv.value, kv.version);
    }

    // All or nothing, and only if nobody has changed the mode meanwhile.
    let swapped = client
        .txn(
            Txn::when([Compare::value("quickstart/mode").eq("faster")])
                .then([Put::new("quickstart/mode", "safe")])
                .otherwise([Get::new("quickstart/mode")]),
        )
        .await?;
    println!(
        "the mode is {}",
        if swapped.succeeded {
            "now safe"
        } else {
            "somebody else's choice"
        }
    );

    // A watch tells what changes, and goes on where it was when its connection breaks.
    let mut services = client.watch(prefix("quickstart/service/")).await?;

    // What a service says of itself should end with it: the key goes when its lease does, and a lease is kept alive
    // for as long as there is somebody to hold it.
    let lease = client.lease(Duration::from_secs(60)).await?;
    client
        .put("quickstart/service/1", "10.0.0.1")
        .lease(lease.id())
        .await?;
    println!(
        "a lease of {} s keeps {:?}",
        lease.ttl().as_secs(),
        lease.keys().await?
    );
    lease.revoke().await?;
    // The service comes and goes: two events, in one batch or in two.
    let mut told = 0;
    while told < 2
        && let Some(batch) = services.try_next().await?
    {
        for event in batch.events() {
            println!("{:?} {:?}", event.event_type, event.kv.key);
            told += 1;
        }
    }

    let deleted = client.delete(prefix("quickstart/")).await?.deleted;
    println!("{deleted} keys tidied up");
    Ok(())
}
