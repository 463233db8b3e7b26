//! What has to be seen until everything is seen that had been written.

use std::time::Duration;

use etcd_core::error::Result;
use etcd_core::key::KeyRange;
use etcd_core::message::{Get, GetResponse, SortOrder, SortTarget};

use crate::Client;

/// In a range of more keys than this, looking for the newest of them is left to servers that cannot say how far a watch has got:
/// they read the whole range for it.
const FEW_KEYS: usize = 1000;

/// The state of a range, as a linearizable read found it.
///
/// It is seen by whoever has seen its revision. It is also seen by whoever has seen its newest key, and knows as many keys
/// as it holds: each key that exists was written no later than the newest and not changed since, so that all of them are known; and if as many
/// are known as exist, no other is. That needs no word of the server on how far a watch has got, which not all of them
/// can be believed about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    pub(super) revision: i64,
    newest: Option<Newest>,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    mod_revision: i64,
    count: usize,
}

impl Goal {
    /// `known` is how many keys are known now.
    pub(super) async fn read(
        client: &Client,
        keys: &KeyRange,
        known: usize,
        is_progress_unknown: bool,
        timeout: Duration,
    ) -> Result<Self> {
        if known > FEW_KEYS && !is_progress_unknown {
            let first = KeyRange::single(keys.key());
            let revision = client
                .get(first)
                .keys_only()
                .timeout(timeout)
                .await?
                .header
                .revision;
            return Ok(Self::of_revision(revision));
        }
        let newest = Get::new(keys.clone())
            .sort(SortTarget::Mod, SortOrder::Descend)
            .limit(1)
            .keys_only();
        let answer = client.call(newest).timeout(timeout).await?;
        Ok(Self::found(&answer))
    }

    /// The state at a revision, of which nothing else is known.
    pub(super) fn of_revision(revision: i64) -> Self {
        let newest = None;
        Self { revision, newest }
    }

    /// What a read of the newest key has found.
    pub(super) fn found(answer: &GetResponse) -> Self {
        Self {
            revision: answer.header.revision,
            newest: Some(Newest {
                mod_revision: answer.first().map_or(0, |kv| kv.mod_revision),
                count: usize::try_from(answer.count).unwrap_or(usize::MAX),
            }),
        }
    }

    /// Whether whoever has seen everything up to `revision`, and knows `count` keys then, has seen this state.
    pub(super) fn is_seen(self, revision: i64, count: usize) -> bool {
        let seen = |newest: Newest| newest.mod_revision <= revision && newest.count == count;
        self.revision <= revision || self.newest.is_some_and(seen)
    }

    /// Whether the server has to say how far the watch has got.
    pub(super) fn needs_progress(self) -> bool {
        self.newest.is_none()
    }
}
