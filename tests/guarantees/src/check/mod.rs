//! The checkers, one promise a file. Each reports the first violation of a segment; those that follow from it say nothing
//! new.

mod atomic;
mod bookmarkable;
mod filter;
mod is_create;
mod lease;
mod observer;
mod ordered;
mod prev_kv;
mod reliable;
mod resumable;
mod segment;
mod unique;
mod writes;

pub(crate) use lease::check as lease;
pub(crate) use observer::check as observer;
pub(crate) use writes::check as writes;

use crate::{At, Detail, History, Violation, WatchRecord};
use segment::Segment;

/// Where something is wrong, and what.
type Finding = (At, Detail);

/// All properties of a watch.
pub(crate) fn watch(watch: &WatchRecord, history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    for segment in Segment::all(watch) {
        let findings = [
            filter::check(&segment),
            ordered::check(&segment),
            unique::check(&segment, history),
            atomic::check(&segment),
            bookmarkable::check(&segment, history),
            resumable::check(&segment, history),
            is_create::check(&segment, history),
            reliable::check(&segment, history),
            prev_kv::check(&segment, history),
        ];
        violations.extend(findings.into_iter().flatten().map(|(at, detail)| Violation {
            who: watch.name.clone(),
            at,
            detail,
        }));
    }
    violations
}
