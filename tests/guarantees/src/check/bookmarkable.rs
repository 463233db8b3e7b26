//! "Progress notification events guarantee that all events up to a revision have already been delivered."

use super::{Finding, Segment};
use crate::{Detail, History, WatchItem};

pub(super) fn check(segment: &Segment<'_>, history: &History) -> Option<Finding> {
    let (mut last_progress, mut last_event) = (0, 0);
    for (number, timed) in segment.items.iter().enumerate() {
        let detail = match &timed.item {
            WatchItem::Batch { events } => {
                last_event = events.last().map_or(last_event, |event| event.kv.mod_revision);
                let late = events.iter().find(|event| event.kv.mod_revision <= last_progress);
                late.map(|event| Detail::AfterProgress {
                    event: event.clone(),
                    progress: last_progress,
                })
            }
            WatchItem::Progress { revision } => {
                let after = last_event.max(last_progress);
                let (progress, last) = (*revision, history.revision());
                last_progress = progress;
                if progress < after {
                    Some(Detail::ProgressBackwards { progress, after })
                } else {
                    (progress > last).then_some(Detail::ProgressAhead { progress, last })
                }
            }
            _ => None,
        };
        if let Some(detail) = detail {
            return Some((segment.at(number), detail));
        }
    }
    None
}
