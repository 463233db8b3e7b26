//! What an error means for the caller: whose fault, what became of the request, whether to try again.

/// What sending a request a second time can do.
///
/// Every RPC has one; it decides which failures may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// Changes nothing: may be sent again after any failure.
    Read,
    /// Changes something, but twice is the same as once: revoking a lease, a lock taken under a given lease.
    Idempotent,
    /// Twice may differ from once: sent again only if it provably was not applied.
    Write,
}

/// Who has to change something for the request to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The caller: the request, or what it assumes of the cluster's state, does not hold. The same request
    /// fails again until one of the two changes.
    Caller,
    /// The etcd cluster: it understood the request and cannot serve it now.
    Server,
    /// The way there: a connection that could not be made, broke, or went silent.
    Network,
    /// Whoever answered: not etcd, or not an etcd that keeps to its protocol.
    Peer,
}

/// What became of the request on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It provably had no effect: it never arrived, or it was rejected before it was applied.
    NotApplied,
    /// It may have been applied, entirely or in part, now or a moment later.
    Unknown,
}

/// What gives the request a chance to succeed, regardless of whether sending it again is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// Nothing: the answer will be the same.
    Never,
    /// Another member may serve it at once; the same one may, after a pause.
    Elsewhere,
    /// Every member will say the same for now: pause first.
    Later,
    /// A new token: authenticate, then send it again.
    AfterLogin,
}
