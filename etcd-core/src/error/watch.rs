//! Why a watch ended, or does not do what it was asked for.

/// What a watch, or an observation, cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The history it still needs is gone: some of its events can no longer be had from anywhere.
    ///
    /// Read the keys anew, and watch from the revision after the one of that read.
    #[error(
        "revision {position}, which comes next, has been compacted; history begins at {compact_revision}"
    )]
    Compacted {
        /// The first revision of which the watch has not told.
        position: i64,
        /// The oldest revision that a watch may be able to start at now: the server's compact revision, or the one after it
        /// if that is where this one was. Servers before 3.5.18 lose the deletions of the very revision they compact at
        /// (etcd's issue 19179), so that no watch is started there.
        compact_revision: i64,
    },
    /// Its events were taken more slowly than they came, and its policy is not to wait.
    ///
    /// A new watch that resumes from its resume token, or starts at `position`, misses nothing.
    #[error("the events were not taken in time; they can be had from revision {position} on")]
    Lagged {
        /// The first revision of which the watch has not told.
        position: i64,
    },
    /// What an observer has received, and nobody has taken, reached its limit before it had caught up.
    ///
    /// The observation goes on, and nothing is lost: take it, and catch up again.
    #[error("as much was received as may lie untaken; take it, and catch up again")]
    BacklogFull,
    /// Whether everything was seen cannot be known: the server answers when it is asked, but before it has sent what it
    /// speaks of (etcd before 3.4.25 and 3.5.8, its issue 15220), or cannot be asked.
    #[error("this server cannot say how far the watch has got")]
    ProgressUnknown,
    /// It was cancelled by its own handle.
    #[error("the watch was cancelled")]
    Canceled,
}
