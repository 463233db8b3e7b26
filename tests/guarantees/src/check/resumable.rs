//! "A broken watch can be resumed by establishing a new watch starting after the last revision received in a watch event
//! before the break, so long as the revision is in the history window."

use etcd_core::message::Event;

use super::segment::reached;
use super::{Finding, Segment};
use crate::{Detail, History, Policy, WatchItem};

pub(super) fn check(segment: &Segment<'_>, history: &History) -> Option<Finding> {
    let mut position = segment.start()? - 1;
    // Where the stream was opened from, until something arrives on it.
    let mut opened_from = None;
    for (number, timed) in segment.items.iter().enumerate() {
        let detail = match &timed.item {
            WatchItem::Started { revision } => {
                opened_from = Some(*revision);
                None
            }
            WatchItem::Reopened { revision } => {
                opened_from = Some(*revision);
                skipped(segment, history, position, *revision)
            }
            WatchItem::Lagged { resume_revision } if *resume_revision <= position => {
                Some(Detail::ResumesTooEarly {
                    from: *resume_revision,
                    next: position + 1,
                })
            }
            WatchItem::Lagged { resume_revision } => skipped(segment, history, position, *resume_revision),
            WatchItem::Compacted { compact_revision } => {
                let (told, next, compacted) = (*compact_revision, position + 1, history.compact_revision());
                (told <= next || told > compacted).then_some(Detail::NotCompacted {
                    told,
                    next,
                    compacted,
                })
            }
            WatchItem::Batch { events } => match (opened_from.take(), events.first()) {
                (Some(from), Some(got)) => comes_next(segment, history, position, from, got),
                (from, _) => {
                    opened_from = from;
                    None
                }
            },
            _ => None,
        };
        if let Some(detail) = detail {
            return Some((segment.at(number), detail));
        }
        position = position.max(reached(&timed.item).unwrap_or(position));
    }
    None
}

/// What is lost when a watch that has got as far as `position` goes on at `from`.
fn skipped(segment: &Segment<'_>, history: &History, position: i64, from: i64) -> Option<Detail> {
    next_event(segment, history, position)
        .filter(|event| event.kv.mod_revision < from)
        .map(|event| Detail::Resumed {
            from,
            expected: event.clone(),
            got: None,
        })
}

/// Whether the first event of a stream is the next one there is.
fn comes_next(
    segment: &Segment<'_>,
    history: &History,
    position: i64,
    from: i64,
    got: &Event,
) -> Option<Detail> {
    if segment.request.policy == Policy::Coalesced {
        // The next one may have been left out for a later one.
        return None;
    }
    let expected = next_event(segment, history, position)?;
    let same = (&expected.kv, &expected.event_type) == (&got.kv, &got.event_type);
    (!same).then(|| Detail::Resumed {
        from,
        expected: expected.clone(),
        got: Some(got.clone()),
    })
}

fn next_event<'a>(segment: &Segment<'_>, history: &'a History, position: i64) -> Option<&'a Event> {
    history
        .changes_after(position)
        .iter()
        .map(|change| &change.event)
        .find(|event| segment.awaits(event))
}
