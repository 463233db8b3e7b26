//! "Updates in the same revision over multiple keys will not be split over several lists of events."

use super::{Finding, Segment};
use crate::Detail;

pub(super) fn check(segment: &Segment<'_>) -> Option<Finding> {
    let mut before: Option<(usize, i64)> = None;
    for (item, events) in segment.batches() {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            continue;
        };
        let revision = first.kv.mod_revision;
        if let Some((first_item, before)) = before
            && before == revision
        {
            let first_item = segment.at(first_item).item;
            return Some((segment.at(item), Detail::Split { revision, first_item }));
        }
        before = Some((item, last.kv.mod_revision));
    }
    None
}
