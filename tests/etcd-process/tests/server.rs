//! What a test may rely on from one server, on every dialect.

// Clippy counts a helper of an integration test as no test.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use etcd_process::{Dialect, Server, binaries, shared};

/// Runs `check` on every dialect, with a server of its own each.
fn on_each_dialect(check: impl Fn(Server)) {
    for dialect in Dialect::ALL {
        check(Server::start(dialect));
    }
}

/// What `etcdctl get` prints for `key`.
fn value_of(server: &Server, key: &str) -> String {
    let output = server.etcdctl(["get", key, "--print-value-only"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn put(server: &Server, key: &str, value: &str) {
    let output = server.etcdctl(["put", key, value]);
    assert!(output.status.success(), "{output:?}");
}

/// The start of the answer to a GET at the client port, or why there was none.
fn health(address: SocketAddr, patience: Duration) -> Result<String, ErrorKind> {
    let mut stream = TcpStream::connect_timeout(&address, patience).map_err(|e| e.kind())?;
    stream.set_read_timeout(Some(patience)).unwrap();
    write!(stream, "GET /health HTTP/1.0\r\n\r\n").map_err(|e| e.kind())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| e.kind())?;
    Ok(answer)
}

#[test]
fn every_dialect_starts_with_the_version_that_stands_for_it() {
    on_each_dialect(|server| {
        let version = binaries::version(server.dialect());
        assert!(
            version.starts_with(server.dialect().version().rsplit_once('.').unwrap().0),
            "{version}"
        );
        put(&server, "key", "value");
        assert_eq!(value_of(&server, "key"), "value");
        assert_eq!(server.metric("etcd_server_is_leader"), Some(1.0));
        assert_eq!(server.metric("no_such_metric"), None);
    });
}

#[test]
fn the_binary_of_each_dialect_links_its_library() {
    for dialect in Dialect::ALL {
        let binary = std::fs::read(binaries::etcd(dialect)).unwrap();
        assert_eq!(Dialect::of_binary(&binary), Some(dialect));
    }
    assert_eq!(Dialect::of_binary(b"#!/bin/sh"), None);
}

#[test]
fn a_frozen_server_accepts_and_stays_silent_until_it_is_thawed() {
    on_each_dialect(|mut server| {
        server.freeze();
        let silent = health(server.client_addr(), Duration::from_millis(500));
        assert!(
            matches!(silent, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
            "{silent:?}"
        );
        server.thaw();
        let answer = health(server.client_addr(), Duration::from_secs(30)).unwrap();
        assert!(answer.contains("200 OK"), "{answer}");
    });
}

#[test]
fn a_killed_server_refuses_and_a_restart_keeps_its_url_and_data() {
    on_each_dialect(|mut server| {
        put(&server, "key", "kept");
        let (url, pid) = (server.client_url().to_owned(), server.pid().unwrap());
        server.freeze();
        server.kill();
        assert_eq!(server.pid(), None);
        let refused = health(server.client_addr(), Duration::from_secs(30));
        assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused);
        server.restart();
        assert_eq!(server.client_url(), url);
        assert_ne!(server.pid(), Some(pid));
        assert_eq!(value_of(&server, "key"), "kept");
    });
}

#[test]
fn terminate_ends_a_server_and_a_restart_keeps_its_data() {
    on_each_dialect(|mut server| {
        put(&server, "key", "kept");
        server.terminate();
        assert_eq!(
            health(server.client_addr(), Duration::from_secs(30)).unwrap_err(),
            ErrorKind::ConnectionRefused
        );
        server.restart();
        assert_eq!(value_of(&server, "key"), "kept");
    });
}

#[test]
fn settings_reach_the_server() {
    for dialect in Dialect::ALL {
        let server = Server::builder(dialect)
            .quota_backend_bytes(16 << 20)
            .max_txn_ops(1)
            .max_request_bytes(2048)
            .auth_token("simple")
            .auth_token_ttl(Duration::from_secs(60))
            .watch_progress_notify_interval(Duration::from_millis(300))
            .fsync(true)
            .start();
        assert_eq!(
            server.metric("etcd_server_quota_backend_bytes"),
            Some(f64::from(16 << 20))
        );
        let two_ops = server.etcdctl_with_input(["txn"], b"\nput a 1\nput b 2\n\n\n");
        assert!(!two_ops.status.success());
        let too_long = server.etcdctl_with_input(["put", "key"], &[b'x'; 4096]);
        assert!(!too_long.status.success());
    }
}

#[test]
fn a_server_waits_for_its_disk_only_if_asked_to() {
    for dialect in Dialect::ALL {
        for fsync in [false, true] {
            let server = Server::builder(dialect).fsync(fsync).start();
            let syncs = || {
                server
                    .metric("etcd_disk_wal_fsync_duration_seconds_count")
                    .unwrap()
            };
            let before = syncs();
            for number in 0..10 {
                put(&server, "key", &number.to_string());
            }
            let during = syncs() - before;
            assert_eq!(during >= 10.0, fsync, "{dialect}: {during} syncs for 10 puts");
        }
    }
}

#[test]
fn a_chosen_data_directory_outlives_its_server() {
    let folder = std::env::temp_dir().join(format!("etcd-process-kept-{}", std::process::id()));
    let start = || Server::builder(Dialect::G2).data_dir(&folder).start();
    put(&start(), "key", "kept");
    let value = value_of(&start(), "key");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(value, "kept");
}

#[test]
fn values_of_any_bytes_reach_etcdctl_through_its_input() {
    on_each_dialect(|server| {
        let output = server.etcdctl_with_input(["put", "key"], b"\x00\xff\n\x00");
        assert!(output.status.success(), "{output:?}");
        let output = server.etcdctl(["get", "key", "--write-out=json"]);
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .contains(r#""value":"AP8KAA==""#)
        );
    });
}

#[test]
fn the_shared_server_is_one_a_dialect() {
    for dialect in Dialect::ALL {
        assert_eq!(shared(dialect).dialect(), dialect);
        assert_eq!(shared(dialect).pid(), shared(dialect).pid());
    }
    assert_ne!(
        shared(Dialect::G1_6).client_url(),
        shared(Dialect::G2).client_url()
    );
}

#[test]
#[should_panic(expected = "no-such-flag")]
fn a_server_that_cannot_start_panics_with_its_log() {
    Server::builder(Dialect::G2).arg("--no-such-flag").start();
}
