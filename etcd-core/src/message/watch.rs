//! The messages of the watch stream.

use bytes::Bytes;

use super::{KeyValue, ResponseHeader};
use crate::codec::{message, oneof, open_enum};
use crate::key::KeyRange;

oneof! {
    /// What a client says on the watch stream; `WatchRequest` in etcd's protocol.
    pub enum Watch {
        /// Starts a watch.
        Create(WatchCreate) as "create_request",
        /// Ends a watch.
        Cancel(WatchCancel) as "cancel_request",
        /// Asks how far the stream has got.
        Progress(WatchProgress) as "progress_request",
    }
}

open_enum! {
    /// Which events a watch leaves out.
    pub enum WatchFilter {
        /// Leaves out puts.
        NoPut = 0 "NOPUT",
        /// Leaves out deletions.
        NoDelete = 1 "NODELETE",
    }
}

message! {
    /// Starts a watch; `WatchCreateRequest` in etcd's protocol.
    pub struct WatchCreate {
        /// The first key.
        key: Bytes,
        /// The key after the last one, as in [`Get::range_end`](super::Get::range_end).
        range_end: Bytes,
        /// The first revision of interest, 0 for what comes after the creation.
        start_revision: i64,
        /// Whether the server says now and then how far it has got when there is no event.
        progress_notify: bool,
        /// What is left out.
        filters: Vec<WatchFilter>,
        /// Whether events carry the pair as it was before.
        prev_kv: bool,
        /// The watch's id on this stream, 0 to let the server choose.
        watch_id: i64,
        /// Whether the server may split a large message.
        fragment: bool,
    }
}

impl WatchCreate {
    /// Watches one key or a range of them.
    #[must_use]
    pub fn new(keys: impl Into<KeyRange>) -> Self {
        let (key, range_end) = keys.into().into_parts();
        Self {
            key,
            range_end,
            ..Self::default()
        }
    }

    /// Starts with the events of `revision`, which may lie in the past or in the future.
    #[must_use]
    pub fn start_revision(mut self, revision: i64) -> Self {
        self.start_revision = revision;
        self
    }

    /// Asks for progress notifications.
    #[must_use]
    pub fn progress_notify(mut self) -> Self {
        self.progress_notify = true;
        self
    }

    /// Leaves events out.
    #[must_use]
    pub fn filter(mut self, filter: WatchFilter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Asks for the previous pair with each event.
    #[must_use]
    pub fn prev_kv(mut self) -> Self {
        self.prev_kv = true;
        self
    }

    /// Chooses the watch's id.
    #[must_use]
    pub fn watch_id(mut self, id: i64) -> Self {
        self.watch_id = id;
        self
    }

    /// Lets the server split large messages.
    #[must_use]
    pub fn fragment(mut self) -> Self {
        self.fragment = true;
        self
    }
}

message! {
    /// Ends a watch; `WatchCancelRequest` in etcd's protocol.
    pub struct WatchCancel {
        /// The watch's id.
        watch_id: i64,
    }
}

impl WatchCancel {
    /// Ends the watch `id`.
    #[must_use]
    pub fn new(id: i64) -> Self {
        Self { watch_id: id }
    }
}

message! {
    /// Asks how far the stream has got; `WatchProgressRequest` in etcd's protocol.
    pub struct WatchProgress {}
}

message! {
    /// What the server says on the watch stream.
    pub struct WatchResponse {
        /// Who answered, and the revision of its store: for a progress notification, the revision up to which
        /// the watch has seen everything.
        header: ResponseHeader,
        /// The watch, -1 for answers that concern none or no existing one.
        watch_id: i64,
        /// Whether this answers a [`WatchCreate`].
        created: bool,
        /// Whether the watch has ended.
        canceled: bool,
        /// Where a watch must start that began in compacted history; 0 if that is not what ended it.
        compact_revision: i64,
        /// Why the server ended the watch.
        cancel_reason: String,
        /// Whether more messages follow for the same revisions.
        fragment: bool,
        /// What happened.
        events: Vec<Event>,
    }
    long events
}

open_enum! {
    /// What happened to a key.
    pub enum EventType {
        /// It was written.
        Put = 0 "PUT",
        /// It was deleted, or its lease ended.
        Delete = 1 "DELETE",
    }
}

message! {
    /// One change of one key.
    pub (keyed) struct Event {
        /// What happened.
        event_type as "type": EventType,
        /// The pair after a put; for a deletion, the key and the revision that deleted it.
        kv: KeyValue,
        /// The pair before, if the watch asks for it and history still has it.
        prev_kv: Option<KeyValue>,
    }
}

impl Event {
    /// Whether the key came to be: it was put, and was not there before (`IsCreate` in `client/v3/watch.go`).
    ///
    /// ```
    /// use etcd_core::message::Event;
    ///
    /// let mut event = Event::default(); // a put
    /// (event.kv.create_revision, event.kv.mod_revision) = (7, 7);
    /// assert!(event.is_create());
    /// event.kv.mod_revision = 9;
    /// assert!(event.is_modify());
    /// ```
    #[must_use]
    pub fn is_create(&self) -> bool {
        self.event_type == EventType::Put && self.kv.create_revision == self.kv.mod_revision
    }

    /// Whether a key that was there was put (`IsModify` in `client/v3/watch.go`).
    #[must_use]
    pub fn is_modify(&self) -> bool {
        self.event_type == EventType::Put && !self.is_create()
    }

    /// Whether the key is gone: it was deleted, or its lease ended.
    #[must_use]
    pub fn is_delete(&self) -> bool {
        self.event_type == EventType::Delete
    }
}
