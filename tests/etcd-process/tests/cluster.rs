//! Clusters elect, fail over, and take in a new member.

// Clippy counts a helper of an integration test as no test.
#![allow(clippy::unwrap_used)]

use etcd_process::{Cluster, Dialect};

#[test]
fn a_cluster_elects_a_leader_and_another_when_that_is_killed() {
    for dialect in Dialect::ALL {
        let mut cluster = Cluster::start(dialect, 3);
        assert_eq!(cluster.client_urls().len(), 3);
        let first = cluster.leader();
        assert!(
            cluster.members()[first]
                .etcdctl(["put", "key", "kept"])
                .status
                .success()
        );

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
        let output = cluster.members()[0].etcdctl(["member", "list"]);
        assert_eq!(
            String::from_utf8(output.stdout)
                .unwrap()
                .matches("started")
                .count(),
            2
        );
    }
}
