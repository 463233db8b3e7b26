//! The previous pair of an event is the one that was there before.

use super::{Finding, Segment};
use crate::{Detail, History};

pub(super) fn check(segment: &Segment<'_>, history: &History) -> Option<Finding> {
    for (item, event) in segment.events() {
        let (expected, got) = (history.previous(event), event.prev_kv.as_ref());
        let right = match got {
            Some(_) => got == expected,
            None => {
                // The pair is looked up in history, and is not there any more once that is compacted.
                !segment.request.prev_kv
                    || expected.is_none()
                    || history.compact_revision() >= event.kv.mod_revision
            }
        };
        if !right {
            let detail = Detail::PreviousPair {
                event: event.clone(),
                expected: expected.cloned(),
                got: got.cloned(),
            };
            return Some((segment.at(item), detail));
        }
    }
    None
}
