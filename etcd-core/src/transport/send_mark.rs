//! How far a request has got while it is still under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Delivery;

/// Tells the client, in the extensions of a request, whether an exchange it gave up had sent anything.
///
/// An exchange that is dropped at its deadline returns no [`TransportError`](super::TransportError) to ask. A
/// write that was still waiting for a connection then provably was not applied; without this mark the client has to
/// report its outcome as unknown. A transport that does not know the mark leaves it as it is, which claims nothing.
///
/// ```text
///    Unclaimed ── hold ──▶ Held ── sent ──▶ Sent
///                           ▲                │ hold: it came back unsent
///                           └────────────────┘
/// ```
#[derive(Clone, Debug, Default)]
pub struct SendMark(Arc<AtomicU8>);

/// The states; 0 is `Unclaimed`.
const HELD: u8 = 1;
const SENT: u8 = 2;

impl SendMark {
    /// For the transport: not one byte of the request has been handed to a socket, and
    /// [`sent`](Self::sent) will be called before one is.
    pub fn hold(&self) {
        self.0.store(HELD, Ordering::Release);
    }

    /// For the transport: bytes of the request may be on their way from now on.
    pub fn sent(&self) {
        self.0.store(SENT, Ordering::Release);
    }

    /// For the client: [`Delivery::NotSent`] only where the transport says so.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        if self.0.load(Ordering::Acquire) == HELD {
            Delivery::NotSent
        } else {
            Delivery::MaybeSent
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_transport_that_claims_the_mark_can_say_not_sent() {
        let mark = SendMark::default();
        let at_the_transport = mark.clone();
        assert_eq!(mark.delivery(), Delivery::MaybeSent);
        at_the_transport.hold();
        assert_eq!(mark.delivery(), Delivery::NotSent);
        at_the_transport.sent();
        assert_eq!(mark.delivery(), Delivery::MaybeSent);
        at_the_transport.hold();
        assert_eq!(mark.delivery(), Delivery::NotSent);
    }
}
