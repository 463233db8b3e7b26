//! What an observer has received and nobody has taken yet, in bounded memory.

use std::collections::VecDeque;

use super::Observed;
use crate::machine::BufferLimits;
use crate::machine::watch::event_bytes;

/// Holds what was received of a range and not taken.
///
/// It takes everything; whoever receives is to stop once it [`is_full`](Self::is_full). A snapshot does not fill it, whatever its
/// size: nothing can be made of what comes after it without it.
#[derive(Debug)]
pub struct Backlog {
    limits: BufferLimits,
    items: VecDeque<Observed>,
    events: usize,
    bytes: usize,
}

impl Backlog {
    /// Holds nothing.
    #[must_use]
    pub fn new(limits: BufferLimits) -> Self {
        Self {
            limits,
            items: VecDeque::new(),
            events: 0,
            bytes: 0,
        }
    }

    /// Whether the events held, of which there are some, reach one of the limits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.events > 0 && (self.events >= self.limits.events || self.bytes >= self.limits.bytes)
    }

    /// Takes in what came next.
    pub fn push(&mut self, observed: Observed) {
        let (events, bytes) = size(&observed);
        self.events += events;
        self.bytes += bytes;
        // Only the newest revision up to which nothing changed says anything.
        if let Observed::Progress { .. } = observed
            && let Some(last @ Observed::Progress { .. }) = self.items.back_mut()
        {
            *last = observed;
            return;
        }
        self.items.push_back(observed);
    }

    /// What was received first.
    pub fn pop(&mut self) -> Option<Observed> {
        let observed = self.items.pop_front()?;
        let (events, bytes) = size(&observed);
        self.events -= events;
        self.bytes -= bytes;
        Some(observed)
    }
}

fn size(observed: &Observed) -> (usize, usize) {
    match observed {
        Observed::Changes { events, .. } => (events.len(), events.iter().map(event_bytes).sum()),
        Observed::Snapshot { .. } | Observed::Progress { .. } => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Event, KeyValue};

    fn changes(revision: i64, values: &[usize]) -> Observed {
        let event = |&length: &usize| {
            let mut event = Event::default();
            event.kv.value = vec![b'v'; length].into();
            event
        };
        Observed::Changes {
            revision,
            events: values.iter().map(event).collect(),
            is_synthetic: false,
        }
    }

    #[test]
    fn it_is_full_at_either_limit_and_not_any_more_once_it_was_taken() {
        let mut backlog = Backlog::new(BufferLimits {
            events: 3,
            bytes: usize::MAX,
        });
        backlog.push(changes(2, &[1, 1]));
        assert!(!backlog.is_full());
        backlog.push(changes(3, &[1]));
        assert!(backlog.is_full());
        assert_eq!(backlog.pop(), Some(changes(2, &[1, 1])));
        assert!(!backlog.is_full());

        let mut backlog = Backlog::new(BufferLimits {
            events: usize::MAX,
            bytes: 10_000,
        });
        backlog.push(changes(2, &[9000]));
        assert!(!backlog.is_full());
        backlog.push(changes(3, &[1000]));
        assert!(backlog.is_full());
        assert_eq!(backlog.pop(), Some(changes(2, &[9000])));
        assert_eq!(backlog.pop(), Some(changes(3, &[1000])));
        assert_eq!((backlog.pop(), backlog.is_full()), (None, false));
    }

    #[test]
    fn a_snapshot_of_any_size_leaves_room_for_a_change() {
        let mut backlog = Backlog::new(BufferLimits { events: 0, bytes: 0 });
        backlog.push(Observed::Snapshot {
            revision: 7,
            kvs: vec![KeyValue::default(); 100],
        });
        assert!(!backlog.is_full());
        backlog.push(changes(8, &[1]));
        assert!(backlog.is_full());
    }

    #[test]
    fn of_revisions_without_a_change_only_the_newest_is_held() {
        let mut backlog = Backlog::new(BufferLimits::default());
        backlog.push(changes(2, &[1]));
        for revision in 3..1000 {
            backlog.push(Observed::Progress { revision });
        }
        backlog.push(changes(1000, &[1]));
        assert_eq!(backlog.pop(), Some(changes(2, &[1])));
        assert_eq!(backlog.pop(), Some(Observed::Progress { revision: 999 }));
        assert_eq!(backlog.pop(), Some(changes(1000, &[1])));
    }
}
