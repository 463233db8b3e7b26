//! Every checker against histories that break its promise, and against those that only look as if they did.

#![allow(clippy::unwrap_used, clippy::field_reassign_with_default)]

mod history;
mod leases;
mod observers;
mod store;
mod watch_completeness;
mod watch_content;
mod watch_order;
mod writes;
