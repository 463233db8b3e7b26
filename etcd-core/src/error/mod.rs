//! The one error type of the client, and what it is made of.
//!
//! ```
//! use etcd_core::error::{Code, Error, ErrorKind, EtcdError, RetryClass, ServerError};
//!
//! let error = Error::from(ServerError::new(Code::Unavailable, "etcdserver: request timed out"))
//!     .with_rpc("KV/Put", RetryClass::Write)
//!     .with_endpoint("http://10.0.0.1:2379");
//!
//! // What went wrong:
//! assert!(matches!(error.kind(), ErrorKind::Server(error) if error.kind() == EtcdError::TimedOut));
//! // What it means: the put may be applied a moment later, so sending it again could apply it twice.
//! assert!(error.is_outcome_unknown());
//! assert!(!error.is_retry_safe());
//! ```

mod code;
mod etcd;
mod excerpt;
mod http_error;
mod integrity;
mod invalid_argument;
mod judgement;
mod lease_lost;
mod protocol;
mod response;
mod server;
mod timeout;
mod watch;

use std::error::Error as StdError;
use std::fmt;

pub use code::Code;
pub use etcd::{Definition, EtcdError};
pub use http_error::HttpError;
pub use integrity::{ClusterChanged, SnapshotError};
pub use invalid_argument::{InvalidArgument, InvalidEndpoint};
pub use judgement::{Fault, Outcome, Retry, RetryClass};
pub use lease_lost::{LeaseLost, LostReason};
pub use protocol::ProtocolError;
pub use response::MAX_ERROR_BODY;
pub use server::ServerError;
pub use timeout::{Timeout, TimeoutPhase};
pub use watch::WatchError;

use crate::key::KeyRange;
use crate::transport::{Delivery, TransportError, TransportErrorKind};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
///
/// [`kind`](Self::kind) says what happened; [`fault`](Self::fault), [`is_retry_safe`](Self::is_retry_safe)
/// and [`is_outcome_unknown`](Self::is_outcome_unknown) what it means. [`Display`](fmt::Display) shows one
/// level, with the call and the endpoint; what is below is [`source`](StdError::source).
///
/// It never shows the request: no key, no value, no password, no token. [`keys`](Self::keys) is the one thing of a request
/// that it holds, and is left out of both ways of printing it.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    endpoint: Option<Box<str>>,
    rpc: Option<&'static str>,
    class: RetryClass,
    keys: Option<KeyRange>,
}

/// What happened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request or a setting cannot work; nothing was sent.
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
    /// etcd answered with an error.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Something answered, in HTTP, that is not etcd's API.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer cannot be understood.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The exchange failed below the answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The deadline of the call passed.
    #[error(transparent)]
    Timeout(#[from] Timeout),
    /// The answer, or one message of a stream, is larger than the client is willing to take.
    #[error("the response is larger than the limit of {limit} bytes")]
    ResponseTooLarge {
        /// The limit, which is a setting of the client.
        limit: usize,
    },
    /// The cluster is not the one it was.
    #[error(transparent)]
    ClusterChanged(#[from] ClusterChanged),
    /// A snapshot did not arrive as it is on the server.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A watch ended, or does not do what it was asked for.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The lease that this depended on is lost.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
}

impl Error {
    /// An error that knows nothing yet of the call it ended; that call is taken for a write.
    #[must_use]
    pub fn new(kind: impl Into<ErrorKind>) -> Self {
        Self(Box::new(Inner {
            kind: kind.into(),
            endpoint: None,
            rpc: None,
            class: RetryClass::Write,
            keys: None,
        }))
    }

    /// Adds the call it ended, as `Service/Method`, and what sending that twice can do.
    #[must_use]
    pub fn with_rpc(mut self, rpc: &'static str, class: RetryClass) -> Self {
        self.0.rpc = Some(rpc);
        self.0.class = class;
        self
    }

    /// Adds the endpoint the request went to. A user and password in it are left out.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: &str) -> Self {
        self.0.endpoint = Some(without_userinfo(endpoint).into());
        self
    }

    /// Adds the range that was being watched.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyRange) -> Self {
        self.0.keys = Some(keys);
        self
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// What happened, taken out of the error.
    #[must_use]
    pub fn into_kind(self) -> ErrorKind {
        self.0.kind
    }

    /// The server's error, if that is what happened.
    #[must_use]
    pub fn server(&self) -> Option<&ServerError> {
        match &self.0.kind {
            ErrorKind::Server(error) => Some(error),
            _ => None,
        }
    }

    /// Which of etcd's errors it is, if it is one.
    #[must_use]
    pub fn etcd(&self) -> Option<EtcdError> {
        self.server().map(ServerError::kind)
    }

    /// The endpoint the request went to, without user or password.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.0.endpoint.as_deref()
    }

    /// The call that failed, as `Service/Method`, e.g. `KV/Put`.
    #[must_use]
    pub fn rpc(&self) -> Option<&'static str> {
        self.0.rpc
    }

    /// The range whose watch it ended, or kept from beginning: as it was asked for, so that it can be asked for again.
    /// `None` if it ended anything else.
    #[must_use]
    pub fn keys(&self) -> Option<&KeyRange> {
        self.0.keys.as_ref()
    }

    /// Who has to change something for the request to succeed.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.0.kind.fault()
    }

    /// What gives the request a chance to succeed. Whether it may be sent again is another question:
    /// [`is_retry_safe`](Self::is_retry_safe).
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.kind.retry()
    }

    /// Whether sending the request again cannot apply a write twice: it provably had no effect, or it is one
    /// that may be repeated.
    #[must_use]
    pub fn is_retry_safe(&self) -> bool {
        self.0.class != RetryClass::Write || self.0.kind.outcome() == Outcome::NotApplied
    }

    /// Whether the request was a change that may or may not have been applied.
    ///
    /// Find out by reading, or send only what may be repeated: a transaction guarded by a revision.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        self.0.class != RetryClass::Read && self.0.kind.outcome() == Outcome::Unknown
    }

    /// Whether a new token may help: the server did not accept the one it got, or got none.
    #[must_use]
    pub fn is_auth_stale(&self) -> bool {
        self.server().is_some_and(ServerError::is_auth_stale)
    }
}

