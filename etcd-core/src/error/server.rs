//! An error that an etcd server answered with.

use std::fmt;
use std::sync::Arc;

use super::excerpt::excerpt;
use super::{Code, EtcdError, Fault, Outcome, Retry};

/// The characters of a message that are kept. etcd's own messages are shorter than 100; those of gRPC and of
/// the Go runtime seldom reach 300.
pub(super) const MAX_MESSAGE: usize = 1024;

/// Under [`Code::Internal`]: the answer broke off between the server and its gateway.
const BROKEN_OFF: &str = "unexpected EOF";

/// An error that an etcd server answered with, whatever the wire.
///
/// ```
/// use etcd_core::error::{Code, EtcdError, ServerError};
///
/// let error = ServerError::new(Code::Unknown, "etcdserver: requested lease not found");
/// assert_eq!(error.kind(), EtcdError::LeaseNotFound); // by its message, not by its code
/// assert_eq!(error.code(), Code::Unknown);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    kind: EtcdError,
    code: Code,
    message: Arc<str>,
    http_status: Option<u16>,
}

impl ServerError {
    /// The error a server described by a gRPC code and a message.
    ///
    /// Of the message 1024 characters are kept, control characters escaped; of one that quotes the request,
    /// none.
    #[must_use]
    pub fn new(code: Code, message: &str) -> Self {
        let kind = match EtcdError::from_message(message) {
            // Of an answer that broke off, grpc-go says what the gateway says of a request (`rpc_util.go`, `toRPCErr`).
            EtcdError::UndecodableRequest if code == Code::Internal && message == BROKEN_OFF => {
                EtcdError::ConnectionLost
            }
            kind => kind,
        };
        let message = match kind {
            EtcdError::UndecodableRequest => Arc::from(kind.to_string()),
            _ => Arc::from(excerpt(message.as_bytes(), MAX_MESSAGE)),
        };
        Self {
            kind,
            code,
            message,
            http_status: None,
        }
    }

    /// The reason with which a server cancelled a watch.
    ///
    /// It is a message alone, or one that carries its code: `rpc error: code = PermissionDenied desc =
    /// etcdserver: permission denied`.
    #[must_use]
    pub fn from_cancel_reason(reason: &str) -> Self {
        let coded = reason
            .strip_prefix("rpc error: code = ")
            .and_then(|rest| rest.split_once(" desc = "))
            .and_then(|(name, message)| Some((Code::from_name(name)?, message)));
        match coded {
            Some((code, message)) => Self::new(code, message),
            None => {
                let mut error = Self::new(Code::Unknown, reason);
                if let Some(row) = error.kind.definition() {
                    error.code = row.code;
                }
                error
            }
        }
    }

    /// Adds the status of the HTTP response that carried the error.
    #[must_use]
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// Which of etcd's errors it is.
    #[must_use]
    pub fn kind(&self) -> EtcdError {
        self.kind
    }

    /// The code it came with. [`Code::Unknown`] says nothing: lock and election send every error that way.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The server's message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The status of the HTTP response that carried it; `None` for one that came within a stream.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.http_status
    }

    /// Whether a new token may help; see [`EtcdError::is_auth_stale`].
    #[must_use]
    pub fn is_auth_stale(&self) -> bool {
        self.kind.is_auth_stale()
    }

    /// Whether a write that got this answer may have been applied.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.kind.definition() {
            _ if self.is_wrapped() => Outcome::Unknown,
            Some(row) => row.outcome,
            // By the meaning gRPC gives these, the call was turned away; any other code may come at any time.
            None => match self.code {
                Code::InvalidArgument
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::Unimplemented => Outcome::NotApplied,
                _ => Outcome::Unknown,
            },
        }
    }

    /// What gives the request a chance to succeed.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self.kind.definition() {
            Some(row) => row.retry,
            None => match self.code {
                // Internal, too, as etcd's own client has it (`client/v3/client.go`, `isHaltErr`): something broke off, or
                // was mangled, on its way from the server to the gateway.
                Code::Unavailable | Code::DeadlineExceeded | Code::Internal => Retry::Elsewhere,
                Code::Unauthenticated => Retry::AfterLogin,
                _ => Retry::Never,
            },
        }
    }

    /// Who has to change something.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self.kind.definition() {
            Some(row) => row.fault,
            None => match self.code {
                Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::Unauthenticated => Fault::Caller,
                _ => Fault::Server,
            },
        }
    }

    /// Whether a service that takes several steps (lock, campaign) passed the error of one of them on, under
    /// [`Code::Unknown`]. What an earlier step did, it may have done.
    fn is_wrapped(&self) -> bool {
        // api/v3rpc/util.go maps these two to their client-side twins, which gRPC does not recognize as
        // errors with a code: they always arrive under Unknown.
        let always = matches!(
            self.kind,
            EtcdError::TooManyRequests | EtcdError::MemberNotEnoughStarted
        );
        let home = self.kind.definition().map_or(Code::Unknown, |row| row.code);
        // The maintenance service sends "auth: ..." in one step.
        self.code == Code::Unknown && home != Code::Unknown && !always && !self.message.starts_with("auth: ")
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Code::Unknown => f.write_str(&self.message),
            code => write!(f, "{} ({code})", self.message),
        }
    }
}

impl std::error::Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_argument_proves_that_an_undecodable_request_was_not_applied() {
        let refused = ServerError::new(Code::InvalidArgument, "unexpected EOF");
        assert_eq!(refused.kind(), EtcdError::UndecodableRequest);
        assert_eq!(
            (refused.outcome(), refused.retry()),
            (Outcome::NotApplied, Retry::Never)
        );
        // The gateway says the same of an answer that it cannot encode.
        let unencodable = ServerError::new(Code::Unknown, "proto: invalid UTF-8");
        assert_eq!(unencodable.outcome(), Outcome::Unknown);
    }

    #[test]
    fn an_answer_that_broke_off_is_a_lost_connection_and_no_fault_of_the_request() {
        for message in [
            "unexpected EOF",
            "server closed the stream without sending trailers",
        ] {
            let error = ServerError::new(Code::Internal, message);
            assert_eq!(
                (error.outcome(), error.retry(), error.fault()),
                (Outcome::Unknown, Retry::Elsewhere, Fault::Server),
                "{message}"
            );
            assert_eq!(error.message(), message);
        }
        let error = ServerError::new(Code::Internal, "unexpected EOF");
        assert_eq!(error.kind(), EtcdError::ConnectionLost);
    }
}
