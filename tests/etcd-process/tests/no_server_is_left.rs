//! Servers and their folders go with whoever started them, however that ends.

// Clippy counts a helper of an integration test as no test.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use etcd_process::{Dialect, Server};

fn is_gone(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

/// Waits for what happens in another process.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A process that holds one server, and the server's address.
fn holder() -> (Child, SocketAddr) {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_etcd-serve"))
        .arg(Dialect::G2.name())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line
        .trim_end()
        .strip_prefix("ETCD_ENDPOINTS=http://")
        .unwrap()
        .parse()
        .unwrap();
    (holder, address)
}

#[test]
fn a_drop_ends_the_server_and_removes_its_folder() {
    let server = Server::start(Dialect::G2);
    let (address, data) = (server.client_addr(), server.data_dir());
    assert!(!is_gone(address) && data.exists());
    drop(server);
    assert!(is_gone(address) && !data.parent().is_some_and(Path::exists));
}

#[test]
fn a_drop_ends_a_frozen_server() {
    let mut server = Server::start(Dialect::G2);
    let address = server.client_addr();
    server.freeze();
    drop(server);
    assert!(is_gone(address));
}

#[test]
fn a_panic_ends_the_server() {
    let server = Server::start(Dialect::G2);
    let (address, data) = (server.client_addr(), server.data_dir());
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _held = server;
        panic!("on purpose");
    }));
    assert!(panicked.is_err() && is_gone(address) && !data.exists());
}

#[test]
fn a_process_that_is_killed_leaves_no_server() {
    let (mut holder, address) = holder();
    assert!(!is_gone(address));
    let folder = folder_of(holder.id());
    assert!(folder.exists());
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("the end of the server", || is_gone(address));
    wait_until("the end of its folder", || !folder.exists());
}

#[test]
fn a_process_that_ends_leaves_no_server() {
    let (mut holder, address) = holder();
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert!(is_gone(address));
}

/// The folder of the first server that process `id` started.
fn folder_of(id: u32) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("etcd-process-{}-{id}-0", Dialect::G2))
}
