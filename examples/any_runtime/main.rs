//! One program, and the async runtime an option of its command line: the whole of the API, over whichever you like.
//!
//! ```sh
//! ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --all-features --example any_runtime -- --runtime smol
//! ```
//!
//! What it prints names no ids, times, revisions or addresses, so that it is the same over every runtime and against
//! every version of etcd; `expected.txt` beside this file is what it has to be.

mod coordination;
#[path = "../endpoints/mod.rs"]
mod endpoints;
mod errors;
mod keys;
mod operation;

use std::env;
use std::process::ExitCode;

use anyetcd::{Client, Result, prefix};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let endpoints = endpoints::from_env();

    // All that depends on the runtime: who polls the future.
    let done = match args[..] {
        ["--runtime", "tokio"] => match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime.block_on(tour(endpoints)),
            Err(error) => {
                eprintln!("no Tokio: {error}");
                return ExitCode::FAILURE;
            }
        },
        ["--runtime", "async-std"] => async_std::task::block_on(tour(endpoints)),
        ["--runtime", "smol"] => smol::block_on(tour(endpoints)),
        _ => {
            eprintln!("usage: any_runtime --runtime tokio|async-std|smol");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn tour(endpoints: Vec<String>) -> Result<()> {
    // The client finds the runtime it is made in.
    let client = Client::connect(endpoints).await?;
    eprintln!("{client:?}");
    // What an interrupted run left behind.
    clean(&client).await?;

    keys::tour(&client).await?;
    coordination::tour(&client).await?;
    errors::tour(&client).await?;
    operation::tour(&client).await?;

    clean(&client).await
}

async fn clean(client: &Client) -> Result<()> {
    client.delete(prefix("any_runtime/")).await?;
    operation::clean(client).await
}
