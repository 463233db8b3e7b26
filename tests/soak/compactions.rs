//! What is compacted, and who may be told so.

use etcd_guarantees::History;
use std::collections::BTreeSet;
use std::sync::Mutex;

use anyetcd::{Client, EtcdError};

use crate::soak::Soak;

/// The compactions of a soak.
#[derive(Debug, Default)]
pub(crate) struct Compactions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Those that were asked for.
    asked: BTreeSet<i64>,
    /// Those that a watch was told of, if at the edge of one.
    excused: BTreeSet<i64>,
    /// Up to where watches may have lost something.
    newest: i64,
}

impl Compactions {
    /// The newest revision up to which anything may be lost to a watch.
    pub(crate) fn newest(&self) -> i64 {
        self.0.lock().unwrap().newest
    }

    /// A history that knows of them.
    pub(crate) fn of(&self, history: History) -> History {
        let state = self.0.lock().unwrap();
        let all = state.asked.union(&state.excused);
        all.fold(history, |history, revision| history.compacted(*revision))
    }

    /// Excuses a watch that needs `position` and is told that it is compacted. Returns the first revision that still exists for it.
    ///
    /// # Panics
    ///
    /// If it is told of a compaction that nobody asked for, or that does not concern it.
    pub(crate) fn excuse(&self, position: i64, compact_revision: i64) -> i64 {
        let mut state = self.0.lock().unwrap();
        // A watch that needs the very revision is told the one after it.
        let is_at_edge = compact_revision == position + 1 && state.asked.contains(&position);
        let is_true = is_at_edge || state.asked.contains(&compact_revision) && position <= compact_revision;
        assert!(is_true, "at {position}, told {compact_revision}: {state:?}");
        // Of that very revision, servers may have lost the deletions: a watch that needs it ends as well.
        let exists = compact_revision.max(position + 1);
        state.newest = state.newest.max(exists);
        state.excused.insert(exists);
        exists
    }

    fn ask(&self, revision: i64) {
        let mut state = self.0.lock().unwrap();
        state.asked.insert(revision);
        state.newest = state.newest.max(revision);
    }
}

/// Compacts at a revision; every other time, waits until the data is gone.
pub(crate) async fn compact(soak: &Soak, client: &Client, revision: i64) {
    soak.compactions.ask(revision);
    let is_physical = soak.dice.roll(2) == 0;
    loop {
        let call = client.compact(revision);
        let call = if is_physical { call.physical() } else { call };
        match call.await {
            Ok(_) => return,
            // By the attempt before.
            Err(error) if error.etcd() == Some(EtcdError::Compacted) => return,
            Err(error) => soak.must_pass(&error),
        }
    }
}

/// Compacts right behind the newest revision.
pub(crate) async fn compact_near(soak: &Soak, client: &Client) {
    compact_up_to(soak, client, soak.writing.revision()).await;
}

/// Compacts half of what was left by the last compaction.
pub(crate) async fn compact_far(soak: &Soak, client: &Client) {
    let (last, newest) = (soak.compactions.newest(), soak.writing.revision());
    compact_up_to(soak, client, last + (newest - last) / 2).await;
}

/// Compacts at `latest` or a little before, under the watches. A watch that is catching up, and has come exactly as far, loses
/// the deletions of that revision where servers do that, and nothing shows it (`docs/watching.md`): so there are none.
async fn compact_up_to(soak: &Soak, client: &Client, latest: i64) {
    let is_safe = |number| !soak.world.loses_deletions() || !soak.plan.deletes(number);
    let revision = soak.writing.newest(latest, is_safe).expect("most delete nothing");
    if revision > soak.compactions.newest() + 2 {
        compact(soak, client, revision).await;
    }
}
