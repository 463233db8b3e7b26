//! All watches of one connection.
//!
//! # The connection
//!
//! ```text
//!                    a watch is to be                  handle_opened
//!    Closed(rest) ─────────────────▶ Opening ──────────────────────────────▶ Open
//!       ▲  ▲                          │  ▲                                     │
//!       │  │            handle_closed │  │ the pause is over                   │ handle_closed, silence, what cannot
//!       │  │                          ▼  │                                     │ be followed, a stale token
//!       │  └── no watch is left ── Closed(retry at) ◀──────────────────────────┤
//!       │                                                                      │
//!       └───────────────────────────────── no watch is left ───────────────────┘
//! ```
//!
//! # A watch
//!
//! ```text
//!                        sent          created
//!    handle_create ─▶ Queued ─▶ Creating ─▶ Live ──── events, progress: the position moves on
//!                      ▲ ▲ ▲       │          │
//!                      │ │ └───────┴──────────┤ the stream ends; ended by the server without a reason
//!       handle_room    │ │                    │
//!         Paused ──────┘ │                    ├─ handle_full: cancelled on the server ─▶ Paused
//!                        │                    │
//!         Checking ──────┘ ◀── refused ───────┤
//!             │  a read of its keys works     │
//!             └─ it does not ─▶ Ended ◀───────┘ compacted, refused for good, another cluster, handle_cancel
//! ```
//!
//! # The rules, and why
//!
//! 1. **Every creation has an id of its own that is never used again.** What is said of an earlier life of a watch cannot
//!    be taken for its present one. The id is never 0: 3.5.1 reports a refused creation under the id asked for, 0 if none
//!    was, and mutes the watch that has it.
//! 2. **Every creation names its start revision.** With 0, a server starts after whatever it has by then; what was
//!    written since the watch was asked for, or since the last stream broke, would be lost.
//!    It names the one before its position: servers lose deletions at the revision they compact at (etcd's issue 19179).
//! 3. **The next revision is the last event's plus one**, not the header's plus one: a server sends a watch that lies
//!    behind 1,000 revisions at a time, under the header of the newest (`watchBatchMaxRevs`).
//! 4. **Events below the position are dropped.** Servers were seen to send some twice (etcd's issues 17247, 20221).
//! 5. **A revision is never split.** Servers send all events of a revision for a watch in one message (`eventBatch.add` in
//!    `watcher_group.go` stops only between revisions), or in pieces marked so, which are held until the last.
//! 6. **A message with neither events nor a flag, under a watch's own id, is its progress**; it comes after all events
//!    before it. One under -1 answers a request, and counts only if the server is one that answers in order, and only
//!    for watches that had been created when the request was sent; see `stream`.
//! 7. **Creations are answered in their order**, which tells which one an answer under -1 refuses.
//! 8. **Positions move on even where nothing happens**: every creation asks for progress notifications, and where answers
//!    to requests can be believed, they are asked for every minute. A watch that stands still would be overtaken by
//!    compaction, and could not be created anew though it missed nothing.
//! 9. **A server whose revision is lower than one that was seen is asked for a linearizable read**: a member that lags
//!    behind will catch up, a cluster that lost its history must not make a watch wait for ever.

mod batch;
mod buffer;
mod connection;
mod patience;
mod stream;
mod terms;
mod token;
mod watched;

pub use batch::EventBatch;
pub(super) use batch::event_bytes;
pub use buffer::{BatchBuffer, BufferLimits, BufferPolicy, Offered, Taken};
pub use connection::WatchConnection;
pub use terms::{ConnectionStatus, WatchId, WatchMode, WatchOrigin, WatchOutput, WatchStep, WatchTimes};
pub use token::ResumeToken;

#[cfg(test)]
mod tests;
