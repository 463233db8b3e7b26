//! How a world is to be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_core::message::Member;
use etcd_core::runtime::Runtime as _;

use super::cluster::Raft;
use super::network::Net;
use super::node::{Node, host};
use super::runtime::{Device, SimRuntime};
use super::universe::{Shared, Universe};
use super::{Faults, Schedule, World};
use crate::random::Random;
use crate::{Config, Gateway, Server};

/// Sets how a [`World`] is to be.
#[derive(Clone, Debug)]
#[must_use]
pub struct WorldBuilder {
    seed: u64,
    members: usize,
    config: Config,
    faults: Faults,
    schedule: Option<Schedule>,
    peer_latency: (Duration, Duration),
}

impl WorldBuilder {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            members: 1,
            config: Config::new(),
            faults: Faults::none(),
            schedule: None,
            peer_latency: (Duration::from_micros(100), Duration::from_millis(1)),
        }
    }

    /// The number of members. Default 1.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub fn members(mut self, members: usize) -> Self {
        assert!(members > 0, "a cluster has members");
        self.members = members;
        self
    }

    /// The settings of the members. Default [`Config::new`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// How bad the network is. Default [`Faults::none`].
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// What is going to happen on purpose. Default nothing.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = Some(schedule);
        self
    }

    /// How long bytes take between members, at least and at most. Default 100 µs to 1 ms.
    pub fn peer_latency(mut self, least: Duration, most: Duration) -> Self {
        self.peer_latency = (least, most);
        self
    }

    /// Makes the world.
    #[must_use]
    pub fn build(self) -> World {
        let mut random = Random::new(self.seed);
        let runtime = SimRuntime::new(random.next_u64());
        let handle = runtime.handle();
        let now = handle.now();
        let nodes = servers(&self.config, self.members, now, &mut random)
            .into_iter()
            .enumerate()
            .map(|(index, server)| Node::new(index, Gateway::new(server)))
            .collect();
        let raft = (self.members > 1).then(|| Raft::new(self.members, self.peer_latency));
        let mut universe = Universe::new(now, random, Net::new(self.faults), nodes, raft);
        universe.elect_first();
        universe.follow(self.schedule);
        let shared = Arc::new(Shared::new(handle, universe));
        let device: Arc<dyn Device> = shared.clone();
        runtime.attach(Arc::downgrade(&device));
        World::of(self.seed, runtime, shared)
    }
}

/// The servers of a cluster: one that is alone, or members of several.
fn servers(config: &Config, count: usize, now: Instant, random: &mut Random) -> Vec<Server> {
    if count == 1 {
        return vec![Server::new(config.clone(), now, random.next_u64())];
    }
    let cluster_id = random.next_u64() >> 1;
    let members: Vec<_> = (0..count)
        .map(|index| {
            let mut member = Member::default();
            member.id = random.next_u64() >> 1;
            member.name = format!("member-{index}");
            member.peer_urls = vec![format!("http://{}:2380", host(index))];
            member.client_urls = vec![format!("http://{}", host(index))];
            member
        })
        .collect();
    let replica = |member: &Member| {
        let id = (cluster_id, member.id);
        Server::replica(config.clone(), now, random.next_u64(), id, &members)
    };
    members.iter().map(replica).collect()
}
