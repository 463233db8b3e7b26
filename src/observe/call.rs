//! The beginning of an observation: the range is read.

use std::fmt;
use std::future::IntoFuture;

use etcd_core::error::{Error, Result, Timeout, TimeoutPhase};
use etcd_core::key::KeyRange;
use etcd_core::machine::{BufferLimits, Observation, ObservationStatus, ObservationStep};
use etcd_core::runtime::BoxFuture;

use super::Observe;
use crate::Client;
use crate::client::lock;

/// An observation that begins when it is awaited. Made by [`Client::observe`].
///
/// Awaiting it reads the range.
///
/// # Errors
///
/// What ends every [`Call`](crate::Call).
///
/// Cancel safe.
#[must_use = "nothing is read until this is awaited"]
#[derive(Clone)]
pub struct ObserveCall {
    client: Client,
    keys: KeyRange,
    has_prev_kv: bool,
    backlog: BufferLimits,
}

/// How much may lie untaken unless something else is said.
const BACKLOG: BufferLimits = BufferLimits {
    events: 1 << 20,
    bytes: 1 << 28,
};

impl ObserveCall {
    pub(crate) fn new(client: Client, keys: KeyRange) -> Self {
        Self {
            client,
            keys,
            has_prev_kv: false,
            backlog: BACKLOG,
        }
    }

    /// Has each event tell the pair before it, synthetic ones too, and whatever history still has. The pairs of the range are
    /// kept in memory for that; otherwise, only its keys are.
    pub fn prev_kv(mut self) -> Self {
        self.has_prev_kv = true;
        self
    }

    /// How many changes [`caught_up`](Observe::caught_up) may receive that nobody takes. Once they reach a limit before it is done, it
    /// fails with [`BacklogFull`](etcd_core::error::WatchError::BacklogFull), and nothing is lost. By default 1,048,576
    /// events and 256 MiB.
    ///
    /// The last item received may go beyond a limit, by all there is in one message, or, after a compaction, in the range.
    /// Nothing else receives changes before they are asked for: the watch they come from buffers what
    /// [`BufferLimits::default`] allows, and waits then.
    pub fn backlog_limits(mut self, limits: BufferLimits) -> Self {
        self.backlog = limits;
        self
    }

    async fn begin(self) -> Result<Observe> {
        let logs_in = lock(&self.client.shared.session).can_log_in();
        let mut machine = Observation::new(self.keys).with_login(logs_in);
        if self.has_prev_kv {
            machine = machine.with_prev_kv();
        }
        let runtime = self.client.shared.runtime.clone();
        let first = loop {
            match machine.poll_step(runtime.now()) {
                ObservationStep::List(get) => match self.client.call(get).await {
                    Ok(page) => {
                        if let Some(first) = machine.handle_page(page) {
                            break first;
                        }
                    }
                    Err(error) => machine.handle_list_failed(runtime.now(), error, runtime.entropy()),
                },
                ObservationStep::Fail(error) => return Err(error),
                // Whoever waits for the beginning is told what is in the way of it.
                _ => {
                    let ObservationStatus::Interrupted { cause, .. } = machine.status() else {
                        return Err(Timeout::new(TimeoutPhase::Queue).into());
                    };
                    return Err(Error::clone(&cause));
                }
            }
        };
        Ok(Observe::new(self.client, machine, first, self.backlog))
    }
}

impl IntoFuture for ObserveCall {
    type Output = Result<Observe>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}

impl fmt::Debug for ObserveCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveCall")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
