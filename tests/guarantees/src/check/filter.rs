//! Only what was asked for: keys, kinds, and not before the first revision of interest.

use super::{Finding, Segment};
use crate::Detail;

pub(super) fn check(segment: &Segment<'_>) -> Option<Finding> {
    for (item, event) in segment.events() {
        if !segment.asked_for(item, event) {
            let detail = Detail::Unwanted {
                event: event.clone(),
                keys: segment.request.keys.clone(),
                filters: segment.request.filters.clone(),
            };
            return Some((segment.at(item), detail));
        }
    }
    None
}
