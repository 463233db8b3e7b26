//! A broken promise: which, where, and both sides.

use std::fmt;
use std::time::Duration;

use etcd_core::key::KeyRange;
use etcd_core::message::{Event, KeyValue, WatchFilter};

use crate::show;

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Property {
    /// The revisions of a watch's events never go down.
    Ordered,
    /// No event arrives twice.
    Unique,
    /// The events of a revision arrive together.
    Atomic,
    /// After progress at a revision nothing up to it arrives, progress never goes down, and never lies ahead.
    Bookmarkable,
    /// Between the first and the last revision that a watch saw, nothing is left out, made up or altered.
    Reliable,
    /// What follows after a start, and after a connection was lost, is the next event there is.
    Resumable,
    /// Only events arrive that were asked for.
    Filter,
    /// The previous pair is the one that was there before.
    PrevKv,
    /// An event creates its key exactly if the key was not there before.
    IsCreate,
    /// An acknowledged write was applied, at the revision it was told.
    Acknowledged,
    /// No write is applied twice.
    AtMostOnce,
    /// A write that definitely failed was not applied.
    NotApplied,
    /// Nothing changes that nobody wrote.
    Explained,
    /// A write that began after another had ended has the higher revision.
    RealTime,
    /// The holder of a lease never takes it for its own after the server ended it.
    LeaseLoss,
    /// An observer's pairs are the store's at the same revision.
    Convergence,
    /// Synthetic events stand for a past that is compacted, and for nothing else.
    Synthetic,
    /// Who has caught up shows what had been written before, and nothing older from then on.
    Linearizable,
    /// Who says that he has been cut off since a moment was told nothing that was written after it.
    Staleness,
}

/// Where in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The number of the item (the write, for writes), from 0.
    pub item: usize,
    /// Its time since the beginning of the run.
    pub time: Duration,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The watch, writer, lease holder or observer.
    pub who: String,
    /// Where in its record.
    pub at: At,
    /// What is wrong.
    pub detail: Detail,
}

/// What is wrong, with both sides.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Detail {
    #[error("{} arrived after an event of revision {after}", show::event(event))]
    OutOfOrder { event: Event, after: i64 },
    #[error("{} arrived again", show::event(event))]
    Repeated { event: Event },
    #[error("revision {revision} began in item {first_item} and goes on here")]
    Split { revision: i64, first_item: usize },
    #[error("{} arrived after progress at {progress}", show::event(event))]
    AfterProgress { event: Event, progress: i64 },
    #[error("progress at {progress} after revision {after} had been reached")]
    ProgressBackwards { progress: i64, after: i64 },
    #[error("progress at {progress}, but the store ended at {last}")]
    ProgressAhead { progress: i64, last: i64 },
    #[error("expected {}, got {}", show::event_or_none(expected.as_ref()), show::event_or_none(got.as_ref()))]
    Sequence {
        expected: Option<Event>,
        got: Option<Event>,
    },
    #[error("resumed at {from}: expected {} next, got {}", show::event(expected), show::event_or_none(got.as_ref()))]
    Resumed {
        from: i64,
        expected: Event,
        got: Option<Event>,
    },
    #[error("told to resume at {from}, although all before {next} had arrived")]
    ResumesTooEarly { from: i64, next: i64 },
    #[error(
        "told that revisions before {told} are compacted, when it needed {next} and {compacted} was the newest compaction"
    )]
    NotCompacted { told: i64, next: i64, compacted: i64 },
    #[error(
        "{} arrived, asked for were {} without {filters:?}",
        show::event(event),
        show::keys(keys)
    )]
    Unwanted {
        event: Event,
        keys: KeyRange,
        filters: Vec<WatchFilter>,
    },
    #[error("previous pair of {}: expected {}, got {}", show::event(event), show::pair(expected.as_ref()), show::pair(got.as_ref()))]
    PreviousPair {
        event: Event,
        expected: Option<KeyValue>,
        got: Option<KeyValue>,
    },
    #[error("{} follows {}", show::event(event), show::pair(previous.as_ref()))]
    Creation {
        event: Event,
        previous: Option<KeyValue>,
    },

    #[error("acknowledged at revision {revision}, which holds {}", show::event_or_none(found.as_ref()))]
    Vanished { revision: i64, found: Option<Event> },
    #[error("acknowledged at revision {revision}, like {other}")]
    SharedRevision { revision: i64, other: String },
    #[error("applied at revision {first} and again at {second}: {}", show::event(event))]
    AppliedAgain { first: i64, second: i64, event: Event },
    #[error(
        "reported as not applied, but it is at revision {revision}: {}",
        show::event(event)
    )]
    AppliedAfterAll { revision: i64, event: Event },
    #[error("nobody wrote {}", show::event(event))]
    Unexplained { event: Event },
    #[error("revision {revision}, although {other} had ended before with revision {other_revision}")]
    BackInTime {
        revision: i64,
        other: String,
        other_revision: i64,
    },

    #[error("taken for alive until {until:?}, but the server ended it at {ended:?}")]
    AliveTooLong { until: Duration, ended: Duration },
    #[error("alive again after it had been reported lost at {lost:?}")]
    AliveAfterLoss { lost: Duration },

    #[error(
        "at revision {revision}, key {}: expected {}, got {}",
        show::bytes(key),
        show::pair(expected.as_ref()),
        show::pair(got.as_ref())
    )]
    Diverged {
        revision: i64,
        key: bytes::Bytes,
        expected: Option<KeyValue>,
        got: Option<KeyValue>,
    },
    #[error("at revision {revision} after {after}")]
    StateBackwards { revision: i64, after: i64 },
    #[error("the synthetic {} changes nothing", show::event(event))]
    ChangesNothing { event: Event },
    #[error("synthetic events lead from revision {after} to {revision}, and nothing was compacted between")]
    NeedlesslySynthetic { after: i64, revision: i64 },
    #[error("caught up with revision {revision}, when {written} had been written before")]
    MissesWritten { revision: i64, written: i64 },
    #[error(
        "at revision {revision} after having caught up with {caught_up}, key {}: expected {}, got {}",
        show::bytes(key),
        show::pair(expected.as_ref()),
        show::pair(got.as_ref())
    )]
    Outdated {
        revision: i64,
        caught_up: i64,
        key: bytes::Bytes,
        expected: Option<KeyValue>,
        got: Option<KeyValue>,
    },
    #[error("cut off since revision {newest} was the newest, but at revision {revision}")]
    NotCutOff { newest: i64, revision: i64 },
}

