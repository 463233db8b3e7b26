//! Every change is the work of exactly one write, and every write does what its caller was told.
//!
//! An acknowledged write names its revision. What is left over must be the work of writes whose outcome is unknown, each
//! at most once: a matching of revisions to writes shows whether that is possible.

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_core::message::{Event, EventType};

use crate::history::Change;
use crate::{At, Detail, Effect, History, Outcome, Violation, WriteRecord};

pub(crate) fn check(writes: &[WriteRecord], history: &History) -> Vec<Violation> {
    if writes.is_empty() {
        return Vec::new();
    }
    let mut check = Check {
        writes,
        revisions: by_revision(history),
        author: BTreeMap::new(),
        violations: Vec::new(),
    };
    check.acknowledged();
    check.unknown();
    check.left_over();
    check.real_time();
    check.violations
}

struct Check<'a> {
    writes: &'a [WriteRecord],
    revisions: BTreeMap<i64, &'a [Change]>,
    /// Which write made each revision, as far as that is settled.
    author: BTreeMap<i64, usize>,
    violations: Vec<Violation>,
}

impl Check<'_> {
    /// Each acknowledged write is at the revision it was told, alone.
    fn acknowledged(&mut self) {
        for (number, write) in self.writes.iter().enumerate() {
            let Outcome::Applied { revision } = write.outcome else {
                continue;
            };
            let changes = self.revisions.get(&revision).copied().unwrap_or_default();
            if !explains(write, changes) {
                let found = changes.first().map(|change| change.event.clone());
                self.report(number, Detail::Vanished { revision, found });
            } else if let Some(other) = self.author.get(&revision) {
                let other = self.writes[*other].name.clone();
                self.report(number, Detail::SharedRevision { revision, other });
            } else {
                self.author.insert(revision, number);
            }
        }
    }

    /// Gives as many of the other revisions as possible to writes whose outcome is unknown, one each.
    fn unknown(&mut self) {
        let open: Vec<i64> = self
            .revisions
            .keys()
            .copied()
            .filter(|revision| !self.author.contains_key(revision))
            .collect();
        let mut revision_of = BTreeMap::new();
        for revision in open {
            self.find_author(revision, &mut revision_of, &mut vec![false; self.writes.len()]);
        }
        self.author
            .extend(revision_of.into_iter().map(|(write, revision)| (revision, write)));
    }

    /// One step of Kuhn's algorithm: an author for `revision`, and if need be another revision for that one.
    fn find_author(&self, revision: i64, revision_of: &mut BTreeMap<usize, i64>, asked: &mut [bool]) -> bool {
        for (number, write) in self.writes.iter().enumerate() {
            if write.outcome != Outcome::Unknown
                || asked[number]
                || !explains(write, self.revisions[&revision])
            {
                continue;
            }
            asked[number] = true;
            let free = match revision_of.get(&number).copied() {
                Some(other) => self.find_author(other, revision_of, asked),
                None => true,
            };
            if free {
                revision_of.insert(number, revision);
                return true;
            }
        }
        false
    }

    /// Whom to blame for the revisions that nobody has made.
    fn left_over(&mut self) {
        let left: Vec<i64> = self
            .revisions
            .keys()
            .copied()
            .filter(|revision| !self.author.contains_key(revision))
            .collect();
        for second in left {
            let changes = self.revisions[&second];
            let event = changes[0].event.clone();
            let again = self.author.iter().find(|(_, number)| {
                let write = &self.writes[**number];
                explains(write, changes)
            });
            let refused = || {
                self.writes
                    .iter()
                    .position(|write| write.outcome == Outcome::NotApplied && explains(write, changes))
            };
            if let Some((&first, &number)) = again {
                self.report(number, Detail::AppliedAgain { first, second, event });
            } else if let Some(number) = refused() {
                let revision = second;
                self.report(number, Detail::AppliedAfterAll { revision, event });
            } else if !ends_a_lease(changes) {
                self.violations.push(Violation {
                    who: "the store".to_owned(),
                    at: At {
                        item: 0,
                        time: Duration::ZERO,
                    },
                    detail: Detail::Unexplained { event },
                });
            }
        }
    }

    /// A write that began after another had ended comes after it.
    fn real_time(&mut self) {
        let mut ended: Vec<(Duration, i64, usize)> = Vec::new();
        let mut begun: Vec<(Duration, i64, usize, bool)> = Vec::new();
        for (number, write) in self.writes.iter().enumerate() {
            let (revision, changed) = match write.outcome {
                Outcome::Applied { revision } => (revision, true),
                Outcome::Unchanged { revision } => (revision, false),
                _ => continue,
            };
            begun.push((write.invoked, revision, number, changed));
            ended.extend(write.returned.map(|returned| (returned, revision, number)));
        }
        ended.sort_unstable();
        begun.sort_unstable();
        let mut ended = ended.into_iter().peekable();
        let mut newest: Option<(i64, usize)> = None;
        for (invoked, revision, number, changed) in begun {
            while let Some((_, revision, number)) = ended.next_if(|(returned, ..)| *returned < invoked) {
                newest = newest.max(Some((revision, number)));
            }
            let Some((other_revision, other)) = newest else {
                continue;
            };
            let comes_after = if changed {
                revision > other_revision
            } else {
                revision >= other_revision
            };
            if !comes_after {
                let other = self.writes[other].name.clone();
                self.report(
                    number,
                    Detail::BackInTime {
                        revision,
                        other,
                        other_revision,
                    },
                );
            }
        }
    }

    fn report(&mut self, number: usize, detail: Detail) {
        let write = &self.writes[number];
        self.violations.push(Violation {
            who: write.name.clone(),
            at: At {
                item: number,
                time: write.invoked,
            },
            detail,
        });
    }
}

fn by_revision(history: &History) -> BTreeMap<i64, &[Change]> {
    let changes = history.changes_after(0);
    changes
        .chunk_by(|a, b| a.event.kv.mod_revision == b.event.kv.mod_revision)
        .map(|of_one| (of_one[0].event.kv.mod_revision, of_one))
        .collect()
}

/// Whether the changes of a revision are what a write does.
fn explains(write: &WriteRecord, changes: &[Change]) -> bool {
    !changes.is_empty()
        && write.branches.iter().any(|branch| {
            let event_has_an_effect = |change: &Change| {
                branch
                    .iter()
                    .any(|effect| is_effect(effect, &change.event, change))
            };
            let put_has_an_event = |effect: &Effect| {
                matches!(effect, Effect::Delete { .. })
                    || changes
                        .iter()
                        .any(|change| is_effect(effect, &change.event, change))
            };
            changes.iter().all(event_has_an_effect) && branch.iter().all(put_has_an_event)
        })
}

fn is_effect(effect: &Effect, event: &Event, change: &Change) -> bool {
    match (effect, &event.event_type) {
        (Effect::Put { keys, value }, EventType::Put) => {
            let kept = || change.previous.as_ref().map(|pair| &pair.value);
            keys.contains(&event.kv.key) && value.as_ref().or_else(kept) == Some(&event.kv.value)
        }
        (Effect::Delete { keys }, EventType::Delete) => keys.contains(&event.kv.key),
        _ => false,
    }
}

/// Whether a revision is what the end of a lease leaves: its keys are deleted together.
fn ends_a_lease(changes: &[Change]) -> bool {
    let lease = |change: &Change| change.previous.as_ref().map_or(0, |pair| pair.lease);
    changes.first().is_some_and(|first| {
        lease(first) != 0
            && changes
                .iter()
                .all(|change| change.event.event_type == EventType::Delete && lease(change) == lease(first))
    })
}
