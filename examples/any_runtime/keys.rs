//! Keys and values: writes, reads, ranges, transactions, conditional writes, pages.

use anyetcd::{
    Client, Compare, ConditionalOutcome, Get, KeyValue, Put, Result, SortOrder, SortTarget, Txn, TxnOp,
    TxnOpResponse, prefix,
};
use futures_util::future::try_join_all;

pub(crate) async fn tour(client: &Client) -> Result<()> {
    one_key(client).await?;
    ranges(client).await?;
    transactions(client).await?;
    conditional_writes(client).await?;
    pages(client).await?;
    many_at_once(client).await
}

async fn one_key(client: &Client) -> Result<()> {
    println!("# One key");
    let first = client.put("any_runtime/key", "one").prev_kv().await?;
    println!("before: {:?}", first.prev_kv.map(|kv| kv.value));
    let second = client.put("any_runtime/key", "two").prev_kv().await?;
    println!("before: {:?}", second.prev_kv.map(|kv| kv.value));

    let get = client.get("any_runtime/key").await?;
    show(&get.kvs);
    let past = client
        .get("any_runtime/key")
        .revision(first.header.revision)
        .await?;
    show(&past.kvs);

    // Keys and values are bytes, whichever.
    client.put(b"any_runtime/\x00\xff", b"\xff\x00").await?;
    show(&client.get(b"any_runtime/\x00\xff").await?.kvs);
    client.put("any_runtime/empty", "").await?;
    show(&client.get("any_runtime/empty").await?.kvs);

    let deleted = client.delete(prefix("any_runtime/")).prev_kv().await?;
    println!("deleted {}:", deleted.deleted);
    show(&deleted.prev_kvs);
    println!("deleted {}", client.delete("any_runtime/key").await?.deleted);
    Ok(())
}

async fn ranges(client: &Client) -> Result<()> {
    println!("# Ranges");
    for (name, value) in [("a", "3"), ("b", "1"), ("c", "2"), ("d", "4")] {
        client.put(format!("any_runtime/{name}"), value).await?;
    }
    let changed = client.put("any_runtime/b", "5").await?.header.revision;
    let all = || client.get(prefix("any_runtime/"));

    println!("half open");
    show(&client.get("any_runtime/b".."any_runtime/d").await?.kvs);
    println!("from a key on");
    show(&client.get("any_runtime/d"..).limit(1).await?.kvs);
    println!("by value, highest first");
    show(&all().sort(SortTarget::Value, SortOrder::Descend).await?.kvs);
    println!("by creation, the newest two");
    let newest = all()
        .sort(SortTarget::Create, SortOrder::Descend)
        .limit(2)
        .await?;
    show(&newest.kvs);
    println!("{} in all, more: {}", newest.count, newest.more);
    println!("keys only, from this member's own store");
    show(&all().keys_only().serializable().limit(1).await?.kvs);
    println!("changed lately");
    show(&all().min_mod_revision(changed).await?.kvs);
    println!("not changed lately");
    show(&all().max_mod_revision(changed - 1).await?.kvs);
    println!("count: {}", all().count_only().await?.count);
    println!(
        "deleted {}",
        client.delete("any_runtime/a".."any_runtime/c").await?.deleted
    );
    show(&all().await?.kvs);
    Ok(())
}

async fn transactions(client: &Client) -> Result<()> {
    println!("# Transactions");
    client.put("any_runtime/x", "1").await?;
    client.delete("any_runtime/y").await?;

    let txn = Txn::when([
        Compare::version("any_runtime/x").eq(1),
        Compare::value("any_runtime/x").lt("2"),
    ])
    .and([Compare::create_revision("any_runtime/y").eq(0)])
    .then([
        TxnOp::from(Put::new("any_runtime/x", "2").prev_kv()),
        Put::new("any_runtime/y", "2").into(),
        Get::new(prefix("any_runtime/")).keys_only().into(),
    ])
    .otherwise([Get::new("any_runtime/x")]);
    show_txn(client, txn.clone()).await?;
    // The conditions no longer hold.
    show_txn(client, txn).await?;

    // Within the branch that runs another decision is taken.
    let inner = Txn::when([Compare::lease("any_runtime/x").eq(0)])
        .then([anyetcd::Delete::new("any_runtime/x")])
        .otherwise([Get::new("any_runtime/y")]);
    show_txn(
        client,
        Txn::when([Compare::version(prefix("any_runtime/")).gt(0)]).then([inner]),
    )
    .await
}

