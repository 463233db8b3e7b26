//! A worker that is present as long as its lease lives, and that does nothing once somebody else may have taken its place.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example presence
//! ```
//!
//! Each line that you type is a piece of work; the end of the input (Ctrl-D) is the end of the shift. Stop it for longer than
//! the lease lives (Ctrl-Z, then `fg`), and type: it knows before it has asked anybody. Meanwhile a second worker can begin.
//! `-- 60` gives the lease 60 seconds instead of three.

mod endpoints;

use std::time::{Duration, Instant};

use anyetcd::{Client, Compare, Lease, LeaseState, LostReason, Put, Txn, error::LeaseLost};
use futures_util::StreamExt;

/// Who is here, under the lease of whoever it is.
const PRESENT: &str = "presence/worker";
/// What was done last. It stays when the worker goes.
const DONE: &str = "presence/done";

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    let client = Client::connect(endpoints::from_env()).await?;
    let seconds = std::env::args().nth(1).and_then(|seconds| seconds.parse().ok());
    let since = Instant::now();
    let lease = client.lease(Duration::from_secs(seconds.unwrap_or(3))).await?;

    let present = client.put(PRESENT, "me").lease(lease.id()).if_absent().await?;
    if !present.is_applied() {
        println!("another worker is present");
        return lease.revoke().await;
    }
    println!("present");

    match work(&client, &lease).await? {
        None => {
            lease.revoke().await?;
            println!("gone, and so is the key");
            Ok(())
        }
        // Whatever comes now comes too late. Ended with an error, so that whoever started it starts it again.
        Some(lost) => {
            let why = match lost.reason() {
                // The time was up by our own clock, without a word from any server.
                LostReason::Expired { .. } => "it expired",
                LostReason::NotFound => "the servers say that it is gone",
                _ => "it was given up",
            };
            println!(
                "lost: {why}, {:.1} s after it began",
                since.elapsed().as_secs_f64()
            );
            Err(lost.into())
        }
    }
}

/// Works until there is nothing left to do, or until the lease is lost, and then says so.
async fn work(client: &Client, lease: &Lease) -> anyetcd::Result<Option<LeaseLost>> {
    let mut orders = lines_of_stdin();
    let mut states = lease.states();
    loop {
        tokio::select! {
            state = states.next() => match state {
                Some(LeaseState::Alive { .. }) => println!("the lease is alive"),
                Some(LeaseState::Degraded { .. }) => println!("the lease lives, and its renewals fail"),
                // Also if this process slept through its deadline: states are compared with the clock when they are asked for.
                _ => return Ok(Some(lease.lost().await)),
            },
            order = orders.next() => match order {
                None => return Ok(None),
                // Asked right before, as this process may have slept since the order came.
                Some(_) if !lease.is_held() => return Ok(Some(lease.lost().await)),
                Some(order) => fulfil(client, lease, &order).await?,
            },
        }
    }
}

/// Looking is not enough: the lease may end between the look and the write. So the server looks again, at the key.
async fn fulfil(client: &Client, lease: &Lease, order: &str) -> anyetcd::Result<()> {
    let done = client
        .txn(Txn::when([Compare::lease(PRESENT).eq(lease.id())]).then([Put::new(DONE, order)]))
        .await?;
    if done.succeeded {
        println!("done: {order}");
    } else {
        println!("not done, we are not the worker any more: {order}");
    }
    Ok(())
}

/// Reading them blocks, so that is for a thread.
fn lines_of_stdin() -> impl futures_util::Stream<Item = String> + Unpin {
    let (sender, lines) = futures_channel::mpsc::unbounded();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.unbounded_send(line).is_err() {
                break;
            }
        }
    });
    lines
}
