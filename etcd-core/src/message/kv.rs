//! Put, get, delete, compact.

use bytes::Bytes;

use super::ResponseHeader;
use crate::codec::{message, open_enum};
use crate::key::{IntoBytes, KeyRange};

message! {
    /// A key with its value and its history in numbers.
    pub (keyed) struct KeyValue {
        /// The key; never empty.
        key: Bytes,
        /// The revision that created the key, anew after each deletion.
        create_revision: i64,
        /// The revision that last changed the key.
        mod_revision: i64,
        /// How often the key was written since its creation: 1 for a new key, 0 for a deleted one.
        version: i64,
        /// The value; may be empty.
        value: Bytes,
        /// The lease whose end deletes the key, 0 for none.
        lease: i64,
    }
}

impl KeyValue {
    /// The key as text, `None` if it is not UTF-8.
    #[must_use]
    pub fn key_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.key).ok()
    }

    /// The value as text, `None` if it is not UTF-8.
    #[must_use]
    pub fn value_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.value).ok()
    }
}

open_enum! {
    /// Whether and which way a range is sorted.
    pub enum SortOrder {
        /// The natural order: by key, ascending.
        None = 0 "NONE",
        /// Lowest first.
        Ascend = 1 "ASCEND",
        /// Highest first.
        Descend = 2 "DESCEND",
    }
}

open_enum! {
    /// What a range is sorted by.
    pub enum SortTarget {
        /// The key, as bytes.
        Key = 0 "KEY",
        /// The version.
        Version = 1 "VERSION",
        /// The create revision.
        Create = 2 "CREATE",
        /// The mod revision.
        Mod = 3 "MOD",
        /// The value, as bytes.
        Value = 4 "VALUE",
    }
}

message! {
    /// Writes a key; `PutRequest` in etcd's protocol.
    ///
    /// ```
    /// use etcd_core::message::Put;
    ///
    /// let put = Put::new("config/mode", "fast").lease(7).prev_kv();
    /// assert_eq!(put.lease, 7);
    /// ```
    pub struct Put {
        /// The key; must not be empty.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// The lease whose end deletes the key, 0 for none.
        lease: i64,
        /// Whether the answer carries the previous key-value pair.
        prev_kv: bool,
        /// Whether the key keeps its value; the key must exist.
        ignore_value: bool,
        /// Whether the key keeps its lease; the key must exist.
        ignore_lease: bool,
    }
}

impl Put {
    /// Writes `value` under `key`, without a lease.
    #[must_use]
    pub fn new(key: impl IntoBytes, value: impl IntoBytes) -> Self {
        Self {
            key: key.into_bytes(),
            value: value.into_bytes(),
            ..Self::default()
        }
    }

    /// Attaches the key to the lease `id`: the key is deleted when the lease ends.
    #[must_use]
    pub fn lease(mut self, id: i64) -> Self {
        self.lease = id;
        self
    }

    /// Asks for the pair that was there before.
    #[must_use]
    pub fn prev_kv(mut self) -> Self {
        self.prev_kv = true;
        self
    }

    /// Keeps the value the key has and changes the rest; the request must then carry no value.
    ///
    /// The server refuses it with `KeyNotFound` if the key does not exist.
    #[must_use]
    pub fn ignore_value(mut self) -> Self {
        self.ignore_value = true;
        self
    }

    /// Keeps the lease the key has; the request must then name no lease.
    ///
    /// The server refuses it with `KeyNotFound` if the key does not exist.
    #[must_use]
    pub fn ignore_lease(mut self) -> Self {
        self.ignore_lease = true;
        self
    }
}

message! {
    /// The answer to [`Put`].
    pub struct PutResponse {
        /// Who answered; its revision is the one this put created.
        header: ResponseHeader,
        /// The previous pair, if [`Put::prev_kv`] asked and the key existed.
        prev_kv: Option<KeyValue>,
    }
}

