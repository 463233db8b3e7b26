//! Watches: changes of keys as they happen, however often connections break.
//!
//! ```text
//!   Watch, WatchHandle ── Members: the ranges of one Watch, their buffers
//!                             │ create, cancel, room          ▲ batches, positions, errors
//!                             ▼                               │
//!                         Connection: etcd-core's WatchConnection, behind a lock
//!                             ▲ what happened                 │ what to do
//!                             │                               ▼
//!                           Driver: a task, which has the stream, the timer and the reads
//! ```
//!
//! All watches of a client share one connection. It is opened for the first of them and closed after the last, and so is
//! its task. Locks are taken downwards only: a connection's, then that of a watch's members.

mod batch;
mod call;
mod connection;
mod driver;
mod handle;
mod member;
mod members;
mod stream;

pub use batch::WatchBatch;
pub use call::WatchCall;
pub(crate) use connection::Connections;
pub use handle::WatchHandle;
pub use stream::{Watch, WatchStatus};
