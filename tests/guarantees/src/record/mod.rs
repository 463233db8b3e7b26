//! What was seen, as plain data.

pub(crate) mod lease;
pub(crate) mod observer;
pub(crate) mod watch;
pub(crate) mod write;

use std::time::Duration;

use crate::check;
use crate::{History, LeaseRecord, ObserverRecord, Violations, WatchRecord, WriteRecord};

/// All that was seen in one run.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What each watch was told.
    pub watches: Vec<WatchRecord>,
    /// What writers did, in the order in which they began.
    pub writes: Vec<WriteRecord>,
    /// What the holder of each lease believed, and when the server ended it.
    pub leases: Vec<LeaseRecord>,
    /// What each observer and mirror was told.
    pub observers: Vec<ObserverRecord>,
    /// When something was recorded last, since the beginning of the run.
    pub lasted: Duration,
}

/// Something at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed<T> {
    /// The time since the beginning of the run.
    pub at: Duration,
    /// What was seen.
    pub item: T,
}

impl Record {
    /// Holds everything against what truly happened.
    ///
    /// If any write is recorded, every write has to be: a change that none of them made is a violation too. What the
    /// end of a lease deletes need not be.
    ///
    /// # Errors
    ///
    /// The promises that were broken, for each watch, observer, lease and write.
    pub fn check(&self, history: &History) -> Result<(), Violations> {
        let mut violations = Vec::new();
        for watch in &self.watches {
            violations.extend(check::watch(watch, history));
        }
        violations.extend(check::writes(&self.writes, history));
        for lease in &self.leases {
            violations.extend(check::lease(lease, self.lasted));
        }
        for observer in &self.observers {
            violations.extend(check::observer(observer, history));
        }
        Violations::of_all(violations)
    }
}