message! {
    /// Reads keys; `RangeRequest` in etcd's protocol.
    ///
    /// Linearizable unless [`serializable`](Self::serializable) is set.
    ///
    /// ```
    /// use etcd_core::key::prefix;
    /// use etcd_core::message::{Get, SortOrder, SortTarget};
    ///
    /// let newest = Get::new(prefix("jobs/")).sort(SortTarget::Create, SortOrder::Descend).limit(1);
    /// assert_eq!(newest.range_end, "jobs0");
    /// ```
    pub struct Get {
        /// The first key.
        key: Bytes,
        /// The key after the last one; empty for `key` alone, a zero byte for no upper bound.
        range_end: Bytes,
        /// The most pairs to return, 0 for all.
        limit: i64,
        /// The revision to read at, 0 or less for the newest.
        revision: i64,
        /// Whether and which way to sort.
        sort_order: SortOrder,
        /// What to sort by.
        sort_target: SortTarget,
        /// Whether the member may answer from its own store, which may lag.
        serializable: bool,
        /// Whether values are left out.
        keys_only: bool,
        /// Whether only the number of keys is returned.
        count_only: bool,
        /// Leaves out keys last changed before this revision; 0 for no bound.
        min_mod_revision: i64,
        /// Leaves out keys last changed after this revision; 0 for no bound.
        max_mod_revision: i64,
        /// Leaves out keys created before this revision; 0 for no bound.
        min_create_revision: i64,
        /// Leaves out keys created after this revision; 0 for no bound.
        max_create_revision: i64,
    }
}

impl Get {
    /// Reads one key or a range of them.
    #[must_use]
    pub fn new(keys: impl Into<KeyRange>) -> Self {
        let (key, range_end) = keys.into().into_parts();
        Self {
            key,
            range_end,
            ..Self::default()
        }
    }

    /// Returns at most `limit` pairs; 0 is no limit. [`GetResponse::more`] tells whether there were more.
    #[must_use]
    pub fn limit(mut self, limit: i64) -> Self {
        self.limit = limit;
        self
    }

    /// Reads the store as it was at `revision`; 0 is the newest.
    #[must_use]
    pub fn revision(mut self, revision: i64) -> Self {
        self.revision = revision;
        self
    }

    /// Sorts by `target`. The natural order is ascending by key.
    #[must_use]
    pub fn sort(mut self, target: SortTarget, order: SortOrder) -> Self {
        // Ascending by key is what a server returns anyway; asked for by name it first reads the whole range,
        // whatever the limit (Go's client drops it too: `client/v3/op.go`, `WithSort`).
        let natural = target == SortTarget::Key && order == SortOrder::Ascend;
        self.sort_order = if natural { SortOrder::None } else { order };
        self.sort_target = target;
        self
    }

    /// Lets the member answer from its own store: faster, available without a quorum, possibly stale.
    #[must_use]
    pub fn serializable(mut self) -> Self {
        self.serializable = true;
        self
    }

    /// Leaves the values out.
    #[must_use]
    pub fn keys_only(mut self) -> Self {
        self.keys_only = true;
        self
    }

    /// Returns only [`GetResponse::count`].
    #[must_use]
    pub fn count_only(mut self) -> Self {
        self.count_only = true;
        self
    }

    /// Leaves out keys last changed before `revision`. [`GetResponse::count`] is not affected.
    #[must_use]
    pub fn min_mod_revision(mut self, revision: i64) -> Self {
        self.min_mod_revision = revision;
        self
    }

    /// Leaves out keys last changed after `revision`. [`GetResponse::count`] is not affected.
    #[must_use]
    pub fn max_mod_revision(mut self, revision: i64) -> Self {
        self.max_mod_revision = revision;
        self
    }

    /// Leaves out keys created before `revision`. [`GetResponse::count`] is not affected.
    #[must_use]
    pub fn min_create_revision(mut self, revision: i64) -> Self {
        self.min_create_revision = revision;
        self
    }

