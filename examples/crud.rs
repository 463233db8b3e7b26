//! Create, read, update, delete: one key, ranges of them, and what was there before.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example crud
//! ```

mod endpoints;

use anyetcd::{Client, ConditionalOutcome, KeyValue, SortOrder, SortTarget, prefix};

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    let client = Client::connect(endpoints::from_env()).await?;
    // What an interrupted run left behind.
    client.delete(prefix("crud/")).await?;

    // Create.
    let header = client.put("crud/apple", "green").await?.header;
    println!("put crud/apple at revision {}", header.revision);
    for (fruit, color) in [("banana", "yellow"), ("cherry", "red"), ("date", "brown")] {
        client.put(format!("crud/{fruit}"), color).await?;
    }

    // Read: one key, ...
    let apple = client.get("crud/apple").await?;
    show("one key", apple.first());
    // ... a range, whose end is not part of it, as in Rust, ...
    show(
        "from apple to cherry",
        &client.get("crud/apple".."crud/cherry").await?.kvs,
    );
    // ... and all keys that begin alike, in the order asked for.
    let by_color = client
        .get(prefix("crud/"))
        .sort(SortTarget::Value, SortOrder::Ascend);
    show("by color", &by_color.await?.kvs);

    // The number alone costs no transfer of what is counted.
    let count = client.get(prefix("crud/")).count_only().await?.count;
    println!("{count} fruits");

    // Update, and see what was there before.
    let updated = client.put("crud/apple", "red").prev_kv().await?;
    show("before the update", &updated.prev_kv);
    // The past stays readable until it is compacted.
    let past = client.get("crud/apple").revision(header.revision).await?;
    show("at the first revision", past.first());

    // Update only what nobody else has changed since it was read.
    let read = client.get("crud/banana").await?;
    let seen = read.first().map_or(0, |kv| kv.mod_revision);
    client.put("crud/banana", "black").await?; // somebody is faster
    match client.put("crud/banana", "green").if_mod_revision(seen).await? {
        ConditionalOutcome::Refused { current, .. } => show("kept, because it was changed", &current),
        other => println!("unexpectedly {other:?}"),
    }

    // Delete, and keep what is deleted.
    let deleted = client.delete("crud/date").prev_kv().await?;
    show("deleted", &deleted.prev_kvs);
    let deleted = client.delete(prefix("crud/")).await?.deleted;
    println!("{deleted} more deleted");
    Ok(())
}

fn show<'a>(what: &str, pairs: impl IntoIterator<Item = &'a KeyValue>) {
    let pairs: Vec<String> = pairs
        .into_iter()
        // Keys and values are bytes; these two are `None` where they are not UTF-8.
        .map(|kv| {
            format!(
                "{}={}",
                kv.key_str().unwrap_or("?"),
                kv.value_str().unwrap_or("?")
            )
        })
        .collect();
    println!("{what}: {}", pairs.join(" "));
}
