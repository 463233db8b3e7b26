//! What a client, its leases, and the task that renews them share.
//!
//! ```text
//!            a lease, or one to revoke             nothing left to do
//!   No task ───────────────────────────▶ Running ────────────────────▶ No task
//!                                          │
//!                                          └── the runtime drops it: all leases are lost, Closed ──▶ No task
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use etcd_core::machine::{LeaseKeeper, LeaseKey, LeaseState};

use super::revocation::Revocation;
use super::task::KeepAlive;
use crate::client::{Shared, lock};

/// The leases of a client.
#[derive(Debug)]
pub(crate) struct Keeper {
    kept: Mutex<Kept>,
}

/// The time is to be read while this is locked: then no two threads can disagree on whether a deadline had come.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) machine: LeaseKeeper,
    pub(super) revocations: VecDeque<Revocation>,
    observed: BTreeMap<LeaseKey, Observed>,
    next_observer: u64,
    task: Option<TaskWaker>,
}

#[derive(Debug, Default)]
struct Observed {
    /// How often the state has changed.
    version: u64,
    wakers: BTreeMap<ObserverId, Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObserverId(u64);

/// Of a task that runs; `None` inside before it has run for the first time.
#[derive(Debug, Default)]
struct TaskWaker(Option<Waker>);

impl Keeper {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            kept: Mutex::new(Kept {
                machine: LeaseKeeper::new(patience),
                revocations: VecDeque::new(),
                observed: BTreeMap::new(),
                next_observer: 0,
                task: None,
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }

    /// Keeps the lease `id` alive, which was given `ttl` seconds by a request sent at `sent_at`.
    pub(super) fn insert(shared: &Arc<Shared>, id: i64, sent_at: Instant, ttl: i64) -> LeaseKey {
        let mut kept = shared.keeper.lock();
        let key = kept.machine.handle_lease(id, sent_at, ttl);
        kept.observed.insert(key, Observed::default());
        attend(shared, kept);
        key
    }

    /// Lets go of a lease; revokes it in the background if `revocation` is given.
    pub(super) fn remove(shared: &Arc<Shared>, key: LeaseKey, revocation: Option<Revocation>) {
        let mut kept = shared.keeper.lock();
        kept.machine.handle_removed(key);
        let observed = kept.observed.remove(&key);
        kept.revocations.extend(revocation);
        attend(shared, kept);
        for waker in observed
            .into_iter()
            .flat_map(|observed| observed.wakers.into_values())
        {
            waker.wake();
        }
    }

    /// Revokes in the background what may have been granted to somebody who went away.
    pub(super) fn revoke(shared: &Arc<Shared>, revocation: Revocation) {
        let mut kept = shared.keeper.lock();
        kept.revocations.push_back(revocation);
        attend(shared, kept);
    }

    /// How it stands with a lease; `None` for one that was removed.
    pub(super) fn state(shared: &Shared, key: LeaseKey) -> Option<LeaseState> {
        let kept = shared.keeper.lock();
        kept.machine.state(key, shared.runtime.now())
    }

    /// Tells the machine something, and whoever it concerns what came of it.
    pub(super) fn handle(shared: &Arc<Shared>, tell: impl FnOnce(&mut LeaseKeeper, Instant)) {
        let mut kept = shared.keeper.lock();
        tell(&mut kept.machine, shared.runtime.now());
        let observers = kept.changed();
        attend(shared, kept);
        observers.into_iter().for_each(Waker::wake);
    }
}

impl Kept {
    /// Who is to be woken after the machine was told something.
    #[must_use]
    pub(super) fn changed(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(key) = self.machine.poll_change() {
            if let Some(observed) = self.observed.get_mut(&key) {
                observed.version += 1;
                wakers.extend(std::mem::take(&mut observed.wakers).into_values());
            }
        }
        wakers
    }

    pub(super) fn observer(&mut self) -> ObserverId {
        self.next_observer += 1;
        ObserverId(self.next_observer)
    }

    /// The version of a lease's state once it is not `seen`; `None` if the lease was removed.
    pub(super) fn poll_version(
        &mut self,
        key: LeaseKey,
        observer: ObserverId,
        seen: Option<u64>,
        cx: &Context<'_>,
    ) -> Poll<Option<u64>> {
        let Some(observed) = self.observed.get_mut(&key) else {
            return Poll::Ready(None);
        };
        if seen != Some(observed.version) {
            return Poll::Ready(Some(observed.version));
        }
        observed.wakers.insert(observer, cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn forget_observer(&mut self, key: LeaseKey, observer: ObserverId) {
        if let Some(observed) = self.observed.get_mut(&key) {
            observed.wakers.remove(&observer);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.machine.is_idle() || !self.revocations.is_empty()
    }

    pub(super) fn handle_task_waits(&mut self, cx: &Context<'_>) {
        self.task = Some(TaskWaker(Some(cx.waker().clone())));
    }

    pub(super) fn handle_task_ended(&mut self) {
        self.task = None;
    }
}

/// Sees to it that the task runs and looks again.
fn attend(shared: &Arc<Shared>, mut kept: MutexGuard<'_, Kept>) {
    let has_work = kept.has_work();
    if let Some(task) = &mut kept.task {
        let waker = task.0.take();
        drop(kept);
        waker.into_iter().for_each(Waker::wake);
    } else if has_work {
        kept.task = Some(TaskWaker::default());
        drop(kept);
        shared.runtime.spawn(Box::pin(KeepAlive::new(shared.clone())));
    }
}
