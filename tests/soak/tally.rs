//! What happened to each watch: a soak that disturbed nobody proves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

/// What happened to one watch, how often.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) batches: usize,
    pub(crate) events: usize,
    /// Batches that only said how far it was.
    pub(crate) progress: usize,
    /// Batches of which only the last event of each key was left.
    pub(crate) coalesced: usize,
    /// Ends for compaction; lists that bridged one, for observers.
    pub(crate) compacted: usize,
    pub(crate) lagged: usize,
    /// Connections that were opened anew under it.
    pub(crate) reopened: usize,
    /// Moves to another client.
    pub(crate) moved: usize,
}

/// That of all watches, by name.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<String, Counts>>);

impl Tally {
    pub(crate) fn note(&self, name: &str, note: impl FnOnce(&mut Counts)) {
        note(self.0.lock().unwrap().entry(name.to_owned()).or_default());
    }

    pub(crate) fn of(&self, name: &str) -> Counts {
        self.0.lock().unwrap().get(name).copied().unwrap_or_default()
    }

    pub(crate) fn sum(&self, of: impl Fn(&Counts) -> usize) -> usize {
        self.0.lock().unwrap().values().map(of).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:18}", "")?;
        for title in [
            "batches",
            "events",
            "progress",
            "coalesced",
            "compacted",
            "lagged",
            "reopened",
            "moved",
        ] {
            write!(f, "{title:>10}")?;
        }
        for (name, counts) in &*self.0.lock().unwrap() {
            write!(f, "\n{name:18}")?;
            let Counts {
                batches,
                events,
                progress,
                coalesced,
                compacted,
                lagged,
                reopened,
                moved,
            } = counts;
            for count in [
                batches, events, progress, coalesced, compacted, lagged, reopened, moved,
            ] {
                write!(f, "{count:10}")?;
            }
        }
        Ok(())
    }
}
