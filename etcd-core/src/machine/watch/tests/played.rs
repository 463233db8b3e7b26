//! A connection against a server that is played by hand, and what that server says.

use std::time::{Duration, Instant};

use super::super::{WatchConnection, WatchId, WatchMode, WatchOrigin, WatchOutput, WatchStep, WatchTimes};
use crate::error::Error;
use crate::key::prefix;
use crate::machine::Backoff;
use crate::message::{Event, Watch, WatchCreate, WatchResponse};
use crate::transport::{Delivery, TransportError, TransportErrorKind};

/// A connection, its clock, and what it said.
pub(super) struct Played {
    pub(super) connection: WatchConnection,
    pub(super) now: Instant,
    outputs: Vec<(WatchId, WatchOutput)>,
}

impl Played {
    pub(super) fn new() -> Self {
        Self::in_mode(WatchMode::Duplex)
    }

    /// Of a client with credentials.
    pub(super) fn logging_in() -> Self {
        let mut played = Self::new();
        played.connection = played.connection.with_login(true);
        played
    }

    pub(super) fn in_mode(mode: WatchMode) -> Self {
        Self {
            connection: WatchConnection::new(mode, WatchTimes::default(), 1 << 20),
            now: Instant::now(),
            outputs: Vec::new(),
        }
    }

    pub(super) fn watch(&mut self, start: i64) -> WatchId {
        self.watch_from(start, WatchOrigin::Given)
    }

    pub(super) fn watch_from(&mut self, start: i64, origin: WatchOrigin) -> WatchId {
        let create = WatchCreate::new(prefix("k/")).start_revision(start);
        self.connection.handle_create(create, origin)
    }

    pub(super) fn step(&mut self) -> WatchStep {
        self.take_outputs();
        self.connection.poll_step(self.now, 0)
    }

    /// Opens the stream that the connection wants and sees the greeting through, as a server that answers requests for
    /// progress in order.
    pub(super) fn open(&mut self) {
        self.open_with_answers(false);
    }

    /// The same once the pause before it is over.
    pub(super) fn open_after_pause(&mut self) {
        self.now += Backoff::CEILING;
        self.open();
    }

    pub(super) fn open_with_answers(&mut self, at_once: bool) {
        let first = match self.step() {
            WatchStep::Open { first, .. } => first,
            step => panic!("{step:?}"),
        };
        self.connection.handle_opened(self.now);
        let first = question_id(&first);
        self.hear(refused(first, "mvcc: watcher range is empty"));
        assert!(matches!(self.sent(), Some(Watch::Progress(_))));
        let second = question_id(&self.sent().unwrap());
        if at_once {
            self.hear(progress(-1, 1));
        }
        self.hear(refused(second, "mvcc: watcher range is empty"));
    }

    /// The next message it sends, if it sends one.
    pub(super) fn sent(&mut self) -> Option<Watch> {
        match self.step() {
            WatchStep::Send(message) => Some(message),
            WatchStep::Wait { .. } => None,
            step => panic!("{step:?}"),
        }
    }

    pub(super) fn sent_create(&mut self) -> WatchCreate {
        match self.sent() {
            Some(Watch::Create(create)) => create,
            other => panic!("{other:?}"),
        }
    }

    /// It asks whether anybody is there, perhaps after it has asked for progress.
    pub(super) fn question(&mut self) -> i64 {
        match self.sent() {
            Some(Watch::Progress(_)) => self.question(),
            sent => question_id(&sent.unwrap()),
        }
    }

    pub(super) fn sent_cancel(&mut self) -> i64 {
        match self.sent() {
            Some(Watch::Cancel(cancel)) => cancel.watch_id,
            other => panic!("{other:?}"),
        }
    }

    /// A watch that is alive, and its id on the stream.
    pub(super) fn live(&mut self, start: i64) -> (WatchId, i64) {
        let id = self.watch(start);
        let wire = self.sent_create().watch_id;
        self.hear(created(wire, start));
        (id, wire)
    }