    /// Leaves out keys created after `revision`. [`GetResponse::count`] is not affected.
    #[must_use]
    pub fn max_create_revision(mut self, revision: i64) -> Self {
        self.max_create_revision = revision;
        self
    }
}

message! {
    /// The answer to [`Get`]; `RangeResponse` in etcd's protocol.
    pub struct GetResponse {
        /// Who answered, and the revision of its store then.
        header: ResponseHeader,
        /// The pairs, in the order asked for.
        kvs: Vec<KeyValue>,
        /// Whether the limit cut pairs off.
        more: bool,
        /// How many keys the range holds, whatever limit and revision bounds leave of them.
        count: i64,
    }
}

impl GetResponse {
    /// The first pair: the pair, where one key was asked for.
    #[must_use]
    pub fn first(&self) -> Option<&KeyValue> {
        self.kvs.first()
    }
}

message! {
    /// Deletes keys; `DeleteRangeRequest` in etcd's protocol.
    ///
    /// ```
    /// use etcd_core::key::prefix;
    /// use etcd_core::message::Delete;
    ///
    /// let delete = Delete::new(prefix("config/")).prev_kv();
    /// assert!(delete.prev_kv);
    /// ```
    pub struct Delete {
        /// The first key.
        key: Bytes,
        /// The key after the last one; empty for `key` alone, a zero byte for no upper bound.
        range_end: Bytes,
        /// Whether the answer carries the deleted pairs.
        prev_kv: bool,
    }
}

impl Delete {
    /// Deletes one key or a range of them.
    #[must_use]
    pub fn new(keys: impl Into<KeyRange>) -> Self {
        let (key, range_end) = keys.into().into_parts();
        Self {
            key,
            range_end,
            prev_kv: false,
        }
    }

    /// Asks for the pairs that were deleted.
    #[must_use]
    pub fn prev_kv(mut self) -> Self {
        self.prev_kv = true;
        self
    }
}

message! {
    /// The answer to [`Delete`]; `DeleteRangeResponse` in etcd's protocol.
    pub struct DeleteResponse {
        /// Who answered, and the revision of its store after the deletion.
        header: ResponseHeader,
        /// How many keys were deleted.
        deleted: i64,
        /// The deleted pairs, if [`Delete::prev_kv`] asked for them.
        prev_kvs: Vec<KeyValue>,
    }
}

message! {
    /// Drops history; `CompactionRequest` in etcd's protocol.
    pub struct Compact {
        /// The oldest revision that stays readable.
        revision: i64,
        /// Whether to wait until the space is free in the member's database.
        physical: bool,
    }
}

impl Compact {
    /// Drops everything superseded before `revision`; reads at it still work.
    #[must_use]
    pub fn new(revision: i64) -> Self {
        Self {
            revision,
            physical: false,
        }
    }

    /// Waits until the compacted entries are gone from the database, not only hidden.
    #[must_use]
    pub fn physical(mut self) -> Self {
        self.physical = true;
        self
    }
}

message! {
    /// The answer to [`Compact`]; `CompactionResponse` in etcd's protocol.
    pub struct CompactResponse {
        /// Who answered.
        header: ResponseHeader,
    }
}

message! {
    /// A [`Get`] whose answer comes in pieces (etcd 3.7 and newer, gRPC only); the members are those of `Get`.
    pub struct RangeStream {
        /// The first key.
        key: Bytes,
        /// The key after the last one, as in [`Get::range_end`].
        range_end: Bytes,
        /// The most pairs to return, 0 for all.
        limit: i64,
        /// The revision to read at, 0 or less for the newest.
        revision: i64,
        /// Whether the member may answer from its own store.
        serializable: bool,
        /// Whether values are left out.
        keys_only: bool,
    }
}

message! {
    /// One piece of the answer to [`RangeStream`].
    pub struct RangeStreamResponse {
        /// A disjoint slice of the pairs; header, count and more are set in the last piece only.
        range_response: GetResponse,
    }
}
