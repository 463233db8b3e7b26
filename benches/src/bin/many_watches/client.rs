//! The client, as it runs in its process.

use std::future::IntoFuture;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyetcd::{Client, Watch};
use anyetcd_benches::used;
use futures_util::future::try_join_all;
use nix::sys::resource::UsageWho;
use tokio::sync::Notify;

use crate::writer::key;

/// What the client says once it watches.
pub(crate) const READY: &str = "ready";

/// What the client says at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// What all watches hold, in the allocator's count.
    pub(crate) bytes: i64,
    /// The CPU time that it took to create them.
    pub(crate) creation_cpu_micros: u64,
    /// The CPU time that the events took.
    pub(crate) cpu_micros: u64,
}

impl FromStr for Told {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut numbers = line.split_whitespace();
        let mut next = || numbers.next().and_then(|number| number.parse().ok());
        match (next(), next(), next()) {
            (Some(bytes), Some(creation), Some(cpu)) => Ok(Self {
                bytes,
                creation_cpu_micros: creation as u64,
                cpu_micros: cpu as u64,
            }),
            _ => Err(format!("the client says {line:?}")),
        }
    }
}

/// `URL WATCHES EVENTS`: each of so many watches is over one key, and has a task. Ends after so many events.
pub(crate) fn run(args: &[&str]) -> ExitCode {
    let parsed = match args {
        [url, watches, events] => watches.parse().ok().zip(events.parse().ok()).map(|n| (*url, n)),
        _ => None,
    };
    let Some((url, (watches, events))) = parsed else {
        return ExitCode::from(2);
    };
    // On one thread, because what is counted is the allocations of a thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a Tokio runtime starts");
    match observe(&runtime, url, watches, events) {
        Ok(Told {
            bytes,
            creation_cpu_micros,
            cpu_micros,
        }) => println!("{bytes} {creation_cpu_micros} {cpu_micros}"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn observe(
    runtime: &tokio::runtime::Runtime,
    url: &str,
    watches: usize,
    events: usize,
) -> anyetcd::Result<Told> {
    let cpu = || used(UsageWho::RUSAGE_SELF);
    let micros = |time: Duration| time.as_micros() as u64;
    let client = runtime.block_on(async { Client::builder().endpoint(url).build() })?;
    let before = cpu();
    let mut created = Ok(Vec::new());
    let memory = allocation_counter::measure(|| created = runtime.block_on(create(&client, watches)));
    let created = created?;
    let creation_cpu_micros = micros(cpu() - before);

    let (before, taken) = (cpu(), runtime.block_on(take(created, events)));
    taken?;
    Ok(Told {
        // The vector of watches counts, too.
        bytes: memory.bytes_current,
        creation_cpu_micros,
        cpu_micros: micros(cpu() - before),
    })
}

async fn create(client: &Client, watches: usize) -> anyetcd::Result<Vec<Watch>> {
    let revision = client.get(key(0)).await?.header.revision;
    let mut created = Vec::with_capacity(watches);
    for begin in (0..watches).step_by(500) {
        let some = (begin..watches.min(begin + 500)).map(|n| {
            let watch = client.watch(key(n)).start_revision(revision + 1);
            watch.into_future()
        });
        created.extend(try_join_all(some).await?);
    }
    Ok(created)
}

/// Says that it is ready, and takes so many events.
async fn take(watches: Vec<Watch>, events: usize) -> anyetcd::Result<()> {
    let (taken, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    for mut watch in watches {
        let (taken, done) = (taken.clone(), done.clone());
        tokio::spawn(async move {
            while let Ok(Some(batch)) = watch.try_next().await {
                if taken.fetch_add(batch.events().len(), Ordering::Relaxed) + batch.events().len() >= events {
                    done.notify_one();
                }
            }
        });
    }
    println!("{READY}");
    done.notified().await;
    Ok(())
}
