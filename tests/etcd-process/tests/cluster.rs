//! Clusters elect, fail over, and take in a new member.

// Clippy counts a helper of an integration test as no test.
#![allow(clippy::unwrap_used)]

use std::thread;
use std::time::{Duration, Instant};

use etcd_process::{Cluster, Dialect};

#[test]
fn a_cluster_elects_a_leader_and_another_when_that_is_killed() {
    for dialect in Dialect::ALL {
        let mut cluster = Cluster::start(dialect, 3);
        assert_eq!(cluster.client_urls().len(), 3);
        let first = cluster.leader();
        // Its members may be electing another leader.
        let put = || cluster.members()[first].etcdctl(["put", "key", "kept"]);
        until("a put succeeds", || put().status.success());

        cluster.member_mut(first).kill();
        let second = cluster.leader();
        assert_ne!(second, first);

        cluster.member_mut(first).restart();
        let output = cluster.members()[first].etcdctl(["get", "key", "--print-value-only"]);
        assert_eq!(output.stdout, b"kept\n");
    }
}

#[test]
fn a_new_member_joins_once_it_is_announced() {
    for dialect in Dialect::ALL {
        let mut cluster = Cluster::start(dialect, 1);
        let new = cluster.new_member();
        let peer_url = format!("--peer-urls={}", cluster.members()[new].peer_url());
        let output = cluster.members()[0].etcdctl(["member", "add", "new", "--learner", &peer_url]);
        assert!(output.status.success(), "{output:?}");
        cluster.member_mut(new).restart();
        // It serves before the others know its name.
        until("both members are started", || {
            let output = cluster.members()[0].etcdctl(["member", "list"]);
            let listed = String::from_utf8(output.stdout).unwrap();
            listed.matches("started").count() == 2
        });
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
