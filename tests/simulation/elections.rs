//! Elections in a world where everything fails: what their observers were told, held against what happened.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::time::Duration;

use anyetcd::{Client, Delete, KeyValue, ObserveLeader, ObservedLeader, Put, Txn};
use bytes::Bytes;
use etcd_embedded::Config;
use etcd_embedded::sim::{Disturbance, Faults, Schedule, World, seeds};
use etcd_embedded::store::ChangeKind;
use futures_util::future::{Either, join_all, select};

use crate::happened::all_happened;
use crate::writers::client;

const SECOND: Duration = Duration::from_secs(1);
/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(60);
/// After that long without trouble, everything has arrived.
const PEACE: Duration = Duration::from_secs(120);

/// Who led at which revision, taken from the server before a compaction can drop it.
#[derive(Default)]
struct Reigns {
    candidates: BTreeMap<Bytes, KeyValue>,
    /// By the revision that changed it.
    leaders: BTreeMap<i64, Option<KeyValue>>,
    revision: i64,
    compacted: i64,
}

impl Reigns {
    /// Writes down what has happened since the last time; returns the newest revision.
    fn continue_with(&mut self, world: &World) -> i64 {
        let cluster = world.cluster();
        let revision = |member: &usize| cluster.inspect(*member, |server| server.store().revision());
        let newest = (0..cluster.len()).max_by_key(revision).unwrap();
        cluster.inspect(newest, |server| {
            for revision in self.revision + 1..=server.store().revision() {
                for change in server.store().changes(revision) {
                    if !change.pair.key.starts_with(b"boss/") {
                        continue;
                    }
                    match change.kind {
                        ChangeKind::Delete => self.candidates.remove(&change.pair.key),
                        ChangeKind::Put => self
                            .candidates
                            .insert(change.pair.key.clone(), (*change.pair).clone()),
                    };
                }
                let oldest = |kv: &&KeyValue| (kv.create_revision, kv.key.clone());
                let leader = self.candidates.values().min_by_key(oldest).cloned();
                if self.at(revision) != leader.as_ref() {
                    self.leaders.insert(revision, leader);
                }
                self.revision = revision;
            }
        });
        self.revision
    }

    fn at(&self, revision: i64) -> Option<&KeyValue> {
        let (_, leader) = self.leaders.range(..=revision).next_back()?;
        leader.as_ref()
    }

    /// When it changed next.
    fn next_after(&self, revision: i64) -> Option<i64> {
        self.leaders.range(revision + 1..).next().map(|(at, _)| *at)
    }

    /// Holds what an observer was told against it.
    fn check(&self, told: &[ObservedLeader]) {
        for (place, item) in told.iter().enumerate() {
            let leader = item.leader.as_ref().map(|leader| &leader.kv);
            assert_eq!(leader, self.at(item.revision), "number {place} of {told:#?}");
            let Some(before) = place.checked_sub(1).map(|before| &told[before]) else {
                assert!(!item.is_synthetic, "{told:#?}");
                continue;
            };
            assert_ne!(item.leader, before.leader, "number {place} of {told:#?}");
            assert!(item.revision > before.revision, "number {place} of {told:#?}");
            let next = self.next_after(before.revision);
            // A list after a compaction that finds the place as vacant as it was is not told.
            let was_vacant = before.leader.is_none() && self.at(item.revision - 1).is_none();
            let is_excused = was_vacant && next.is_some_and(|next| next <= self.compacted);
            if !item.is_synthetic && !is_excused {
                assert_eq!(next, Some(item.revision), "number {place} of {told:#?}");
            }
        }
    }
}

/// What happens to all, and what they are told.
struct Stage<'w> {
    world: &'w World,
    reigns: RefCell<Reigns>,
    told: RefCell<Vec<Vec<ObservedLeader>>>,
    caught_up: Cell<usize>,
}