impl ErrorKind {
    /// Who has to change something for the request to succeed.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::InvalidArgument(_) | Self::ResponseTooLarge { .. } | Self::Watch(_) => Fault::Caller,
            Self::Server(error) => error.fault(),
            Self::Timeout(_) => Fault::Network,
            Self::Transport(error) => match error.kind() {
                TransportErrorKind::Unsupported
                | TransportErrorKind::RequestBody
                | TransportErrorKind::BodyTooLarge
                | TransportErrorKind::Shutdown => Fault::Caller,
                TransportErrorKind::Protocol | TransportErrorKind::HeadTooLarge => Fault::Peer,
                TransportErrorKind::Connect
                | TransportErrorKind::ConnectTimeout
                | TransportErrorKind::Closed
                | TransportErrorKind::Io => Fault::Network,
            },
            Self::Snapshot(SnapshotError::Destination(_)) => Fault::Caller,
            Self::LeaseLost(lost) => lost.fault(),
            Self::Http(_) | Self::Protocol(_) | Self::ClusterChanged(_) | Self::Snapshot(_) => Fault::Peer,
        }
    }

    /// Whether a write that ended this way may have been applied.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            // The loss was known here; nothing was sent.
            Self::InvalidArgument(_) | Self::LeaseLost(_) | Self::Watch(_) => Outcome::NotApplied,
            Self::Server(error) => error.outcome(),
            Self::Http(error) => error.outcome(),
            Self::Timeout(timeout) => timeout.outcome(),
            Self::Transport(error) => match error.delivery() {
                Delivery::NotSent => Outcome::NotApplied,
                Delivery::MaybeSent => Outcome::Unknown,
            },
            // There was an answer, most likely to a request that was served.
            Self::Protocol(_)
            | Self::ResponseTooLarge { .. }
            | Self::ClusterChanged(_)
            | Self::Snapshot(_) => Outcome::Unknown,
        }
    }

    /// What gives the request a chance to succeed, regardless of whether sending it again is safe.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Server(error) => error.retry(),
            Self::Http(error) => error.retry(),
            Self::Transport(error) => match error.kind() {
                TransportErrorKind::Connect
                | TransportErrorKind::ConnectTimeout
                | TransportErrorKind::Closed
                | TransportErrorKind::Io => Retry::Elsewhere,
                TransportErrorKind::Unsupported
                | TransportErrorKind::Protocol
                | TransportErrorKind::HeadTooLarge
                | TransportErrorKind::BodyTooLarge
                | TransportErrorKind::RequestBody
                | TransportErrorKind::Shutdown => Retry::Never,
            },
            Self::Timeout(_) | Self::Protocol(ProtocolError::Truncated) => Retry::Elsewhere,
            Self::Snapshot(SnapshotError::Destination(_)) => Retry::Never,
            Self::Snapshot(_) => Retry::Elsewhere,
            Self::InvalidArgument(_)
            | Self::Protocol(_)
            | Self::ResponseTooLarge { .. }
            | Self::ClusterChanged(_)
            | Self::LeaseLost(_)
            | Self::Watch(_) => Retry::Never,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rpc(), self.endpoint()) {
            (Some(rpc), Some(endpoint)) => write!(f, "{rpc} at {endpoint}: ")?,
            (Some(rpc), None) => write!(f, "{rpc}: ")?,
            (None, Some(endpoint)) => write!(f, "{endpoint}: ")?,
            (None, None) => {}
        }
        fmt::Display::fmt(&self.0.kind, f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("rpc", &self.0.rpc)
            .field("endpoint", &self.0.endpoint)
            .field("class", &self.0.class)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.kind.source()
    }
}

/// `?` turns each part into an [`Error`].
macro_rules! from_parts {
    ($($part:ty),*) => { $(
        impl From<$part> for Error {
            fn from(part: $part) -> Self {
                Self::new(part)
            }
        }
    )* };
}

from_parts!(
    ErrorKind,
    InvalidArgument,
    ServerError,
    HttpError,
    ProtocolError,
    TransportError,
    Timeout,
    ClusterChanged,
    SnapshotError,
    LeaseLost,
    WatchError
);

impl From<InvalidEndpoint> for Error {
    fn from(endpoint: InvalidEndpoint) -> Self {
        InvalidArgument::from(endpoint).into()
    }
}

/// The URL without `user:password@`.
fn without_userinfo(endpoint: &str) -> String {
    let (scheme, rest) = match endpoint.find("://") {
        Some(at) => endpoint.split_at(at + 3),
        None => ("", endpoint),
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}{}", &rest[host..])
}
