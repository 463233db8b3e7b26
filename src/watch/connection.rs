use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use etcd_core::error::Error;
use etcd_core::machine::{
    ConnectionStatus, WatchConnection, WatchId, WatchMode, WatchOrigin, WatchOutput, WatchStep,
};
use etcd_core::message::WatchCreate;
use futures_channel::oneshot;

use super::driver::Driver;
use super::member::Link;
use super::members::{Feedback, MemberId, Members};
use crate::client::{Shared, lock};

/// The connections of a client's watches: one for all, or, where that cannot be, one for each.
#[derive(Default)]
pub(crate) struct Connections(Mutex<Way>);

#[derive(Default)]
struct Way {
    shared: Option<Arc<Connection>>,
    single_until: Option<Instant>,
}

/// A way that carried no streams is tried again after this time: it may have been a server that was slow.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(600);

impl Connections {
    /// The connection for one more watch.
    fn get(&self, shared: &Arc<Shared>) -> Arc<Connection> {
        let mut way = lock(&self.0);
        if way.single_until.is_some_and(|until| shared.runtime.now() < until) {
            return Connection::new(shared, WatchMode::Single);
        }
        let connection = way
            .shared
            .get_or_insert_with(|| Connection::new(shared, WatchMode::Duplex));
        connection.clone()
    }

    /// For a while, each new watch has a connection of its own.
    fn fall_back(&self, now: Instant) {
        let mut way = lock(&self.0);
        way.single_until = Some(now + TRY_AGAIN_AFTER);
        way.shared = None;
    }
}

/// The machine of a connection, and whom its outputs are for.
pub(super) struct Connection(Mutex<State>);

struct State {
    machine: WatchConnection,
    sinks: BTreeMap<WatchId, (Arc<Members>, MemberId)>,
    /// Who waits for a watch to be gone.
    leaving: BTreeMap<WatchId, oneshot::Sender<()>>,
    is_driven: bool,
    driver: Option<Waker>,
}

/// What a driver is to do, and whom it is to wake first.
pub(super) struct Turn {
    pub(super) step: WatchStep,
    /// There is nothing left to drive: another driver will be made when there is.
    pub(super) is_over: bool,
}

impl Connection {
    fn new(shared: &Shared, mode: WatchMode) -> Arc<Self> {
        let max_bytes = shared.settings.max_response_bytes;
        let machine = WatchConnection::new(mode, shared.settings.watch_times, max_bytes);
        let logs_in = lock(&shared.session).can_log_in();
        Arc::new(Self(Mutex::new(State {
            machine: machine.with_login(logs_in),
            sinks: BTreeMap::new(),
            leaving: BTreeMap::new(),
            is_driven: false,
            driver: None,
        })))
    }

    /// Starts a watch for a range.
    pub(super) fn create(
        shared: &Arc<Shared>,
        members: &Arc<Members>,
        member: MemberId,
        create: WatchCreate,
        origin: WatchOrigin,
    ) {
        let connection = shared.watches.get(shared);
        connection.clone().add(shared, members, member, create, origin);
    }

