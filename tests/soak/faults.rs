//! What befalls one server, and the way to it.

use anyetcd::Client;
use etcd_process::Server;

use crate::cast::EVERYTHING;
use crate::compactions::{compact, compact_far, compact_near};
use crate::proxy::Proxy;
use crate::soak::Soak;
use crate::world::{SILENCE, blocking};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// All connections are cut.
    Cut,
    /// A few answers end in the middle, and later a long one.
    Tear,
    /// SIGKILL, and a new start.
    Kill,
    /// SIGSTOP, for longer than a watch waits.
    Freeze,
    /// A compaction right behind the newest revision.
    CompactNear,
    /// A compaction at a revision that is long gone by.
    CompactFar,
    /// A compaction while no watch is connected, far beyond what any of them was told of.
    CompactAway,
    /// A compaction while no watch is connected, at the very revision that one of them is to be told of next.
    CompactNext,
}

const FAULTS: [Fault; 8] = [
    Fault::Cut,
    Fault::Tear,
    Fault::Kill,
    Fault::Freeze,
    Fault::CompactNear,
    Fault::CompactFar,
    Fault::CompactAway,
    Fault::CompactNext,
];

/// So many writes that each writer has its turn.
const A_FEW: usize = 10;

/// Nobody listens here.
const NOWHERE: &str = "127.0.0.1:1";

/// A server, and what lies between it and its clients.
pub(crate) struct Disturbed {
    pub(crate) server: Server,
    /// The way of the watches.
    pub(crate) watches: Proxy,
    /// The way of some of the writers.
    pub(crate) writes: Proxy,
}

/// Has every fault happen `times` times, in an order that is drawn, spread over all that is written.
pub(crate) async fn disturb(
    soak: &Soak,
    mut disturbed: Disturbed,
    direct: &Client,
    times: usize,
) -> Disturbed {
    let mut faults = FAULTS.repeat(times);
    soak.dice.shuffle(&mut faults);
    for (round, fault) in faults.iter().enumerate() {
        let share = soak.begin_round(round, faults.len()).await;
        soak.tell(format_args!("{fault:?}"));
        disturbed = disturbed.strike(soak, *fault, direct, share).await;
        soak.until_connected().await;
    }
    soak.writing.allow(usize::MAX);
    disturbed
}

impl Disturbed {
    /// Has something happen, and waits until everybody has noticed.
    async fn strike(mut self, soak: &Soak, fault: Fault, direct: &Client, share: usize) -> Self {
        soak.until("somebody is there to be disturbed", || {
            !soak.connections().is_empty()
        })
        .await;
        let before = soak.connections();
        match fault {
            Fault::Cut => {
                self.cut();
                soak.until_gone(before).await;
            }
            Fault::Tear => {
                self.watches.tear_answers(3);
                self.writes.tear_answers(3);
                // There are answers only while something is written, and what this round allows may be written by now.
                while !(self.watches.has_cut_all() && self.writes.has_cut_all()) {
                    soak.until_written(A_FEW).await;
                }
                // Perhaps between two pieces of a message, when there is a long one.
                self.watches.tear_long_answer_after(soak.dice.roll(60));
            }
            Fault::Kill => {
                self.server = blocking(move || {
                    self.server.kill();
                    self.server
                })
                .await;
                soak.until_gone(before).await;
                self.server = blocking(move || {
                    self.server.restart();
                    self.server
                })
                .await;
            }
            Fault::Freeze => {
                self.server.freeze();
                soak.world.sleep(SILENCE).await;
                soak.until_gone(before).await;
                self.server.thaw();
            }
            Fault::CompactNear => compact_near(soak, direct).await,
            Fault::CompactFar => compact_far(soak, direct).await,
            Fault::CompactAway => {
                self.lead_away(soak).await;
                soak.until_written(share / 3).await;
                let deletes = |number| soak.plan.deletes(number);
                let revision = soak.writing.newest(i64::MAX, deletes).expect("many delete");
                compact(soak, direct, revision).await;
                self.lead_back(soak);
            }
            Fault::CompactNext => {
                let next = self.lead_away_before_a_deletion(soak, share).await;
                compact(soak, direct, next).await;
                self.lead_back(soak);
            }
        }
        self
    }

    fn cut(&self) {
        self.watches.cut();
        self.writes.cut();
    }

    /// Cuts the watches off until they are led back. All go on by themselves then, from where they were: a revision that is
    /// compacted meanwhile may delete something, whatever servers make of that.
    async fn lead_away(&self, soak: &Soak) {
        let before = soak.connections();
        soak.set_away(true);
        self.watches.lead_to(NOWHERE.parse().unwrap());
        soak.until_gone(before).await;
    }

    fn lead_back(&self, soak: &Soak) {
        self.watches.lead_to(self.server.client_addr());
        soak.set_away(false);
    }

    /// Cuts the watches off, if possible when the next revision of the one that is told of everything deletes something;
    /// returns that revision.
    async fn lead_away_before_a_deletion(&self, soak: &Soak, share: usize) -> i64 {
        const ATTEMPTS: usize = 5;
        let mut attempt = 1;
        loop {
            // A server takes its time to tell what there was: one that is cut off as soon as it is connected gets nowhere.
            let is_past_compactions = || soak.position(EVERYTHING) > soak.compactions.newest();
            soak.until_written(A_FEW).await;
            soak.until("what is left is told", is_past_compactions).await;
            self.lead_away(soak).await;
            soak.until_written(share / 20).await;
            let next = soak.position(EVERYTHING);
            let deletes = |number| soak.plan.deletes(number);
            let is_one = soak.writing.newest(next, deletes) == Some(next);
            if is_one || attempt >= ATTEMPTS {
                return next;
            }
            attempt += 1;
            self.lead_back(soak);
            soak.until_connected().await;
        }
    }
}

/// How often each fault happens: once for so many revisions, but not less than three times.
pub(crate) fn times(revisions: usize) -> usize {
    const REVISIONS: usize = 6_500;
    (revisions / REVISIONS).max(3)
}
