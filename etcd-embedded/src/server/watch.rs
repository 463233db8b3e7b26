//! The watch service: what ties its streams to the server.

use bytes::Bytes;
use etcd_core::error::EtcdError;
use etcd_core::message::Watch;

use super::{CallId, Server, jitter};
use crate::auth::Access;
use crate::watch::Denial;
use crate::{Dialect, Response};

impl Server {
    pub(super) fn open_watch(&mut self, call: CallId) {
        let mut random = self.random.clone();
        self.watches
            .open(self.now, call, &mut |bound| jitter(&mut random, bound));
        self.random = random;
    }

    pub(super) fn take_watch(&mut self, call: CallId, token: Option<&str>, message: Watch) {
        let identity = match message {
            Watch::Create(_) => self.identity(token),
            _ => Ok(None),
        };
        let (users, dialect) = (&self.state.users, self.config.dialect);
        let permission = |key: &Bytes, range_end: &Bytes| {
            // Who may read a key may watch everything from it on: repaired only in 3.5.33 (commit e863b001b).
            let range_end = if range_end == "\0" {
                &Bytes::new()
            } else {
                range_end
            };
            let permitted =
                identity.and_then(|identity| users.check(identity.as_ref(), Access::Read, key, range_end));
            permitted.map_err(|error| match (dialect, error) {
                (Dialect::G1_16, _) => Denial::Ambiguous,
                (_, EtcdError::InvalidAuthToken | EtcdError::AuthOldRevision | EtcdError::UserEmpty) => {
                    Denial::Clear(error.into())
                }
                _ => Denial::Clear(EtcdError::PermissionDenied.into()),
            })
        };
        let mut random = self.random.clone();
        self.watches.handle_message(
            self.now,
            call,
            message,
            &self.state.store,
            &mut |bound| jitter(&mut random, bound),
            permission,
        );
        self.random = random;
        self.flush_watches();
    }

    /// Passes on what the watches have to say.
    pub(super) fn flush_watches(&mut self) {
        while let Some((call, mut message)) = self.watches.poll_output() {
            message.header = self.header_at(message.header.revision);
            self.send(call, Response::Watch(message));
        }
    }
}
