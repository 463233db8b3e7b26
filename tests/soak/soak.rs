//! What everybody in one soak has in common.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyetcd::error::Retry;
use anyetcd::{Error, WatchHandle, WatchStatus};
use etcd_guarantees::{History, Recorder};

use crate::compactions::Compactions;
use crate::dice::Dice;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::world::World;
use crate::writing::Writing;

/// What has not happened by then does not happen, however busy the machine.
const STANDSTILL: Duration = Duration::from_secs(90);

/// One soak.
pub(crate) struct Soak {
    pub(crate) world: World,
    pub(crate) plan: Plan,
    pub(crate) dice: Dice,
    pub(crate) recorder: Recorder,
    pub(crate) writing: Writing,
    pub(crate) compactions: Compactions,
    pub(crate) tally: Tally,
    begun: Instant,
    /// Each watch as it is now.
    watches: Mutex<BTreeMap<String, WatchHandle>>,
    /// The next revision of each.
    positions: Mutex<BTreeMap<String, i64>>,
    /// Whether no watch can reach a server.
    is_away: AtomicBool,
    end: OnceLock<End>,
}

/// The last two revisions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// All keys are deleted.
    pub(crate) all_deleted: i64,
    /// All are put.
    pub(crate) last: i64,
}

/// The connection of each watch that has one: since when.
type Connections = BTreeMap<String, Instant>;

impl Soak {
    pub(crate) fn new(world: World, plan: Plan) -> Self {
        let begun = world.now();
        eprintln!(
            "{plan:?}: SOAK_SEED={} has the same written and disturbs in the same order",
            plan.seed
        );
        Self {
            plan,
            dice: Dice::new(plan.seed),
            recorder: Recorder::new(begun),
            writing: Writing::default(),
            compactions: Compactions::default(),
            tally: Tally::default(),
            begun,
            watches: Mutex::default(),
            positions: Mutex::default(),
            is_away: AtomicBool::new(false),
            end: OnceLock::new(),
            world,
        }
    }

    /// Says what happens, with the time.
    pub(crate) fn tell(&self, what: impl std::fmt::Display) {
        let at = self.world.now().duration_since(self.begun).as_secs_f64();
        eprintln!("{at:7.2} s, revision {:6}: {what}", self.writing.revision());
    }

    /// An error of a call that is made again: only one that passes may come.
    pub(crate) fn must_pass(&self, error: &Error) {
        let passes = matches!(error.retry(), Retry::Elsewhere | Retry::Later);
        assert!(passes, "{error:?}");
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    ///
    /// If it does not while nothing is written any more.
    pub(crate) async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let (mut written, mut since) = (self.writing.count(), self.world.now());
        while !condition() {
            self.world.sleep(Duration::from_millis(5)).await;
            let count = self.writing.count();
            if count != written {
                (written, since) = (count, self.world.now());
            }
            let waited = self.world.now() - since;
            if waited > STANDSTILL {
                let state = |(name, handle): (String, WatchHandle)| (name, handle.status());
                let states: BTreeMap<_, _> = self.watches().into_iter().map(state).collect();
                panic!("it did not happen: {what}; {count} are written; {states:#?}");
            }
        }
    }

    /// Waits until it is time for a round: they are spread over all that is written. Returns how much is written in each.
    pub(crate) async fn begin_round(&self, round: usize, rounds: usize) -> usize {
        if round == 0 {
            self.until("there are watches", || !self.watches().is_empty())
                .await;
            self.until_connected().await;
        }
        // What is left after the last round is for what a round may need in addition.
        let share = self.plan.revisions / (rounds + 2);
        // They go on during the round, and leave something for the next.
        self.writing.allow((round + 2) * share);
        let begin = (round + 1) * share;
        self.until("enough is written", || self.writing.count() >= begin)
            .await;
        share
    }

    /// Waits until so much more is written.
    pub(crate) async fn until_written(&self, more: usize) {
        let enough = self.writing.count() + more;
        // They may have written all that the round allows.
        self.writing.allow(enough);
        self.until("more is written", || self.writing.count() >= enough)
            .await;
    }

    // What is watched.

    pub(crate) fn watches(&self) -> BTreeMap<String, WatchHandle> {
        self.watches.lock().unwrap().clone()
    }

    pub(crate) fn begins(&self, name: &str, handle: WatchHandle) {
        self.watches.lock().unwrap().insert(name.to_owned(), handle);
    }

    /// The next revision of a watch.
    pub(crate) fn position(&self, name: &str) -> i64 {
        self.positions.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    pub(crate) fn is_at(&self, name: &str, position: i64) {
        self.positions.lock().unwrap().insert(name.to_owned(), position);
    }

    /// Takes note that a watch was told of everything there is.
    pub(crate) fn is_done(&self, name: &str) {
        self.watches.lock().unwrap().remove(name);
    }

    /// The connections that there are.
    pub(crate) fn connections(&self) -> Connections {
        let since = |(name, handle): (String, WatchHandle)| match handle.status() {
            WatchStatus::Connected { since } => Some((name, since)),
            _ => None,
        };
        self.watches().into_iter().filter_map(since).collect()
    }

    /// Waits until none of these is there any more.
    pub(crate) async fn until_gone(&self, mut before: Connections) {
        let what = "every watch notices";
        self.until(what, || {
            let now = self.connections();
            before.retain(|name, since| now.get(name) == Some(since));
            before.is_empty()
        })
        .await;
    }

    /// Waits until at least one of these is not there any more.
    pub(crate) async fn until_some_are_gone(&self, before: &Connections) {
        self.until("a watch notices", || {
            let now = self.connections();
            before.iter().any(|(name, since)| now.get(name) != Some(since))
        })
        .await;
    }

    /// Waits until each watch was connected once again, or had no room and so no need to be.
    pub(crate) async fn until_connected(&self) {
        let is_well = |handle: &WatchHandle| match handle.status() {
            WatchStatus::Connected { .. } => true,
            WatchStatus::Resting => !handle.keys().is_empty(),
            _ => false,
        };
        let mut missing = self.watches();
        self.until("every watch is connected again", || {
            let now = self.watches();
            missing.retain(|name, _| now.get(name).is_some_and(|handle| !is_well(handle)));
            missing.is_empty()
        })
        .await;
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, SeqCst);
    }

    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(SeqCst)
    }

    /// Judges everything that was recorded.
    pub(crate) fn judge(&self, history: History) {
        let history = self.compactions.of(history);
        eprintln!("{}\n{}", self.tally, self.writing);
        if let Err(violations) = self.recorder.record().check(&history) {
            panic!("{violations}");
        }
    }

    // How it ends.

    pub(crate) fn ends(&self, end: End) {
        self.end.set(end).expect("it ends once");
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end.get().copied()
    }

    /// Runs `all`, and panics when nothing goes on any more.
    pub(crate) async fn run<F: Future<Output = ()>>(&self, all: F) {
        let watching_over = async {
            self.until("the writers are done", || self.end().is_some()).await;
            self.until("every watch was told of everything", || self.watches().is_empty())
                .await;
            self.world.sleep(STANDSTILL).await;
            panic!("observers were not told of everything");
        };
        futures_util::future::select(std::pin::pin!(all), std::pin::pin!(watching_over)).await;
    }
}
