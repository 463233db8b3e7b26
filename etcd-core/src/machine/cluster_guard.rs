//! Whether answers still come from the same cluster, and the same history of it.

use crate::error::ClusterChanged;
use crate::message::ResponseHeader;

/// Compares the headers of answers with what was seen before.
///
/// Another cluster id means that an endpoint leads elsewhere. A lower revision than one that had been seen when
/// the request was sent means, for an answer that reflects all acknowledged writes, that the cluster lost some
/// of them (a restore from a backup, a member started with an empty directory). Both are reported with every
/// answer until a client is made anew: caches, watches and guards built on the old history are void.
#[derive(Clone, Debug, Default)]
pub struct ClusterGuard {
    cluster_id: u64,
    revision: i64,
}

impl ClusterGuard {
    /// A guard that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The cluster's id, 0 before the first answer.
    #[must_use]
    pub fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    /// The highest revision seen. Take it before sending a request, for [`handle_header`](Self::handle_header).
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Checks the header of an answer. `seen_before` is the [`revision`](Self::revision) when its request was
    /// sent, if the answer is a linearizable one.
    ///
    /// # Errors
    ///
    /// [`ClusterChanged`] says what changed.
    pub fn handle_header(
        &mut self,
        header: &ResponseHeader,
        seen_before: Option<i64>,
    ) -> Result<(), ClusterChanged> {
        if header.cluster_id != 0 {
            if self.cluster_id == 0 {
                self.cluster_id = header.cluster_id;
            } else if self.cluster_id != header.cluster_id {
                return Err(ClusterChanged::ClusterId {
                    expected: self.cluster_id,
                    actual: header.cluster_id,
                });
            }
        }
        match seen_before {
            Some(seen) if header.revision != 0 && header.revision < seen => Err(ClusterChanged::Revision {
                seen,
                actual: header.revision,
            }),
            _ => {
                self.revision = self.revision.max(header.revision);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cluster_id: u64, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id,
            revision,
            ..ResponseHeader::default()
        }
    }

    #[test]
    fn another_cluster_is_reported_for_as_long_as_it_answers() {
        let mut guard = ClusterGuard::new();
        guard.handle_header(&header(1, 5), Some(0)).unwrap();
        let changed = ClusterChanged::ClusterId {
            expected: 1,
            actual: 2,
        };
        for _ in 0..2 {
            assert_eq!(guard.handle_header(&header(2, 9), None), Err(changed));
        }
        assert_eq!(guard.revision(), 5, "the other cluster's revision does not count");
        guard.handle_header(&header(1, 6), Some(5)).unwrap();
    }

    #[test]
    fn a_revision_that_runs_backwards_is_reported_for_linearizable_answers_only() {
        let mut guard = ClusterGuard::new();
        guard.handle_header(&header(1, 50), Some(0)).unwrap();
        guard.handle_header(&header(1, 40), None).unwrap();
        assert_eq!(
            guard.handle_header(&header(1, 40), Some(50)),
            Err(ClusterChanged::Revision { seen: 50, actual: 40 })
        );
    }

    #[test]
    fn answers_that_overtake_each_other_are_no_regression() {
        let mut guard = ClusterGuard::new();
        let seen_by_both = guard.revision();
        guard.handle_header(&header(1, 8), Some(seen_by_both)).unwrap();
        guard.handle_header(&header(1, 7), Some(seen_by_both)).unwrap();
    }

    #[test]
    fn headers_that_say_little_are_taken_as_they_are() {
        let mut guard = ClusterGuard::new();
        guard.handle_header(&header(1, 8), Some(0)).unwrap();
        guard.handle_header(&header(0, 0), Some(8)).unwrap();
        assert_eq!((guard.cluster_id(), guard.revision()), (1, 8));
    }
}
