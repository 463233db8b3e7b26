//! "A sequence of events will never drop any subsequence of events."

use std::collections::HashMap;

use bytes::Bytes;
use etcd_core::message::Event;

use super::segment::reached;
use super::{Finding, Segment};
use crate::{At, Detail, History, Policy, WatchItem};

pub(super) fn check(segment: &Segment<'_>, history: &History) -> Option<Finding> {
    match segment.request.policy {
        Policy::Every => every(segment, history),
        Policy::Coalesced => coalesced(segment, history),
    }
}

/// Exactly what happened arrives, between the first revision and the last.
fn every(segment: &Segment<'_>, history: &History) -> Option<Finding> {
    let covered = segment
        .items
        .iter()
        .filter_map(|timed| covered(&timed.item))
        .max();
    let mut expected = awaited(
        segment,
        history,
        segment.start().unwrap_or(0) - 1,
        covered.unwrap_or(0),
    );
    for (item, got) in segment.events() {
        match expected.next() {
            Some(event) if same(event, got) => {}
            other => return differs(segment.at(item), other, Some(got)),
        }
    }
    match expected.next() {
        Some(event) => differs(segment.last(), Some(event), None),
        None => None,
    }
}

/// Of each key, the last event up to where a batch reaches arrives with it, and nothing that did not happen.
fn coalesced(segment: &Segment<'_>, history: &History) -> Option<Finding> {
    let mut position = segment.start().unwrap_or(0) - 1;
    for (number, timed) in segment.items.iter().enumerate() {
        let Some(until) = covered(&timed.item) else {
            continue;
        };
        let batch: &[Event] = match &timed.item {
            WatchItem::Batch { events } => events,
            _ => &[],
        };
        let mut last_of_key: HashMap<&Bytes, &Event> = HashMap::new();
        let mut arrived = batch.iter().peekable();
        for event in awaited(segment, history, position, until) {
            if arrived.next_if(|got| same(event, got)).is_some() {
                last_of_key.remove(&event.kv.key);
            } else {
                last_of_key.insert(&event.kv.key, event);
            }
        }
        if let Some(got) = arrived.next() {
            return differs(segment.at(number), None, Some(got));
        }
        let lost = last_of_key.values().min_by_key(|event| event.kv.mod_revision);
        if let Some(event) = lost {
            return differs(segment.at(number), Some(event), None);
        }
        position = position.max(until);
    }
    None
}

/// Up to where everything has to be there once an item is.
fn covered(item: &WatchItem) -> Option<i64> {
    match item {
        WatchItem::Due { revision } => Some(*revision),
        WatchItem::Started { .. } => None,
        item => reached(item),
    }
}

fn awaited<'a>(
    segment: &'a Segment<'_>,
    history: &'a History,
    after: i64,
    until: i64,
) -> impl Iterator<Item = &'a Event> {
    history
        .changes_after(after)
        .iter()
        .map(|change| &change.event)
        .take_while(move |event| event.kv.mod_revision <= until)
        .filter(|event| segment.awaits(event))
}

/// Whether an event arrived as it happened; the previous pair has a checker of its own.
fn same(happened: &Event, arrived: &Event) -> bool {
    happened.event_type == arrived.event_type && happened.kv == arrived.kv
}

fn differs(at: At, expected: Option<&Event>, got: Option<&Event>) -> Option<Finding> {
    let (expected, got) = (expected.cloned(), got.cloned());
    Some((at, Detail::Sequence { expected, got }))
}
