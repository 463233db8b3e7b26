//! Transactions: several operations as one, chosen by conditions, and every kind of condition there is.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example transaction
//! ```

mod endpoints;

use anyetcd::message::TxnResponse;
use anyetcd::{Client, Compare, Delete, Get, Put, Txn, TxnOp, TxnOpResponse, prefix};

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    let client = Client::connect(endpoints::from_env()).await?;
    // What an interrupted run left behind.
    client.delete(prefix("transaction/")).await?;

    client.put("transaction/alice", "100").await?;
    client.put("transaction/bob", "20").await?;

    // Move 30 from one to the other, if both are as they were read. Otherwise read again, in the same round trip.
    let transfer = Txn::when([
        Compare::value("transaction/alice").eq("100"),
        Compare::value("transaction/bob").eq("20"),
    ])
    .then([
        Put::new("transaction/alice", "70"),
        Put::new("transaction/bob", "50"),
    ])
    .otherwise([Get::new(prefix("transaction/"))]);
    show("a transfer", &client.txn(transfer.clone()).await?);
    // The conditions no longer hold, so the money is not moved twice.
    show("the same again", &client.txn(transfer).await?);

    // Operations of several kinds in one branch. They see what those before them wrote, and share one revision; so
    // none may write what another wrote.
    let mixed = Txn::new().then([
        TxnOp::from(Put::new("transaction/carol", "0")),
        Get::new(prefix("transaction/")).into(),
        Delete::new("transaction/bob").prev_kv().into(),
    ]);
    show("without conditions", &client.txn(mixed).await?);

    // A transaction in a transaction: a decision within a decision.
    let inner = Txn::when([Compare::value("transaction/alice").gt("4")])
        .then([Put::new("transaction/verdict", "alice is rich")])
        .otherwise([Put::new("transaction/verdict", "alice is poor")]);
    let outer = Txn::when([Compare::version("transaction/verdict").eq(0)])
        .then([inner])
        .otherwise([Get::new("transaction/verdict")]);
    show("nested", &client.txn(outer).await?);

    every_condition(&client).await?;

    client.delete(prefix("transaction/")).await?;
    Ok(())
}

/// Five properties of a key can be compared, each in four ways.
async fn every_condition(client: &Client) -> anyetcd::Result<()> {
    let lease = client.leases().grant(60).await?.id;
    let revision = client
        .put("transaction/key", "m")
        .lease(lease)
        .await?
        .header
        .revision;
    let key = "transaction/key";

    let conditions = [
        ("version = 1", Compare::version(key).eq(1)),
        ("version != 2", Compare::version(key).ne(2)),
        ("version > 0", Compare::version(key).gt(0)),
        ("version < 2", Compare::version(key).lt(2)),
        ("created by that put", Compare::create_revision(key).eq(revision)),
        ("not changed since", Compare::mod_revision(key).lt(revision + 1)),
        ("value = m", Compare::value(key).eq("m")),
        ("value != n", Compare::value(key).ne("n")),
        ("value > a", Compare::value(key).gt("a")),
        ("value < z", Compare::value(key).lt("z")),
        ("held by that lease", Compare::lease(key).eq(lease)),
        // Over a range a condition must hold for every key.
        ("all exist", Compare::version(prefix("transaction/")).gt(0)),
        // A key that does not exist has version 0.
        ("no such key", Compare::version("transaction/none").eq(0)),
    ];
    for (name, condition) in conditions {
        let holds = client.txn(Txn::when([condition])).await?.succeeded;
        println!("{name}: {holds}");
    }
    client.leases().revoke(lease).await?;
    Ok(())
}

fn show(what: &str, response: &TxnResponse) {
    println!(
        "{what}: {}",
        if response.succeeded {
            "the conditions hold"
        } else {
            "a condition fails"
        }
    );
    for response in &response.responses {
        match response {
            TxnOpResponse::Put(put) => {
                println!("  put, before it {:?}", put.prev_kv.as_ref().map(|kv| &kv.value));
            }
            TxnOpResponse::Get(get) => {
                println!("  get");
                for kv in &get.kvs {
                    println!("    {:?} = {:?}", kv.key, kv.value);
                }
            }
            TxnOpResponse::Delete(delete) => println!("  delete of {} keys", delete.deleted),
            TxnOpResponse::Txn(inner) => show("  within", inner),
            other => println!("  {other:?}"),
        }
    }
}
