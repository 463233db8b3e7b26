//! What a consumer has to do with the rest of the world.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use anyetcd::{Client, KeyValue, ObservationStatus};
use etcd_embedded::sim::SimTransport;

use crate::trial::{Marks, Trial};

/// The line between a consumer and the servers, and how far it has got.
#[derive(Debug, Default)]
pub(super) struct Line {
    transport: RefCell<Option<Arc<SimTransport>>>,
    /// The revision that it was told of last.
    pub(super) told: Cell<i64>,
    /// The revision that it has caught up with last, by its own word.
    pub(super) caught_up: Cell<i64>,
    /// How often as much lay untaken as may.
    pub(super) backlogs: Cell<usize>,
    is_following: Cell<bool>,
    /// What a mirror shows, and what its readers were told of last.
    shown: RefCell<Vec<KeyValue>>,
    updated: RefCell<Vec<KeyValue>>,
}

impl Line {
    /// A new client for the consumer.
    pub(super) fn connect(&self, trial: &Trial) -> Client {
        let transport = trial.world.transport();
        *self.transport.borrow_mut() = Some(transport.clone());
        trial.client_on(transport)
    }

    /// The transport of its present client.
    pub(super) fn transport(&self) -> Option<Arc<SimTransport>> {
        self.transport.borrow().clone()
    }

    /// Takes note of how the consumer says that it is doing.
    pub(super) fn set_status(&self, status: &ObservationStatus) {
        self.is_following
            .set(matches!(status, ObservationStatus::Following));
    }

    /// Takes note of what a mirror shows.
    pub(super) fn show(&self, revision: i64, pairs: Vec<KeyValue>) {
        self.told.set(revision);
        *self.shown.borrow_mut() = pairs;
    }

    /// Takes note that readers of the mirror were told of what it shows.
    pub(super) fn update(&self) {
        self.updated.replace(self.shown.borrow().clone());
    }

    /// Whether it has been told of the last writes, and knows it.
    pub(super) fn has_reached(&self, marks: Marks) -> bool {
        self.is_following.get()
            && self.told.get().min(self.caught_up.get()) >= marks.delete
            && self.updated == self.shown
    }
}
