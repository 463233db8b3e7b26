//! What is observed.

use anyetcd::{BufferLimits, Client, KeyRange, ObserveCall, Put, Txn, prefix};
use etcd_embedded::sim::World;

use crate::trial::{KEYS, Trial};

/// More keys than a page has.
const MANY: u64 = 200;

const TIGHT: BufferLimits = BufferLimits {
    events: 2,
    bytes: 1 << 20,
};

/// What one consumer asks for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) keys: KeyRange,
    pub(super) prev_kv: bool,
    pub(super) slow: bool,
    /// Hardly anything may lie untaken.
    pub(super) tight: bool,
}

impl Wish {
    /// One of these; in a world of many keys perhaps all of them, which takes several pages.
    pub(super) fn random(world: &World, of_many: bool) -> Self {
        let key = format!("k/{}", world.random(KEYS));
        Self {
            keys: match world.random(4) {
                0 => key.into(),
                1 => (key..format!("k/{KEYS}")).into(),
                2 if of_many => ("k/".."m").into(),
                _ => prefix("k/"),
            },
            prev_kv: world.random(2) == 0,
            slow: world.random(3) == 0,
            tight: world.random(3) == 0,
        }
    }

    pub(super) fn observe(&self, client: &Client) -> ObserveCall {
        let call = client.observe(self.keys.clone());
        let call = if self.prev_kv { call.prev_kv() } else { call };
        if self.tight {
            call.backlog_limits(TIGHT)
        } else {
            call
        }
    }
}

/// Puts many keys, beyond those that everybody writes.
pub(super) async fn put_many(trial: &Trial) {
    let client = trial.client();
    let (half, all) = (MANY / 2, MANY);
    for half in [0..half, half..all] {
        let txn = Txn::new().then(half.map(|key| Put::new(format!("l/{key:03}"), "v")));
        while trial.is_troubled() && client.txn(txn.clone()).await.is_err() {}
    }
}
