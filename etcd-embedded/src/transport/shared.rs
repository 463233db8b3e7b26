//! The gateway, and who waits for it to say something.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::{ExchangeId, Gateway, GatewayEvent};

/// What all parts of a transport share.
pub(super) struct Shared(Mutex<State>);

struct State {
    gateway: Gateway,
    mailboxes: BTreeMap<ExchangeId, Mailbox>,
    /// The deadline that the task for it knows of.
    armed: Option<Instant>,
    deadlines: Option<Waker>,
}

/// What has been said to an exchange and not been fetched yet.
#[derive(Default)]
struct Mailbox {
    events: VecDeque<GatewayEvent>,
    reader: Option<Waker>,
    /// The task that sends the request body.
    upload: Option<Waker>,
}

impl Shared {
    pub(super) fn new(gateway: Gateway) -> Self {
        Self(Mutex::new(State {
            gateway,
            mailboxes: BTreeMap::new(),
            armed: None,
            deadlines: None,
        }))
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&Gateway) -> T) -> T {
        look(&self.lock().gateway)
    }

    /// Begins an exchange.
    pub(super) fn begin(&self, now: Instant, head: &http::Request<()>) -> ExchangeId {
        self.act(|state| {
            let id = state.gateway.handle_request(now, head);
            state.mailboxes.insert(id, Mailbox::default());
            id
        })
    }

    pub(super) fn feed(&self, now: Instant, id: ExchangeId, data: &[u8]) {
        self.act(|state| state.gateway.handle_body(now, id, data));
    }

    pub(super) fn feed_end(&self, now: Instant, id: ExchangeId) {
        self.act(|state| state.gateway.handle_end(now, id));
    }

    /// Ends an exchange that nobody reads any more.
    pub(super) fn disconnect(&self, now: Instant, id: ExchangeId) {
        let mailbox = self.act(|state| {
            state.gateway.handle_disconnect(now, id);
            state.mailboxes.remove(&id)
        });
        if let Some(upload) = mailbox.and_then(|mailbox| mailbox.upload) {
            upload.wake();
        }
    }

    /// Ends every exchange with what a server says that was asked to end.
    #[cfg(feature = "listen")]
    pub(super) fn shut_down(&self, now: Instant) {
        self.act(|state| state.gateway.handle_shutdown(now));
    }

    /// The next thing said to an exchange.
    pub(super) fn poll_event(&self, cx: &mut Context<'_>, id: ExchangeId) -> Poll<Option<GatewayEvent>> {
        let mut state = self.lock();
        let Some(mailbox) = state.mailboxes.get_mut(&id) else {
            return Poll::Ready(None);
        };
        match mailbox.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None => {
                mailbox.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether an exchange still goes on; if so, its upload is woken when it no longer does.
    pub(super) fn register_upload(&self, cx: &Context<'_>, id: ExchangeId) -> bool {
        let mut state = self.lock();
        let Some(mailbox) = state.mailboxes.get_mut(&id) else {
            return false;
        };
        mailbox.upload = Some(cx.waker().clone());
        true
    }

    /// Does what is due at `now`; tells when the next thing is.
    pub(super) fn run_deadlines(&self, cx: &Context<'_>, now: Instant) -> Option<Instant> {
        self.act(|state| {
            state.gateway.handle_timeout(now);
            state.deadlines = Some(cx.waker().clone());
            state.armed = state.gateway.poll_timeout();
            state.armed
        })
    }

    /// Does something to the gateway, and wakes whoever it said something to.
    fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state);
        let mut wakers = state.deliver();
        wakers.extend(state.rearm());
        drop(state);
        for waker in wakers {
            waker.wake();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic within the gateway leaves it as it was at that moment; there is nothing better to go on with.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn deliver(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(output) = self.gateway.poll_output() {
            // Whoever has gone away is not told.
            if let Some(mailbox) = self.mailboxes.get_mut(&output.exchange) {
                mailbox.events.push_back(output.event);
                wakers.extend(mailbox.reader.take());
            }
        }
        wakers
    }

    /// Wakes the task for the deadlines if the next one is earlier than it knows.
    fn rearm(&mut self) -> Option<Waker> {
        let next = self.gateway.poll_timeout()?;
        if self.armed.is_some_and(|armed| armed <= next) {
            return None;
        }
        self.armed = Some(next);
        self.deadlines.take()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        // So that it sees that there is nothing left to do.
        if let Some(deadlines) = state.deadlines.take() {
            deadlines.wake();
        }
    }
}