impl Detail {
    /// The promise that is broken.
    #[must_use]
    pub fn property(&self) -> Property {
        match self {
            Self::OutOfOrder { .. } => Property::Ordered,
            Self::Repeated { .. } => Property::Unique,
            Self::Split { .. } => Property::Atomic,
            Self::AfterProgress { .. } | Self::ProgressBackwards { .. } | Self::ProgressAhead { .. } => {
                Property::Bookmarkable
            }
            Self::Sequence { .. } => Property::Reliable,
            Self::Resumed { .. } | Self::ResumesTooEarly { .. } | Self::NotCompacted { .. } => {
                Property::Resumable
            }
            Self::Unwanted { .. } => Property::Filter,
            Self::PreviousPair { .. } => Property::PrevKv,
            Self::Creation { .. } => Property::IsCreate,
            Self::Vanished { .. } | Self::SharedRevision { .. } => Property::Acknowledged,
            Self::AppliedAgain { .. } => Property::AtMostOnce,
            Self::AppliedAfterAll { .. } => Property::NotApplied,
            Self::Unexplained { .. } => Property::Explained,
            Self::BackInTime { .. } => Property::RealTime,
            Self::AliveTooLong { .. } | Self::AliveAfterLoss { .. } => Property::LeaseLoss,
            Self::Diverged { .. } | Self::StateBackwards { .. } | Self::ChangesNothing { .. } => {
                Property::Convergence
            }
            Self::NeedlesslySynthetic { .. } => Property::Synthetic,
            Self::MissesWritten { .. } | Self::Outdated { .. } => Property::Linearizable,
            Self::NotCutOff { .. } => Property::Staleness,
        }
    }
}

impl Violation {
    /// The promise that is broken.
    #[must_use]
    pub fn property(&self) -> Property {
        self.detail.property()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At { item, time } = self.at;
        let property = self.property();
        write!(
            f,
            "{property:?} broken for {}, item {item} at {time:?}: {}",
            self.who, self.detail
        )
    }
}

/// All broken promises of a run; at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    pub(crate) fn of_all(violations: Vec<Violation>) -> Result<(), Self> {
        if violations.is_empty() {
            Ok(())
        } else {
            Err(Self(violations))
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// Those that break `property`.
    pub fn of(&self, property: Property) -> impl Iterator<Item = &Violation> {
        self.0
            .iter()
            .filter(move |violation| violation.property() == property)
    }
}

impl std::error::Error for Violations {}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, violation) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{violation}")?;
        }
        Ok(())
    }
}