impl Stage<'_> {
    async fn pause(&self, at_most: Duration) {
        let millis = u64::try_from(at_most.as_millis()).unwrap();
        self.world
            .sleep(Duration::from_millis(self.world.random(millis)))
            .await;
    }

    fn newest(&self) -> i64 {
        self.reigns.borrow_mut().continue_with(self.world)
    }

    /// Campaigns for ever, proclaims some things when it leads, and leaves in one of all ways.
    async fn run_for_office(&self, client: Client, number: usize) {
        loop {
            self.pause(2 * SECOND).await;
            let ttl = 2 + self.world.random(8);
            let Ok(lease) = client.lease(Duration::from_secs(ttl)).await else {
                continue;
            };
            let elections = client.elections();
            let campaign = elections.campaign("boss", lease.id(), format!("{number}"));
            let patience = pin!(self.pause(30 * SECOND));
            let won = match select(campaign.into_future(), patience).await {
                Either::Left((Ok(won), _)) => won.leader,
                _ => continue,
            };
            for proclaimed in 0..self.world.random(4) {
                self.pause(2 * SECOND).await;
                drop(
                    elections
                        .proclaim(won.clone(), format!("{number}: {proclaimed}"))
                        .await,
                );
            }
            match self.world.random(3) {
                0 => drop(elections.resign(won).await),
                1 => drop(lease.revoke().await),
                _ => drop(lease.detach()),
            }
        }
    }

    /// Puts keys that are candidates as well, and has some of them change places in one transaction.
    async fn meddle(&self, client: Client) {
        loop {
            self.pause(4 * SECOND).await;
            let key = |number: u64| format!("boss/{}", number % 3);
            let first = self.world.random(3);
            match self.world.random(3) {
                0 => drop(client.put(key(first), "stranger").await),
                1 => drop(client.delete(key(first)).await),
                _ => {
                    let txn = Txn::new().then([Put::new(key(first), "usurper")]);
                    drop(client.txn(txn.then([Delete::new(key(first + 1))])).await);
                }
            }
        }
    }

    /// Compacts now and then, once all is written down, at a revision that deletes nothing: servers before 3.5.18 may lose
    /// what it deletes (etcd's issue 19179), and nobody can tell.
    async fn compact(&self, client: Client) {
        loop {
            self.pause(20 * SECOND).await;
            let Ok(put) = client.put("elsewhere", "v").await else {
                continue;
            };
            self.newest();
            let revision = put.header.revision;
            // Whether it will be applied is not known if it fails.
            self.reigns.borrow_mut().compacted = revision;
            drop(client.compact(revision).await);
        }
    }

    /// Observes for ever, now and then with another client.
    async fn observe(&self) {
        loop {
            let client = client(self.world);
            let Ok(boss) = client.elections().observe("boss").await else {
                self.pause(SECOND).await;
                continue;
            };
            let record = self.told.borrow().len();
            self.told.borrow_mut().push(Vec::new());
            self.follow(boss, record).await;
        }
    }

    async fn follow(&self, mut boss: ObserveLeader, record: usize) {
        let is_troubled = || self.world.elapsed() < TROUBLE;
        loop {
            let next = {
                let patience = pin!(self.pause(10 * SECOND));
                match select(pin!(boss.try_next()), patience).await {
                    Either::Left((next, _)) => Some(next.unwrap().expect("nobody ended it")),
                    // The future of what comes next was dropped: nothing may be lost with it.
                    Either::Right(_) => None,
                }
            };
            match next {
                Some(next) => self.told.borrow_mut()[record].push(next),
                None if is_troubled() && self.world.random(5) == 0 => return,
                None if self.world.random(2) == 0 => {
                    let before = self.newest();
                    if boss.caught_up().await.is_ok() {
                        let now = self.newest();
                        // What came and went before it could be received does not keep it from having caught up.
                        let kv = boss.leader().map(|leader| &leader.kv);
                        let reigns = self.reigns.borrow();
                        let is_late = (before..=now).all(|revision| reigns.at(revision) != kv);
                        assert!(!is_late, "led by {kv:?} neither at {before} nor since: {boss:?}");
                        self.caught_up.set(self.caught_up.get() + 1);
                    }
                }
                None => {}
            }
            self.newest();
            let kv = boss.leader().map(|leader| &leader.kv);
            assert_eq!(kv, self.reigns.borrow().at(boss.revision()), "{boss:?}");
        }
    }
}

/// A run of everything; how often somebody was told who leads, how often by a list after a compaction, and how often an
/// observer has caught up.
fn run(world: &World) -> [usize; 3] {
    let stage = Stage {
        world,
        reigns: RefCell::default(),
        told: RefCell::default(),
        caught_up: Cell::default(),
    };
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for number in 0..3 {
        tasks.push(Box::pin(stage.run_for_office(client(world), number)));
    }
    tasks.push(Box::pin(stage.meddle(client(world))));
    tasks.push(Box::pin(stage.compact(client(world))));
    for _ in 0..3 {
        tasks.push(Box::pin(stage.observe()));
    }
    let mut all = join_all(tasks);
    let mut for_a_while = |time: Duration| {
        world.block_on(select(&mut all, pin!(world.sleep(time))));
    };
    for_a_while(TROUBLE);
    world.calm_down();
    for_a_while(PEACE);
    let due = stage.newest();
    for_a_while(PEACE);
    drop(all);
    stage.newest();
    let (reigns, told) = (stage.reigns.borrow(), stage.told.borrow());
    for told in told.iter() {
        reigns.check(told);
    }
    // Whoever goes on has been told all.
    let ends = told
        .iter()
        .map(|told| told.last().map_or(0, |last| last.revision));
    let complete = ends.filter(|end| reigns.next_after(*end).is_none_or(|next| next > due));
    assert!(complete.count() >= 3, "up to {due}: {told:#?}");
    // Whatever a client left behind is gone once the server has noticed.
    world.advance(Duration::from_secs(200));
    assert_eq!(world.cluster().watch_count(), 0, "watchers are left behind");
    let synthetic = told.iter().flatten().filter(|told| told.is_synthetic);
    [
        told.iter().map(Vec::len).sum(),
        synthetic.count(),
        stage.caught_up.get(),
    ]
}

#[test]
fn observers_of_an_election_are_told_who_led_and_when() {
    const SEEDS: u64 = 12;
    let mut happened = [0; 3];
    seeds(SEEDS, |seed| {
        let faults = [Faults::rare(), Faults::frequent()][seed as usize % 2].clone();
        let world = World::builder(seed)
            .members([1, 3][seed as usize / 2 % 2])
            .config(Config::new().dialect(crate::writes::config(seed).dialect))
            .faults(faults)
            .schedule(Schedule::every(3 * SECOND).without(Disturbance::Compact))
            .build();
        let told = run(&world);
        happened = std::array::from_fn(|index| happened[index] + told[index]);
    });
    let [told, synthetic, caught_up] = happened;
    all_happened(
        SEEDS,
        [
            ("told who leads", told),
            ("told after a compaction", synthetic),
            ("caught up", caught_up),
        ],
    );
}
