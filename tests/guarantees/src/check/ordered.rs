//! "Events are ordered by revision; an event will never appear on a watch if it precedes an event in time that has
//! already been posted."

use super::{Finding, Segment};
use crate::Detail;

pub(super) fn check(segment: &Segment<'_>) -> Option<Finding> {
    let mut after = 0;
    for (item, event) in segment.events() {
        let revision = event.kv.mod_revision;
        if revision < after {
            let event = event.clone();
            return Some((segment.at(item), Detail::OutOfOrder { event, after }));
        }
        after = revision;
    }
    None
}
