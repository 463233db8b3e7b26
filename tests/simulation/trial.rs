//! A world to try consumers of streams in.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyetcd::{Client, Delete, Put, Txn, prefix};
use etcd_embedded::sim::{Faults, SimTransport, World};
use etcd_embedded::{Config, Dialect};
use futures_util::future::{Either, join_all, select};

use crate::chronicle::Chronicle;
use crate::logins;
use crate::pace::Pace;

/// How many keys there are: `k/0`, `k/1`, …
pub(crate) const KEYS: u64 = 6;

/// After that time servers have noticed that a client is gone: 150 s at most (see [`Faults::max_linger`]), and what a
/// message takes.
const NOTICED: Duration = Duration::from_secs(200);

/// The time between two looks at whether everybody has caught up.
const LOOK: Duration = Duration::from_millis(50);

/// A world to try consumers of streams in: some write, some compact, and at the end everybody has to catch up.
pub(crate) struct Trial {
    pub(crate) world: World,
    pub(crate) pace: Pace,
    pub(crate) chronicle: Chronicle,
    secured: bool,
}

/// What somebody does, until the world ends.
pub(crate) type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Up to which revision a consumer has been told everything, as it sees it.
pub(crate) type Reached = Rc<Cell<i64>>;

/// The revisions that everybody has to reach at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// A put of every key.
    pub(crate) put: i64,
    /// The deletion of every key, right after.
    pub(crate) delete: i64,
}

impl Trial {
    /// One with as many members; the seed says which dialect they speak, how bad the network is, and whether one has to
    /// log in.
    pub(crate) fn new(seed: u64, pace: Pace, members: usize) -> Self {
        let dialect = [Dialect::G1_6, Dialect::G1_16, Dialect::G2][(seed % 3) as usize];
        let config = Config::new()
            .dialect(dialect)
            .watch_progress_notify_interval(Duration::from_secs(2));
        let world = World::builder(seed).members(members).config(config).build();
        let secured = seed / 3 % 4 == 3;
        if secured {
            world.block_on(logins::switch_on(&world));
        }
        let faults = if seed.is_multiple_of(2) {
            Faults::frequent()
        } else {
            Faults::rare()
        };
        world.network().set(pace.faults(faults));
        world.follow(pace.schedule());
        Self {
            world,
            pace,
            chronicle: Chronicle::default(),
            secured,
        }
    }

    /// A client on a transport of its own.
    pub(crate) fn client(&self) -> Client {
        self.client_on(self.world.transport())
    }

    /// A client on this transport.
    pub(crate) fn client_on(&self, transport: Arc<SimTransport>) -> Client {
        let builder = self.pace.builder(&self.world);
        let builder = builder.transport(self.world.runtime(), transport);
        let builder = if self.secured {
            builder.credentials("root", logins::PASSWORD)
        } else {
            builder
        };
        builder.build().unwrap()
    }

    /// A random part of a time.
    pub(crate) fn part(&self, time: Duration) -> Duration {
        Duration::from_millis(self.world.random(time.as_millis() as u64 + 1))
    }

    /// Whether things still go wrong.
    pub(crate) fn is_troubled(&self) -> bool {
        self.world.elapsed() < self.pace.trouble
    }

    /// How long a consumer waits at most before it does something else: not long once nothing goes wrong any more, and
    /// nothing comes for long.
    pub(crate) fn patience(&self) -> Duration {
        if self.is_troubled() {
            self.pace.patience
        } else {
            self.pace.rest
        }
    }

