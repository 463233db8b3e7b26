//! The holder of a lease never takes it for its own after the server ended it.

use std::time::Duration;

use crate::{At, Detail, HolderState, LeaseEnd, LeaseItem, LeaseRecord, Violation};

/// `lasted` is how long the run lasted: a belief that nothing ended was held until then.
pub(crate) fn check(lease: &LeaseRecord, lasted: Duration) -> Option<Violation> {
    let mut items: Vec<_> = lease.items.iter().enumerate().collect();
    items.sort_by_key(|(_, timed)| timed.at);
    let finding = |(item, time), detail| {
        Some(Violation {
            who: format!("{} of lease {:x}", lease.name, lease.id),
            at: At { item, time },
            detail,
        })
    };

    let mut lost = None;
    for (number, timed) in &items {
        match (&timed.item, lost) {
            (LeaseItem::Holder(HolderState::Lost), None) => lost = Some(timed.at),
            (LeaseItem::Holder(HolderState::Alive { .. } | HolderState::Degraded), Some(lost)) => {
                return finding((*number, timed.at), Detail::AliveAfterLoss { lost });
            }
            _ => {}
        }
    }

    for (number, timed) in &items {
        let LeaseItem::Ended(end) = timed.item else {
            continue;
        };
        let ended = timed.at;
        // Of an end that nobody can foresee, the next renewal or at the latest the holder's deadline tells.
        let grace = match end {
            LeaseEnd::Expired => Duration::ZERO,
            LeaseEnd::Revoked => lease.ttl,
        };
        let until = lost.unwrap_or(lasted);
        if until > ended + grace + lease.tolerance {
            return finding((*number, ended), Detail::AliveTooLong { until, ended });
        }
        let promised = items.iter().find_map(|(number, timed)| match timed.item {
            LeaseItem::Holder(HolderState::Alive { deadline })
                if timed.at <= ended && deadline > ended + grace =>
            {
                Some((*number, timed.at, deadline))
            }
            _ => None,
        });
        if let Some((number, at, until)) = promised {
            return finding((number, at), Detail::AliveTooLong { until, ended });
        }
    }
    None
}
