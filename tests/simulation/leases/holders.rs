//! What holders of leases believe, and what the servers do with those leases, written down beside each other for the
//! checker of `tests/guarantees`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyetcd::Lease;
use etcd_embedded::sim::World;
use etcd_guarantees::{History, LeaseEnd, LeaseRecorder, Recorder};

/// How often everybody looks, when nothing wakes them.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Until when the only member keeps each lease that it has.
pub(super) fn deadlines(world: &World) -> BTreeMap<i64, Instant> {
    world.cluster().inspect(0, |server| {
        let leases = server.leases();
        leases
            .ids()
            .filter_map(|id| Some((id, leases.get(id)?.deadline)))
            .collect()
    })
}

/// Everybody who holds a lease at present.
pub(super) struct Holders<'w> {
    world: &'w World,
    recorder: Recorder,
    present: RefCell<Vec<Holder>>,
}

/// How a holder comes to know of the loss.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Learns {
    /// It looks at the state, and the state compares with the clock.
    ByLooking,
    /// It has to be [told](Holders::tell).
    ByBeingTold,
}

struct Holder {
    lease: Rc<Lease>,
    record: LeaseRecorder,
    learns: Learns,
    /// When it believed in the lease last, and until when.
    believed: (Instant, Instant),
    is_over: bool,
    server: Servers,
}

/// What is known of a lease by the servers' account.
enum Servers {
    /// The only member keeps it until then.
    KeepUntil(Instant),
    /// Not all members of a cluster have heard of it.
    Hear,
    /// All of them had it: where one has it no more, the cluster has ended it.
    Have,
    Ended,
}

impl<'w> Holders<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self {
            recorder: Recorder::new(world.now()),
            world,
            present: RefCell::default(),
        }
    }

    /// Somebody has been granted a lease. One that is lost by the time its holder gets it, who was suspended meanwhile, was
    /// never believed in.
    pub(super) fn add(&self, lease: Lease, learns: Learns) -> Rc<Lease> {
        let (lease, now) = (Rc::new(lease), self.world.now());
        if !lease.is_held() {
            return lease;
        }
        let server = match self.world.cluster().len() {
            1 => Servers::KeepUntil(now),
            _ => Servers::Hear,
        };
        self.present.borrow_mut().push(Holder {
            record: self
                .recorder
                .lease("a holder", lease.id(), lease.ttl(), Duration::ZERO),
            lease: lease.clone(),
            learns,
            believed: (now, now),
            is_over: false,
            server,
        });
        self.look();
        lease
    }

    /// A holder is told that its lease is lost.
    pub(super) fn tell(&self, lease: &Lease) {
        self.look();
        let mut present = self.present.borrow_mut();
        for holder in present
            .iter_mut()
            .filter(|holder| holder.lease.id() == lease.id())
        {
            holder.lose(self.world.now());
        }
    }

    /// A holder has had enough of its lease, or has lost it. What becomes of it concerns nobody any more.
    pub(super) fn remove(&self, lease: &Lease) {
        self.tell(lease);
        let mut present = self.present.borrow_mut();
        present.retain(|holder| holder.lease.id() != lease.id());
    }

    /// Writes down what everybody believes, and what the servers do.
    pub(super) fn look(&self) {
        let (now, cluster) = (self.world.now(), self.world.cluster());
        let deadlines = deadlines(self.world);
        let members: Vec<BTreeSet<i64>> = (0..cluster.len())
            .map(|member| cluster.inspect(member, |server| server.leases().ids().collect()))
            .collect();
        for holder in self.present.borrow_mut().iter_mut() {
            holder.look(now);
            let id = holder.lease.id();
            let having = members.iter().filter(|leases| leases.contains(&id)).count();
            holder.look_at_servers(now, deadlines.get(&id).copied(), having == members.len());
        }
    }

    /// P3: who believes in a lease has it.
    ///
    /// # Panics
    ///
    /// If somebody believed in a lease for longer than the servers did.
    pub(super) fn check(&self) {
        self.look();
        // Leases have promises of their own: what was written does not matter.
        let history = History::new([]).unwrap();
        if let Err(violations) = self.recorder.record().check(&history) {
            panic!("{violations}");
        }
    }

    /// How many of those present hold their lease.
    pub(super) fn held(&self) -> usize {
        let present = self.present.borrow();
        present.iter().filter(|holder| holder.lease.is_held()).count()
    }

    pub(super) fn first(&self) -> Option<Rc<Lease>> {
        self.present.borrow().first().map(|holder| holder.lease.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.present.borrow().len()
    }
}

impl Holder {
    fn look(&mut self, now: Instant) {
        let state = self.lease.state();
        if let Some(deadline) = state.deadline() {
            // Also if it was over: what is lost stays lost, and the checker knows that too.
            if self.believed.1 != deadline || self.is_over {
                self.record.alive(now, deadline);
            }
            self.believed = (now, deadline);
        } else if self.learns == Learns::ByLooking {
            // Had it looked at its deadline, it would have known.
            let (looked_at, deadline) = self.believed;
            self.lose(now.min(deadline.max(looked_at)));
        }
    }

    fn lose(&mut self, at: Instant) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.record.lost(at);
        }
    }

    /// `deadline` is that of the only member.
    fn look_at_servers(&mut self, now: Instant, deadline: Option<Instant>, all_have_it: bool) {
        let ended_at = match self.server {
            Servers::KeepUntil(before) => match deadline {
                Some(until) if until > now => {
                    self.server = Servers::KeepUntil(until);
                    return;
                }
                // It may let it go from then on, whether or not it does so at once.
                Some(until) => until,
                None => before.min(now),
            },
            Servers::Have if !all_have_it => now,
            Servers::Hear if all_have_it => {
                self.server = Servers::Have;
                return;
            }
            Servers::Hear | Servers::Have | Servers::Ended => return,
        };
        self.server = Servers::Ended;
        self.record.ended(ended_at, LeaseEnd::Expired);
    }
}
