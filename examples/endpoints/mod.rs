//! Which servers the examples talk to.

use std::env;
use std::process::exit;

/// The URLs in `ETCD_ENDPOINTS`, which are separated by commas. Without any, says what to do and ends the program.
pub(crate) fn from_env() -> Vec<String> {
    let urls = env::var("ETCD_ENDPOINTS").unwrap_or_default();
    let urls: Vec<String> = urls
        .split(',')
        .map(str::trim)
        .filter(|url| !url.is_empty())
        .map(str::to_owned)
        .collect();
    if urls.is_empty() {
        eprintln!(
            "ETCD_ENDPOINTS is not set. This example needs an etcd server, one to play with; say where it is:\n\n    \
             ETCD_ENDPOINTS=http://127.0.0.1:2379 cargo run --example ...\n\n\
             Several URLs are separated by commas."
        );
        exit(2);
    }
    urls
}
