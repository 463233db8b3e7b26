use std::ffi::OsString;
use std::thread;
use std::time::{Duration, Instant};

use crate::start::{Started, start_on_free_ports};
use crate::{Dialect, Server, ServerBuilder, metrics};

/// How long the members may take to agree on a leader, or on the version of the cluster.
const ELECTION_DEADLINE: Duration = Duration::from_secs(60);

/// Servers that form one cluster.
///
/// ```no_run
/// # use etcd_process::{Cluster, Dialect};
/// let mut cluster = Cluster::start(Dialect::G1_16, 3);
/// let old = cluster.leader();
/// cluster.member_mut(old).kill();
/// assert_ne!(cluster.leader(), old);
/// ```
#[derive(Debug)]
pub struct Cluster {
    builder: ServerBuilder,
    members: Vec<Server>,
}

impl Cluster {
    /// Starts a cluster of `members` servers with the default settings and waits until all are healthy.
    ///
    /// # Panics
    ///
    /// If the binary is missing, or a member does not become healthy in time; the message ends with its log.
    pub fn start(dialect: Dialect, members: usize) -> Self {
        Self::builder(dialect, members).start()
    }

    /// Settings for a cluster of `members` servers.
    pub fn builder(dialect: Dialect, members: usize) -> ClusterBuilder {
        ClusterBuilder {
            server: Server::builder(dialect),
            members,
        }
    }

    /// All members, running or not. A member keeps its place.
    pub fn members(&self) -> &[Server] {
        &self.members
    }

    /// One member, to freeze, kill or restart it.
    pub fn member_mut(&mut self, index: usize) -> &mut Server {
        &mut self.members[index]
    }

    /// Where clients reach each member, in the order of [`members`](Self::members).
    pub fn client_urls(&self) -> Vec<&str> {
        self.members.iter().map(Server::client_url).collect()
    }

    /// The place of the leader among [`members`](Self::members), once exactly one of the members that answer says it is
    /// the leader and all others that answer know one.
    ///
    /// # Panics
    ///
    /// If there is none in time.
    pub fn leader(&self) -> usize {
        let deadline = Instant::now() + ELECTION_DEADLINE;
        loop {
            let answers: Vec<(usize, String)> = self
                .members
                .iter()
                .enumerate()
                .filter_map(|(index, member)| Some((index, member.try_metrics().ok()?)))
                .collect();
            let says = |text: &str, name: &str| metrics::value(text, name) == Some(1.0);
            let knows = answers
                .iter()
                .filter(|(_, text)| says(text, "etcd_server_has_leader"))
                .count();
            let mut leads = answers
                .iter()
                .filter(|(_, text)| says(text, "etcd_server_is_leader"));
            if let (Some((leader, _)), None) = (leads.next(), leads.next())
                && knows == answers.len()
            {
                return *leader;
            }
            assert!(
                Instant::now() < deadline,
                "no leader after {ELECTION_DEADLINE:?}\n{}",
                self.log_tail()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A server that is to join, not started yet, and its place among [`members`](Self::members).
    ///
    /// Announce its [`peer_url`](Server::peer_url) to the cluster (member add), then start it with
    /// [`restart`](Server::restart).
    ///
    /// A member that joins asks the others for the version of the cluster and ends at once where that is not decided
    /// yet, which a new leader does some time after the cluster is healthy; so this waits for it.
    ///
    /// # Panics
    ///
    /// If a member that runs has heard of no version in time.
    pub fn new_member(&mut self) -> usize {
        for member in self.members.iter().filter(|member| member.pid().is_some()) {
            member.wait_for_cluster_version(ELECTION_DEADLINE);
        }
        let index = self.members.len();
        self.members
            .push(Server::prepare(self.builder.clone(), &member_name(index)));
        let members = initial_cluster(&self.members);
        self.members[index].set_initial_cluster(&members, true);
        index
    }
}

/// Settings of a cluster that is to start. Made by [`Cluster::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder starts nothing until `start`"]
pub struct ClusterBuilder {
    server: ServerBuilder,
    members: usize,
}

impl ClusterBuilder {
    /// Adds one argument for every member; see [`ServerBuilder::arg`].
    pub fn arg(self, arg: impl Into<OsString>) -> Self {
        Self {
            server: self.server.arg(arg),
            ..self
        }
    }

    /// Takes all settings for every member from `server`.
    ///
    /// # Panics
    ///
    /// If it has a data directory, which members cannot share.
    pub fn server(self, server: ServerBuilder) -> Self {
        assert!(
            server.chosen_data_dir().is_none(),
            "members cannot share a data directory"
        );
        Self { server, ..self }
    }

    /// Starts the cluster and waits until every member is healthy.
    ///
    /// # Panics
    ///
    /// If the binary is missing, or a member does not become healthy in time; the message ends with its log.
    pub fn start(self) -> Cluster {
        start_on_free_ports(|| {
            let prepare = |index| Server::prepare(self.server.clone(), &member_name(index));
            let mut members: Vec<Server> = (0..self.members).map(prepare).collect();
            let initial = initial_cluster(&members);
            for member in &mut members {
                member.set_initial_cluster(&initial, false);
                member.spawn();
            }
            let healthy = members.iter_mut().try_for_each(Server::try_wait_until_healthy);
            (
                Cluster {
                    builder: self.server.clone(),
                    members,
                },
                healthy,
            )
        })
    }
}

fn member_name(index: usize) -> String {
    format!("m{index}")
}

fn initial_cluster(members: &[Server]) -> String {
    members
        .iter()
        .map(Server::as_initial_member)
        .collect::<Vec<_>>()
        .join(",")
}
