//! Clients of other languages, which tests run against the embedded etcd.

use std::fs;
use std::process::{self, Command};

use etcd_process::binaries::{self, ETCD3GW_VERSION};

use crate::{pypi, run};

/// Fetches every client that is not here yet.
pub(crate) fn fetch_all() -> Result<(), String> {
    let curl = run::output(Command::new("curl").arg("--version"), "apt-get install curl")?;
    println!("{}", curl.split(" (").next().unwrap_or_default());
    etcd3gw()?;
    println!("etcd3gw {ETCD3GW_VERSION}");
    Ok(())
}

fn etcd3gw() -> Result<(), String> {
    let place = binaries::etcd3gw_folder();
    if place.is_dir() {
        return Ok(());
    }
    println!("etcd3gw fetching from PyPI ...");
    // Beside its destination, so that a rename moves it there whole.
    let work = place.with_file_name(format!(".fetch-{}", process::id()));
    let fetched = pypi::install("etcd3gw", ETCD3GW_VERSION, &work).and_then(|()| {
        // Another fetch that ran beside this one may have been first.
        match fs::rename(&work, &place) {
            Err(error) if !place.is_dir() => {
                Err(format!("cannot move etcd3gw to {}: {error}", place.display()))
            }
            _ => Ok(()),
        }
    });
    // What cannot be removed only takes room.
    let _ = fs::remove_dir_all(&work);
    fetched
}