    /// What comes first: what a future says, or `None` after a random part of `time`.
    pub(crate) async fn within<F: IntoFuture>(&self, time: Duration, future: F) -> Option<F::Output> {
        match select(
            pin!(future.into_future()),
            pin!(self.world.sleep(self.part(time))),
        )
        .await
        {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }

    /// Puts, deletes and transactions, over a few keys; some are given up.
    pub(crate) async fn write(&self) {
        let client = self.client();
        while self.is_troubled() {
            self.within(self.pace.slowness, self.write_once(&client)).await;
            self.world.sleep(self.part(self.pace.rest)).await;
        }
    }

    async fn write_once(&self, client: &Client) {
        let world = &self.world;
        let key = || format!("k/{}", world.random(KEYS));
        let value = world.random(1000).to_string();
        match world.random(6) {
            0 => drop(client.delete(key()).await),
            1 | 2 => {
                let (first, second) = (world.random(KEYS), world.random(KEYS - 1) + 1);
                let other = format!("k/{}", (first + second) % KEYS);
                let txn = Txn::new().then([Put::new(format!("k/{first}"), &value)]);
                let txn = match world.random(2) {
                    0 => txn.then([Put::new(other, &value)]),
                    _ => txn.then([Delete::new(other)]),
                };
                drop(client.txn(txn).await);
            }
            3 => drop(client.put("elsewhere", &value).await),
            _ => drop(client.put(key(), &value).await),
        }
    }

    /// Compacts now and then, up to what is written down.
    pub(crate) async fn compact(&self) {
        let client = self.client();
        loop {
            self.world
                .sleep(self.pace.compaction / 5 + self.part(self.pace.compaction))
                .await;
            if !self.is_troubled() {
                return;
            }
            let newest = self.chronicle.continue_with(&self.world);
            if newest >= 3 {
                let revision = newest - self.world.random(3) as i64;
                self.chronicle.will_compact(revision);
                drop(client.compact(revision).await);
            }
        }
    }

    /// Lets everybody do what he does, first while things go wrong and then until all have `caught_up` with the last
    /// writes, or should have. Returns those, and whether all have.
    ///
    /// # Panics
    ///
    /// If nothing can be written although nothing goes wrong.
    pub(crate) fn run<'a>(
        &'a self,
        tasks: Vec<Task<'a>>,
        caught_up: impl Fn(Marks) -> bool,
    ) -> (Marks, bool) {
        let mut all = join_all(tasks);
        self.run_troubled(&mut all);
        let last = Cell::new(None);
        let end = async {
            let marks = self.mark().await;
            last.set(Some(marks));
            while !caught_up(marks) {
                self.world.sleep(LOOK).await;
            }
        };
        let end = select(Box::pin(end), self.world.sleep(self.pace.peace));
        let ended = self.world.block_on(select(end, all));
        let have_caught_up = matches!(ended, Either::Left((Either::Left(_), _)));
        // A write that was on its way for long may still come after the marks.
        self.chronicle.continue_with(&self.world);
        let marks = last.get().expect("nothing is in the way of the last writes");
        (marks, have_caught_up)
    }

    /// Runs as long as things go wrong, and ends that.
    pub(crate) fn run_troubled(&self, all: impl Future + Unpin) {
        let trouble = self.pace.trouble.saturating_sub(self.world.elapsed());
        self.world.block_on(select(all, self.world.sleep(trouble)));
        self.world.calm_down();
    }

    /// Puts every key and deletes it, and nobody else does.
    async fn mark(&self) -> Marks {
        let client = self.client();
        loop {
            let puts = (0..KEYS).map(|key| Put::new(format!("k/{key}"), "last"));
            let put = client.txn(Txn::new().then(puts)).await;
            let delete = client.delete(prefix("k/")).await;
            // Unless one that seemed to fail came in between: whoever is not told of deletions would not know of it by these.
            if let (Ok(put), Ok(delete)) = (put, delete)
                && delete.header.revision == put.header.revision + 1
            {
                return Marks {
                    put: put.header.revision,
                    delete: delete.header.revision,
                };
            }
        }
    }

    /// Whatever a client left behind is gone once the server has noticed.
    ///
    /// # Panics
    ///
    /// If something is not.
    pub(crate) fn nothing_is_left(&self) {
        self.world.advance(NOTICED);
        assert_eq!(self.world.cluster().watch_count(), 0, "watchers are left behind");
    }
}
