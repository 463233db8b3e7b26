//! What one watch asks for.

use anyetcd::message::WatchFilter;
use anyetcd::{BufferLimits, BufferPolicy, Client, KeyRange, WatchCall, prefix};
use etcd_embedded::sim::World;
use etcd_guarantees::WatchRequest;

use crate::trial::{KEYS, Marks};

/// What one watch asks for.
#[derive(Clone)]
pub(super) struct Wish {
    keys: KeyRange,
    filter: Option<WatchFilter>,
    prev_kv: bool,
    fragment: bool,
    pub(super) progress: bool,
    policy: BufferPolicy,
    pub(super) slow: bool,
}

impl Wish {
    pub(super) fn random(world: &World) -> Self {
        let key = format!("k/{}", world.random(KEYS));
        Self {
            keys: match world.random(3) {
                0 => key.into(),
                1 => (key..format!("k/{KEYS}")).into(),
                _ => prefix("k/"),
            },
            filter: match world.random(5) {
                0 => Some(WatchFilter::NoPut),
                1 => Some(WatchFilter::NoDelete),
                _ => None,
            },
            prev_kv: world.random(3) == 0,
            fragment: world.random(4) == 0,
            progress: world.random(3) == 0,
            policy: match world.random(4) {
                0 => BufferPolicy::Lag,
                1 => BufferPolicy::Coalesce,
                _ => BufferPolicy::Wait,
            },
            slow: world.random(3) == 0,
        }
    }

    pub(super) fn call(&self, client: &Client) -> WatchCall {
        let mut call = client
            .watch(self.keys.clone())
            .buffer(self.policy)
            .buffer_limits(BufferLimits {
                events: 4,
                bytes: 1 << 20,
            });
        if let Some(filter) = &self.filter {
            call = call.filter(filter.clone());
        }
        if self.prev_kv {
            call = call.prev_kv();
        }
        if self.fragment {
            call = call.fragment();
        }
        if self.progress {
            call = call.progress_notify();
        }
        call
    }

    pub(super) fn request(&self) -> WatchRequest {
        let mut request = WatchRequest::new(self.keys.clone());
        if let Some(filter) = &self.filter {
            request = request.filter(filter.clone());
        }
        if self.prev_kv {
            request = request.prev_kv();
        }
        if self.policy == BufferPolicy::Coalesce {
            request = request.coalesced();
        }
        request
    }

    /// The last event that it is to be told.
    pub(super) fn last(&self, marks: Marks) -> i64 {
        match self.filter {
            Some(WatchFilter::NoDelete) => marks.put,
            _ => marks.delete,
        }
    }
}
