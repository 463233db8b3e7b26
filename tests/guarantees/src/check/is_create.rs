//! An event says that it creates its key exactly if the key was not there before.

use etcd_core::message::{Event, EventType};

use super::{Finding, Segment};
use crate::{Detail, History};

pub(super) fn check(segment: &Segment<'_>, history: &History) -> Option<Finding> {
    for (item, event) in segment.events() {
        let previous = history.previous(event);
        if is_create(event) == previous.is_some() {
            let (event, previous) = (event.clone(), previous.cloned());
            return Some((segment.at(item), Detail::Creation { event, previous }));
        }
    }
    None
}

/// `IsCreate` of Go's client (`client/v3/watch.go`).
fn is_create(event: &Event) -> bool {
    event.event_type == EventType::Put && event.kv.create_revision == event.kv.mod_revision
}