async fn show_txn(client: &Client, txn: Txn) -> Result<()> {
    let response = client.txn(txn).await?;
    println!("succeeded: {}", response.succeeded);
    show_responses(response.responses);
    Ok(())
}

fn show_responses(responses: Vec<TxnOpResponse>) {
    for response in responses {
        match response {
            TxnOpResponse::Get(get) => {
                println!("get");
                show(&get.kvs);
            }
            TxnOpResponse::Put(put) => println!("put, before: {:?}", put.prev_kv.map(|kv| kv.value)),
            TxnOpResponse::Delete(delete) => println!("deleted {}", delete.deleted),
            TxnOpResponse::Txn(inner) => {
                println!("nested, succeeded: {}", inner.succeeded);
                show_responses(inner.responses);
            }
            other => println!("{other:?}"),
        }
    }
}

async fn conditional_writes(client: &Client) -> Result<()> {
    println!("# Conditional writes");
    let key = "any_runtime/once";
    show_outcome("create", client.put(key, "first").if_absent().await?);
    show_outcome("create again", client.put(key, "second").if_absent().await?);
    show_outcome("swap", client.put(key, "second").if_value("first").await?);
    show_outcome("swap again", client.put(key, "third").if_value("first").await?);
    let seen = client.get(key).await?.first().map_or(0, |kv| kv.mod_revision);
    show_outcome(
        "unchanged",
        client.put(key, "fourth").if_mod_revision(seen).await?,
    );
    show_outcome("changed", client.delete(key).if_mod_revision(seen).await?);
    show_outcome("delete", client.delete(key).if_value("fourth").await?);
    show_outcome("delete again", client.delete(key).if_value("fourth").await?);
    Ok(())
}

fn show_outcome<T>(what: &str, outcome: ConditionalOutcome<T>) {
    match outcome {
        ConditionalOutcome::Applied(_) => println!("{what}: applied"),
        ConditionalOutcome::Refused { current, .. } => {
            println!("{what}: refused, there is {:?}", current.map(|kv| kv.value));
        }
        _ => println!("{what}: ?"),
    }
}

async fn pages(client: &Client) -> Result<()> {
    println!("# Pages");
    for hundred in 0..10 {
        let puts = (0..100).map(|n| Put::new(format!("any_runtime/page/{hundred}{n:02}"), vec![b'v'; 100]));
        client.txn(Txn::new().then(puts)).await?;
    }
    let mut pages = client
        .get(prefix("any_runtime/page/"))
        .pages()?
        .page_bytes(20_000);
    let (mut count, mut revisions) = (0, Vec::new());
    while let Some(page) = pages.try_next().await? {
        count += page.kvs.len();
        revisions.push(pages.revision());
        client
            .put("any_runtime/page/late", "written while pages are read")
            .await?;
    }
    revisions.dedup();
    println!("{count} keys, {} revision", revisions.len());

    let mut pairs = client.get(prefix("any_runtime/page/")).pages()?.key_values();
    let (mut count, mut last) = (0, None);
    while let Some(kv) = pairs.try_next().await? {
        count += 1;
        last = Some(kv.key);
    }
    println!("{count} keys, the last one {last:?}");
    println!(
        "deleted {}",
        client.delete(prefix("any_runtime/page/")).await?.deleted
    );
    Ok(())
}

/// One client serves any number of calls at once.
async fn many_at_once(client: &Client) -> Result<()> {
    println!("# Many at once");
    try_join_all((0..100).map(|n| client.put(format!("any_runtime/many/{n}"), "x").into_future())).await?;
    let gets =
        try_join_all((0..100).map(|n| client.get(format!("any_runtime/many/{n}")).into_future())).await?;
    println!("{} found", gets.iter().filter(|get| get.count == 1).count());
    println!(
        "deleted {}",
        client.delete(prefix("any_runtime/many/")).await?.deleted
    );
    Ok(())
}

fn show(kvs: &[KeyValue]) {
    for kv in kvs {
        println!("  {:?} = {:?}, version {}", kv.key, kv.value, kv.version);
    }
}