    fn add(
        self: Arc<Self>,
        shared: &Arc<Shared>,
        members: &Arc<Members>,
        member: MemberId,
        create: WatchCreate,
        origin: WatchOrigin,
    ) {
        let (needs_driver, driver) = {
            let mut state = lock(&self.0);
            let id = state.machine.handle_create(create, origin);
            state.sinks.insert(id, (members.clone(), member));
            let link = Link {
                connection: self.clone(),
                id,
            };
            if !members.set_link(member, link) {
                // Whoever wanted it has gone meanwhile.
                state.machine.handle_cancel(id);
                state.sinks.remove(&id);
            }
            (
                !std::mem::replace(&mut state.is_driven, true),
                state.driver.take(),
            )
        };
        if needs_driver {
            let driver = Driver::new(shared.clone(), self);
            shared.runtime.spawn(Box::pin(driver));
        } else if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Ends a watch.
    pub(super) fn cancel(&self, id: WatchId) {
        self.tell(|state| {
            state.machine.handle_cancel(id);
            state.sinks.remove(&id);
        });
    }

    /// Ends a watch and waits until the server has.
    pub(super) fn cancel_and_wait(&self, id: WatchId) -> impl Future<Output = ()> + use<> {
        let (gone, when_gone) = oneshot::channel();
        self.tell(|state| {
            state.leaving.insert(id, gone);
            state.sinks.remove(&id);
            state.machine.handle_cancel(id);
        });
        async move {
            // A connection that is abandoned has no watches either.
            let _ = when_gone.await;
        }
    }

    /// Takes note that there is room for a watch's events.
    pub(super) fn handle_room(&self, id: WatchId) {
        self.tell(|state| state.machine.handle_room(id));
    }

    /// Asks the server how far it has got.
    pub(super) fn request_progress(&self) {
        self.tell(|state| state.machine.handle_progress_request());
    }

    pub(super) fn status(&self) -> ConnectionStatus {
        lock(&self.0).machine.status()
    }

    /// Whether the server can be believed about progress.
    pub(super) fn tells_progress(&self) -> Option<bool> {
        lock(&self.0).machine.tells_progress()
    }

    /// Has the driver see to what follows from this.
    fn tell(&self, what: impl FnOnce(&mut State)) {
        let mut wakers = Vec::new();
        {
            let mut state = lock(&self.0);
            what(&mut state);
            state.tell_watches(&mut wakers);
            wakers.extend(state.driver.take());
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Tells the machine what happened, and the watches what follows from it.
    pub(super) fn handle(&self, what: impl FnOnce(&mut WatchConnection)) {
        let mut wakers = Vec::new();
        {
            let mut state = lock(&self.0);
            what(&mut state.machine);
            state.tell_watches(&mut wakers);
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// What to do next.
    pub(super) fn turn(&self, now: Instant, entropy: u64, driver: &Waker, is_at_rest: bool) -> Turn {
        let mut wakers = Vec::new();
        let turn = {
            let mut state = lock(&self.0);
            let step = state.machine.poll_step(now, entropy);
            state.tell_watches(&mut wakers);
            let waits = matches!(step, WatchStep::Wait { .. });
            let is_over = waits && is_at_rest && state.machine.is_empty();
            state.is_driven = !is_over;
            state.driver = (!is_over).then(|| driver.clone());
            Turn { step, is_over }
        };
        wakers.into_iter().for_each(Waker::wake);
        turn
    }

    /// Gives each watch a connection of its own.
    pub(super) fn fall_back(&self, shared: &Arc<Shared>) {
        shared.watches.fall_back(shared.runtime.now());
        let moved = {
            let mut state = lock(&self.0);
            let mut sinks = std::mem::take(&mut state.sinks);
            let watches = state.machine.take_watches().into_iter();
            watches
                .filter_map(|(id, create, origin)| Some((sinks.remove(&id)?, create, origin)))
                .collect::<Vec<_>>()
        };
        for ((members, member), create, origin) in moved {
            Self::new(shared, WatchMode::Single).add(shared, &members, member, create, origin);
        }
    }

    /// The runtime dropped the driver: nobody will tell these watches anything any more.
    pub(super) fn abandon(&self, error: &Error) {
        let mut wakers = Vec::new();
        {
            let mut state = lock(&self.0);
            state.machine.handle_abandoned(error);
            state.tell_watches(&mut wakers);
            state.is_driven = false;
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn tell_watches(&mut self, wakers: &mut Vec<Waker>) {
        while let Some((id, output)) = self.machine.poll_output() {
            if let WatchOutput::Left = output {
                self.leaving.remove(&id).map(|gone| gone.send(()));
                continue;
            }
            let Some((members, member)) = self.sinks.get(&id) else {
                continue;
            };
            match members.handle_output(*member, output, wakers) {
                Feedback::None => {}
                Feedback::Full { from } => self.machine.handle_full(id, from),
                Feedback::Over => {
                    self.machine.handle_cancel(id);
                    self.sinks.remove(&id);
                }
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
