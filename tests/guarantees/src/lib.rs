//! What etcd and its client promise, as checkers over recorded histories.
//!
//! *Does*: records what writers did and what watchers, observers and lease holders were told ([`Recorder`]), and holds
//! that against what truly happened ([`History`]): [`Record::check`].
//!
//! *Does not*: run anything, read clocks, know a transport. The simulation and the tests on real servers use it alike.
//!
//! The properties of watches are those of etcd's robustness suite (`tests/robustness/validate/watch.go`), and stricter
//! where the client promises more; [`Property`] lists them all.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use etcd_core::message::{Event, EventType};
//! use etcd_guarantees::{History, Property, Recorder, WatchRequest};
//!
//! fn put(key: &'static str, revision: i64) -> Event {
//!     let mut event = Event::default();
//!     event.kv.key = key.into();
//!     (event.kv.create_revision, event.kv.mod_revision, event.kv.version) = (revision, revision, 1);
//!     event
//! }
//! // What happened: read from revision 1 by a watcher that no fault touches.
//! let history = History::new([put("a", 2), put("b", 3), put("c", 4)])?;
//!
//! // What the watcher under test was told.
//! let now = Instant::now();
//! let recorder = Recorder::new(now);
//! let watch = recorder.watch("watch 1", WatchRequest::new(..));
//! watch.started(now, 2);
//! watch.batch(now + Duration::from_secs(1), [put("a", 2)]);
//! watch.reopened(now + Duration::from_secs(2), 4);
//! watch.batch(now + Duration::from_secs(3), [put("c", 4)]);
//!
//! let violations = recorder.record().check(&history).unwrap_err();
//! assert!(violations.of(Property::Resumable).next().is_some(), "\"b\" is lost: {violations}");
//! # Ok::<(), etcd_guarantees::Incomplete>(())
//! ```

mod check;
mod history;
mod record;
mod recorder;
mod show;
mod violation;

pub use history::{History, Incomplete};
pub use record::lease::{HolderState, LeaseEnd, LeaseItem, LeaseRecord};
pub use record::observer::{ObserverItem, ObserverRecord};
pub use record::watch::{Policy, WatchItem, WatchRecord, WatchRequest};
pub use record::write::{Effect, Outcome, WriteRecord};
pub use record::{Record, Timed};
pub use recorder::{LeaseRecorder, ObserverRecorder, Recorder, WatchRecorder, WriteRecorder};
pub use violation::{At, Detail, Property, Violation, Violations};
