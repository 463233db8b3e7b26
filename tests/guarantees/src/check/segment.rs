//! A watch from one start to the next: what the checkers look at.

use etcd_core::key::KeyRange;
use etcd_core::message::{Event, EventType, WatchFilter};

use crate::{At, Timed, WatchItem, WatchRecord, WatchRequest};

/// What a watch was told between a start and the next one, which only follows a compaction or the like.
pub(super) struct Segment<'a> {
    pub(super) request: &'a WatchRequest,
    pub(super) items: &'a [Timed<WatchItem>],
    /// The number of the first of the items in the whole record.
    first_item: usize,
    interests: Vec<Interest<'a>>,
}

/// Keys that are watched for a while.
struct Interest<'a> {
    keys: &'a KeyRange,
    /// The first revision of interest, `None` while nothing has said so.
    from: Option<i64>,
    /// The last revision that arrived before the keys were removed.
    until: Option<i64>,
    /// The items between which the keys are watched.
    added: usize,
    removed: Option<usize>,
}

impl<'a> Segment<'a> {
    pub(super) fn all(watch: &'a WatchRecord) -> Vec<Self> {
        let mut segments = Vec::new();
        let mut begin = 0;
        for end in 1..=watch.items.len() {
            let next = watch.items.get(end).map(|item| &item.item);
            if matches!(next, None | Some(WatchItem::Started { .. })) {
                segments.push(Self::new(&watch.request, &watch.items[begin..end], begin));
                begin = end;
            }
        }
        segments
    }

    fn new(request: &'a WatchRequest, items: &'a [Timed<WatchItem>], first_item: usize) -> Self {
        let mut interests = vec![Interest {
            keys: &request.keys,
            from: first_revision(items),
            until: None,
            added: 0,
            removed: None,
        }];
        let mut position = 0;
        for (number, timed) in items.iter().enumerate() {
            position = position.max(reached(&timed.item).unwrap_or(0));
            match &timed.item {
                WatchItem::KeysAdded { keys, revision } => interests.push(Interest {
                    keys,
                    from: Some(*revision),
                    until: None,
                    added: number,
                    removed: None,
                }),
                WatchItem::KeysRemoved { keys } => {
                    let removed = interests
                        .iter_mut()
                        .find(|interest| interest.keys == keys && interest.removed.is_none());
                    if let Some(interest) = removed {
                        (interest.until, interest.removed) = (Some(position), Some(number));
                    }
                }
                _ => {}
            }
        }
        Self {
            request,
            items,
            first_item,
            interests,
        }
    }

    pub(super) fn at(&self, item: usize) -> At {
        At {
            item: self.first_item + item,
            time: self.items[item].at,
        }
    }

    pub(super) fn last(&self) -> At {
        self.at(self.items.len() - 1)
    }

    /// The batches, each with the number of its item.
    pub(super) fn batches(&self) -> impl Iterator<Item = (usize, &'a [Event])> + use<'a> {
        self.items
            .iter()
            .enumerate()
            .filter_map(|(number, timed)| match &timed.item {
                WatchItem::Batch { events } => Some((number, &events[..])),
                _ => None,
            })
    }

    /// The events, each with the number of its item.
    pub(super) fn events(&self) -> impl Iterator<Item = (usize, &'a Event)> + use<'a> {
        self.batches()
            .flat_map(|(number, events)| events.iter().map(move |event| (number, event)))
    }

    /// The first revision of interest, as far as anything says so.
    pub(super) fn start(&self) -> Option<i64> {
        self.interests[0].from
    }

    /// Whether an event that happened ought to arrive, sooner or later.
    pub(super) fn awaits(&self, event: &Event) -> bool {
        let revision = event.kv.mod_revision;
        passes(&self.request.filters, event)
            && self.interests.iter().any(|interest| {
                interest.keys.contains(&event.kv.key)
                    && interest.from.is_some_and(|from| from <= revision)
                    && interest.until.is_none_or(|until| revision <= until)
            })
    }

    /// Whether an event that arrives with an item was asked for.
    pub(super) fn asked_for(&self, item: usize, event: &Event) -> bool {
        let revision = event.kv.mod_revision;
        passes(&self.request.filters, event)
            && self.interests.iter().any(|interest| {
                interest.keys.contains(&event.kv.key)
                    && interest.from.is_none_or(|from| from <= revision)
                    && interest.added <= item
                    && interest.removed.is_none_or(|removed| item < removed)
            })
    }
}

/// The revision up to which everything is there once an item is.
pub(super) fn reached(item: &WatchItem) -> Option<i64> {
    match item {
        WatchItem::Started { revision } => Some(revision - 1),
        WatchItem::Batch { events } => events.iter().map(|event| event.kv.mod_revision).max(),
        WatchItem::Progress { revision } => Some(*revision),
        _ => None,
    }
}

/// As etcd's suite has it: where no start is known, what arrives first tells it.
fn first_revision(items: &[Timed<WatchItem>]) -> Option<i64> {
    items.iter().find_map(|timed| match &timed.item {
        WatchItem::Started { revision } => Some(*revision),
        WatchItem::Progress { revision } => Some(revision + 1),
        WatchItem::Batch { events } => events.first().map(|event| event.kv.mod_revision),
        _ => None,
    })
}

fn passes(filters: &[WatchFilter], event: &Event) -> bool {
    !filters.iter().any(|filter| match filter {
        WatchFilter::NoPut => event.event_type == EventType::Put,
        WatchFilter::NoDelete => event.event_type == EventType::Delete,
        _ => false,
    })
}
