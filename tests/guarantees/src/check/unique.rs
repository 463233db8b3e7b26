//! "An event will never appear on a watch twice."

use std::collections::HashMap;

use super::{Finding, Segment};
use crate::{Detail, History};

pub(super) fn check(segment: &Segment<'_>, history: &History) -> Option<Finding> {
    let mut seen: HashMap<_, usize> = HashMap::new();
    for (item, event) in segment.events() {
        let times = seen.entry((event.kv.mod_revision, &event.kv.key)).or_default();
        *times += 1;
        // A transaction can delete a key and write it again, past a server's check for overlaps.
        if *times > 1 && *times > history.times_changed(&event.kv.key, event.kv.mod_revision) {
            let event = event.clone();
            return Some((segment.at(item), Detail::Repeated { event }));
        }
    }
    None
}
