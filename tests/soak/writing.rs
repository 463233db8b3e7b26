//! The writers: each number is written once, whatever becomes of the answers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use anyetcd::{Client, TxnOpResponse};

use crate::plan::Plan;
use crate::soak::Soak;

/// How long a transaction may take, before it is tried again.
const PATIENCE: Duration = Duration::from_secs(3);

/// How far the writers are.
#[derive(Default)]
pub(crate) struct Writing {
    next: AtomicUsize,
    /// Numbers from here on have to wait.
    allowed: AtomicUsize,
    /// Which number became which revision, as far as that is known.
    written: Mutex<BTreeMap<i64, usize>>,
    /// How often nobody could say whether a number was written.
    unknown: AtomicUsize,
    /// How often it turned out that it was.
    written_before: AtomicUsize,
}

impl Writing {
    /// How many numbers are known to be written.
    pub(crate) fn count(&self) -> usize {
        self.written.lock().unwrap().len()
    }

    /// The newest revision that is known.
    pub(crate) fn revision(&self) -> i64 {
        self.written
            .lock()
            .unwrap()
            .keys()
            .next_back()
            .copied()
            .unwrap_or(1)
    }

    /// How often nobody could say whether a number was written.
    pub(crate) fn unknown(&self) -> usize {
        self.unknown.load(SeqCst)
    }

    /// Lets the writers go on to this number.
    pub(crate) fn allow(&self, number: usize) {
        self.allowed.fetch_max(number, SeqCst);
    }

    /// The newest of the known revisions up to `latest` whose number is as `is_wanted` says.
    pub(crate) fn newest(&self, latest: i64, is_wanted: impl Fn(usize) -> bool) -> Option<i64> {
        let written = self.written.lock().unwrap();
        let mut up_to = written.range(..=latest).rev();
        up_to
            .find(|(_, number)| is_wanted(**number))
            .map(|(revision, _)| *revision)
    }

    /// A number that nobody has written yet; `None` when only the last two are left.
    async fn take(&self, soak: &Soak) -> Option<usize> {
        let number = self.next.fetch_add(1, SeqCst);
        if number + CLOSING >= soak.plan.revisions {
            return None;
        }
        while number >= self.allowed.load(SeqCst) {
            soak.world.sleep(Duration::from_millis(5)).await;
        }
        Some(number)
    }
}

impl fmt::Display for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unknown, before) = (self.unknown(), self.written_before.load(SeqCst));
        write!(
            f,
            "of {unknown} attempts nobody knew the outcome, {before} numbers were written by one of them"
        )
    }
}

/// How many of the numbers end a soak; see [`Plan`].
const CLOSING: usize = 2;

/// Writes numbers until all but the last two are written.
pub(crate) async fn write(soak: &Soak, client: Client) {
    while let Some(number) = soak.writing.take(soak).await {
        write_number(soak, &client, number).await;
    }
}

/// Writes the last two numbers; returns their revisions.
pub(crate) async fn write_closing(soak: &Soak, client: &Client) -> (i64, i64) {
    let Plan { revisions, .. } = soak.plan;
    let last_but_one = write_number(soak, client, revisions - 2).await;
    (last_but_one, write_number(soak, client, revisions - 1).await)
}

/// Writes a number; returns which revision it became.
async fn write_number(soak: &Soak, client: &Client, number: usize) -> i64 {
    let (world, writing) = (&soak.world, &soak.writing);
    let txn = soak.plan.txn(number);
    loop {
        let record = soak.recorder.txn(world.now(), format!("number {number}"), &txn);
        let revision = match client.txn(txn.clone()).timeout(PATIENCE).await {
            Ok(response) if response.succeeded => {
                record.applied(world.now(), response.header.revision);
                response.header.revision
            }
            Ok(response) => {
                record.unchanged(world.now(), response.header.revision);
                writing.written_before.fetch_add(1, SeqCst);
                match &response.responses[..] {
                    [TxnOpResponse::Get(got)] => got.kvs[0].create_revision,
                    responses => panic!("{responses:?}"),
                }
            }
            Err(error) => {
                soak.must_pass(&error);
                if error.is_outcome_unknown() {
                    record.unknown(world.now());
                    writing.unknown.fetch_add(1, SeqCst);
                } else {
                    record.not_applied(world.now());
                }
                world.sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        writing.written.lock().unwrap().insert(revision, number);
        return revision;
    }
}
