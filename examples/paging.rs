//! A range too large for one answer, page by page, as it was at one moment.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example paging
//! ```

mod endpoints;

use anyetcd::message::MAX_TXN_OPS;
use anyetcd::{Client, Put, Txn, prefix};

const KEYS: usize = 10_000;

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    let client = Client::connect(endpoints::from_env()).await?;
    // What an interrupted run left behind.
    client.delete(prefix("paging/")).await?;

    // As many at once as a transaction may hold: far fewer round trips than one for each.
    let keys: Vec<usize> = (0..KEYS).collect();
    for chunk in keys.chunks(MAX_TXN_OPS) {
        let puts = chunk
            .iter()
            .map(|n| Put::new(format!("paging/key/{n:05}"), format!("value {n}")));
        client.txn(Txn::new().then(puts)).await?;
    }
    println!("{KEYS} keys written");

    // The first page fixes the revision for all, so that what others write meanwhile does not tear the picture.
    // Pages are small at first, then as large as the values allow.
    let mut pages = client.get(prefix("paging/key/")).pages()?;
    let mut received = 0;
    while let Some(page) = pages.try_next().await? {
        // A key that comes while we read belongs to a later revision, and is not seen.
        client.put("paging/key/late", "not in the picture").await?;
        let total = pages.total().unwrap_or_default();
        received += page.kvs.len() as i64;
        println!("{received} of {total} keys, as of revision {}", pages.revision());
    }

    // The same, one pair at a time: pages are fetched as they are needed.
    let mut pairs = client
        .get(prefix("paging/key/"))
        .keys_only()
        .pages()?
        .key_values();
    let mut last = None;
    while let Some(kv) = pairs.try_next().await? {
        last = Some(kv.key);
    }
    println!("a later picture ends with {last:?}");

    let deleted = client.delete(prefix("paging/")).await?.deleted;
    println!("{deleted} keys deleted");
    Ok(())
}
