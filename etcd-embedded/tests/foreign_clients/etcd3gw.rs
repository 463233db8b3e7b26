//! etcd3gw, a Python client of the gateway.

use std::process::Command;

use etcd_process::binaries;

use super::on_every_server;

/// What the script says when everything was as it should be.
const DONE: &str = "put, get, transaction, watch, lease and lock: done\n";

#[test]
fn it_puts_gets_watches_leases_and_locks() {
    let etcd3gw = binaries::etcd3gw();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign_clients/talk.py");
    on_every_server(|url| {
        let mut command = Command::new("python3");
        command.arg("-B").arg(script).arg(url).env("PYTHONPATH", &etcd3gw);
        let output = command.output().unwrap_or_else(|error| {
            panic!("cannot run python3: {error}; `apt-get install python3` installs it")
        });
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            DONE,
            "{url}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success());
    });
}
