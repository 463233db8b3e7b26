//! Logging in, once for all calls that need it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use etcd_core::error::{Error, EtcdError, Fault, ProtocolError, Result, ServerError, Timeout, TimeoutPhase};
use etcd_core::message::Authenticate;
use etcd_core::rpc::Request;

use crate::call::CallOptions;
use crate::client::{Shared, lock};
use crate::exchange::{race, unary};

/// Logs in, once for all calls that wait for it.
pub(crate) async fn log_in(shared: &Arc<Shared>, deadline: Instant) -> Result<()> {
    let Some(credentials) = &shared.settings.credentials else {
        return Ok(());
    };
    let refusals_before = lock(&shared.refusals).count;
    let mut give_up = pin!(shared.deadlines.reached(deadline));
    let timeout = || Error::from(Timeout::new(TimeoutPhase::Queue));
    let Some(_turn) = race(shared.login.lock(), give_up.as_mut()).await else {
        return Err(timeout());
    };
    if !lock(&shared.session).needs_login() {
        return Ok(());
    }
    // A wrong password is wrong for all that waited: a server takes long over each.
    if let Some(refusal) = lock(&shared.refusals).since(refusals_before) {
        return Err(Error::from(refusal).with_rpc(Authenticate::RPC.name, Authenticate::RPC.retry));
    }
    let options = CallOptions {
        timeout: Some(deadline.saturating_duration_since(shared.runtime.now())),
        anonymous: true,
        ..CallOptions::default()
    };
    let request = Authenticate::new(credentials.name.clone(), credentials.password.clone());
    // Boxed, because a login is itself a call.
    let login = Box::pin(unary(shared, &request, &options)).await;
    let mut session = lock(&shared.session);
    match login {
        Ok(response) => session.handle_login(&response.token).map_err(|_| {
            let expected = Authenticate::RPC.name;
            ProtocolError::Malformed { expected, offset: 0 }.into()
        }),
        Err(error) if error.etcd() == Some(EtcdError::AuthNotEnabled) => {
            session.handle_auth_disabled();
            Ok(())
        }
        Err(error) => {
            let refusal = error.server().filter(|refusal| refusal.fault() == Fault::Caller);
            lock(&shared.refusals).note(refusal);
            Err(error)
        }
    }
}

/// Logins that servers refused.
#[derive(Default)]
pub(crate) struct Refusals {
    count: u64,
    last: Option<ServerError>,
}

impl Refusals {
    fn note(&mut self, refusal: Option<&ServerError>) {
        if let Some(refusal) = refusal {
            self.count += 1;
            self.last = Some(refusal.clone());
        }
    }

    /// What was refused while somebody waited who knew of `count` refusals.
    fn since(&self, count: u64) -> Option<ServerError> {
        self.last.clone().filter(|_| self.count > count)
    }
}
