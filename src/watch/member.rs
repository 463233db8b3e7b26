//! One range of a watch: what it has received, and how much of that was taken.

use std::sync::Arc;

use etcd_core::error::{Error, Result, WatchError};
use etcd_core::key::KeyRange;
use etcd_core::machine::{BatchBuffer, EventBatch, Taken, WatchId, WatchOrigin};

use super::connection::Connection;

/// One range of a watch.
pub(super) struct Member {
    pub(super) keys: KeyRange,
    pub(super) buffer: BatchBuffer,
    pub(super) is_ready: bool,
    pub(super) taken: Place,
    /// The first revision whose events have not been received.
    pub(super) received: i64,
    pub(super) is_created: bool,
    /// Whether it counts as one of the watch's ranges: not before whoever adds it has heard that it was created.
    pub(super) is_joined: bool,
    pub(super) ended: Option<Error>,
    pub(super) link: Option<Link>,
}

/// Where a member's watch is.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) connection: Arc<Connection>,
    pub(super) id: WatchId,
}

/// Where a range has got to.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The first revision whose events have not been taken.
    pub(super) position: i64,
    /// Whether the revision before that is known to exist: a watch can be asked to start in the future.
    pub(super) is_reached: bool,
}

impl Place {
    fn reached(position: i64) -> Self {
        Self {
            position,
            is_reached: true,
        }
    }
}

impl Member {
    pub(super) fn new(keys: KeyRange, start: i64, origin: WatchOrigin, buffer: BatchBuffer) -> Self {
        Self {
            keys,
            buffer,
            is_ready: false,
            taken: Place {
                position: start,
                is_reached: origin != WatchOrigin::Given,
            },
            received: start,
            is_created: false,
            is_joined: false,
            ended: None,
            link: None,
        }
    }

    /// The next of what was received, if it is of interest; after an error the range is over.
    pub(super) fn take(&mut self, wants_progress: bool) -> Option<Result<EventBatch>> {
        let before = self.taken.position;
        match self.buffer.take() {
            Some(Taken::Batch(batch)) => {
                self.taken = Place::reached(batch.position());
                Some(Ok(batch))
            }
            Some(Taken::Position(position)) => {
                self.taken = Place::reached(position);
                wants_progress.then(|| Ok(EventBatch::new(Vec::new(), before, position)))
            }
            Some(Taken::Lagged { position }) => Some(Err(WatchError::Lagged { position }.into())),
            None => self.ended.take().map(Err),
        }
    }

    pub(super) fn has_something(&self) -> bool {
        !self.buffer.is_empty() || self.ended.is_some()
    }

    /// Whether nothing more is received, whether or not that was told.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some() || self.buffer.has_lagged()
    }

    pub(super) fn is_living(&self) -> bool {
        self.is_joined && !self.has_ended()
    }
}
