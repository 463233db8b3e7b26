//! A watch whose keys change while it runs, on one socket; the server's own count of its watchers shows it.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example watch
//! ```

mod endpoints;

use std::io::{Read, Write};
use std::net::TcpStream;

use anyetcd::{Client, ResumeToken, Watch, prefix};

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    let client = Client::connect(endpoints::from_env()).await?;
    // What an interrupted run left behind.
    client.delete(prefix("watch/")).await?;

    keys_come_and_go(&client).await?;
    a_later_process_goes_on(&client).await?;
    client.delete(prefix("watch/")).await?;
    Ok(())
}

/// One watch, one connection, and ranges that are added and removed.
async fn keys_come_and_go(client: &Client) -> anyetcd::Result<()> {
    let mut watch = client.watch(prefix("watch/today/")).await?;
    let handle = watch.handle();
    client.put("watch/today/coffee", "hot").await?;
    show("at first", &mut watch).await?;

    handle.add(prefix("watch/tomorrow/")).await?;
    client.put("watch/tomorrow/tea", "green").await?;
    show("one range more", &mut watch).await?;
    for n in 0..100 {
        handle.add(format!("watch/many/{n}")).await?;
    }
    println!("{} ranges", handle.keys().len());
    println!("{}", what_the_server_counts(client));

    for n in 0..100 {
        handle.remove(format!("watch/many/{n}"));
    }
    handle.remove(prefix("watch/today/"));
    client.put("watch/today/coffee", "cold").await?;
    client.delete("watch/tomorrow/tea").await?;
    show("without the first", &mut watch).await?;

    println!("{}", what_the_server_counts(client));
    watch.cancel().await;
    println!("cancelled, and the connection closed");
    Ok(())
}

/// A token says where a watch got to. Stored as text, it is where another process goes on.
async fn a_later_process_goes_on(client: &Client) -> anyetcd::Result<()> {
    let mut watch = client.watch("watch/log").await?;
    client.put("watch/log", "first").await?;
    show("before", &mut watch).await?;
    let stored = watch.resume_token().to_string();
    drop(watch);
    client.put("watch/log", "while nobody watched").await?;

    let token: ResumeToken = stored.parse()?;
    let mut watch = client.watch("watch/log").resume(token).await?;
    show("after", &mut watch).await
}

/// The server's own count of its watches and of the streams that carry them, those of others included.
fn what_the_server_counts(client: &Client) -> String {
    let endpoint = client.current_endpoint();
    let metrics = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect(endpoint.authority())?;
        socket.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        socket.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = metrics().unwrap_or_default();
    let count = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next())
            .unwrap_or("an unknown number of")
            .to_owned()
    };
    format!(
        "the server counts {} watches on {} streams",
        count("etcd_debugging_mvcc_watcher_total"),
        count("etcd_debugging_mvcc_watch_stream_total")
    )
}

/// Prints the next batch.
async fn show(when: &str, watch: &mut Watch) -> anyetcd::Result<()> {
    let Some(batch) = watch.try_next().await? else {
        println!("unexpectedly over");
        return Ok(());
    };
    for event in batch.events() {
        println!(
            "{when}: {:?} {:?} = {:?}",
            event.event_type, event.kv.key, event.kv.value
        );
    }
    Ok(())
}