    pub(super) fn hear(&mut self, message: WatchResponse) {
        self.connection.handle_message(self.now, message, 0);
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// What watches were told since the last time, but that they are gone.
    pub(super) fn told(&mut self) -> Vec<(WatchId, WatchOutput)> {
        self.take_outputs();
        let told = std::mem::take(&mut self.outputs).into_iter();
        told.filter(|(_, output)| !matches!(output, WatchOutput::Left))
            .collect()
    }

    /// The watches that are gone since the last time anything was taken.
    pub(super) fn left(&mut self) -> Vec<WatchId> {
        self.take_outputs();
        let told = std::mem::take(&mut self.outputs).into_iter();
        told.filter(|(_, output)| matches!(output, WatchOutput::Left))
            .map(|(id, _)| id)
            .collect()
    }

    pub(super) fn take_outputs(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            self.outputs.push(output);
        }
    }

    /// The one error that watches were told, and by which.
    pub(super) fn ended(&mut self) -> (WatchId, Error) {
        let mut ended = self.told().into_iter().filter_map(|(id, output)| match output {
            WatchOutput::Ended(error) => Some((id, error)),
            _ => None,
        });
        let (Some(first), None) = (ended.next(), ended.next()) else {
            panic!("not one end");
        };
        first
    }

    pub(super) fn revisions(&mut self) -> Vec<Vec<i64>> {
        let told = self.told().into_iter();
        told.filter_map(|(_, output)| match output {
            WatchOutput::Batch(batch) => {
                Some(batch.events().iter().map(|event| event.kv.mod_revision).collect())
            }
            _ => None,
        })
        .collect()
    }

    /// The stream breaks; the next one is wanted after a pause.
    pub(super) fn cut(&mut self) {
        self.connection.handle_closed(self.now, broken(), 0);
        assert!(matches!(self.step(), WatchStep::Wait { until: Some(_) }));
        self.pass(Duration::from_secs(1));
    }
}

/// Where a watch stands that is created anew.
pub(super) fn position(create: &WatchCreate) -> i64 {
    create.start_revision + 1
}

pub(super) fn broken() -> Error {
    TransportError::new(TransportErrorKind::Closed, Delivery::MaybeSent).into()
}

pub(super) fn question_id(message: &Watch) -> i64 {
    match message {
        Watch::Create(create) if create.key == create.range_end && !create.key.is_empty() => create.watch_id,
        other => panic!("not a question: {other:?}"),
    }
}

pub(super) fn response(watch_id: i64, revision: i64) -> WatchResponse {
    let mut message = WatchResponse {
        watch_id,
        ..WatchResponse::default()
    };
    message.header.revision = revision;
    message
}

pub(super) fn created(watch_id: i64, revision: i64) -> WatchResponse {
    let mut message = response(watch_id, revision);
    message.created = true;
    message
}

pub(super) fn progress(watch_id: i64, revision: i64) -> WatchResponse {
    response(watch_id, revision)
}

/// As 3.4, and 3.5 and newer but for 3.5.1, refuse: under the id -1.
pub(super) fn refused(_: i64, reason: &str) -> WatchResponse {
    refused_under(-1, reason)
}

pub(super) fn refused_under(watch_id: i64, reason: &str) -> WatchResponse {
    let mut message = created(watch_id, 1);
    message.canceled = true;
    message.cancel_reason = reason.to_owned();
    message
}

pub(super) fn canceled(watch_id: i64) -> WatchResponse {
    let mut message = response(watch_id, 1);
    message.canceled = true;
    message
}

pub(super) fn events(watch_id: i64, header: i64, revisions: &[i64]) -> WatchResponse {
    let mut message = response(watch_id, header);
    message.events = revisions
        .iter()
        .map(|revision| {
            let mut event = Event::default();
            event.kv.mod_revision = *revision;
            event
        })
        .collect();
    message
}

pub(super) fn piece(mut message: WatchResponse) -> WatchResponse {
    message.fragment = true;
    message
}

pub(super) const NO_TOKEN: &str = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";
pub(super) const DENIED: &str = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
