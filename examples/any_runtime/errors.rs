//! What can go wrong, and what an error says of it.

use std::fmt::Debug;

use anyetcd::{Client, ErrorKind, Put, Result, Txn, prefix};

pub(crate) async fn tour(client: &Client) -> Result<()> {
    println!("# Errors");
    // Refused here: no server could accept it.
    show("no key", client.put("", "value").await);
    show("no time to live", client.leases().grant(0).await);
    show(
        "a value and the present one",
        client.put("any_runtime/key", "value").ignore_value().await,
    );
    let puts = (0..129).map(|n| Put::new(format!("any_runtime/{n}"), ""));
    show("too much at once", client.txn(Txn::new().then(puts)).await);
    show("no endpoint", Client::connect([""; 0]).await);
    show("no such scheme", Client::connect(["ftp://127.0.0.1"]).await);
    show(
        "pages of a number",
        client.get(prefix("any_runtime/")).count_only().pages(),
    );

    // Refused by the server, in terms of its own.
    show(
        "the value of nothing",
        client.put("any_runtime/none", "").ignore_value().await,
    );
    show("no such lease", client.put("any_runtime/key", "").lease(1).await);
    show("nothing to renew", client.leases().keep_alive_once(1).await);
    show("nothing to revoke", client.leases().revoke(1).await);
    show(
        "the future",
        client.get("any_runtime/key").revision(i64::MAX).await,
    );
    show("too large", client.put("any_runtime/key", vec![0; 2 << 20]).await);
    let twice = Txn::new().then([Put::new("any_runtime/key", "1"), Put::new("any_runtime/key", "2")]);
    show("the same key twice", client.txn(twice).await);
    show("a member unheard of", client.cluster().member_remove(1).await);
    Ok(())
}

fn show<T: Debug>(what: &str, result: Result<T>) {
    let error = match result {
        Ok(answer) => return println!("{what}: unexpectedly {answer:?}"),
        Err(error) => error,
    };
    let reason = match error.kind() {
        // Which of etcd's errors it is does not depend on how this server words and codes it.
        ErrorKind::Server(server) => format!("{:?}", server.kind()),
        kind => kind.to_string(),
    };
    println!(
        "{what}: {reason} (fault: {:?}, retry: {:?}, outcome unknown: {})",
        error.fault(),
        error.retry(),
        error.is_outcome_unknown(),
    );
}
