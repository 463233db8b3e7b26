//! How a call fails.

use std::borrow::Cow;
use std::fmt;

use etcd_core::error::{Code, EtcdError};

/// The status of a call that failed: a gRPC code and a message, as a real server would give them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    code: Code,
    message: Cow<'static, str>,
}

impl Status {
    /// A status with a message of its own.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error as the lock and election services, which run on a client of their own, pass it on: they lose
    /// the code.
    pub(crate) fn wrapped(mut self) -> Self {
        if !matches!(self.code, Code::DeadlineExceeded | Code::Canceled) {
            self.code = Code::Unknown;
        }
        self
    }

    /// The text of the `auth` package in place of that of the API, as the maintenance service sends it.
    pub(crate) fn in_words_of_auth(self) -> Self {
        match self.message.strip_prefix("etcdserver: ") {
            Some(rest) => Self::new(Code::Unknown, format!("auth: {rest}")),
            None => self,
        }
    }

    /// As Go prints a gRPC error: what a watch denied by authentication carries as its reason.
    pub(crate) fn in_words_of_grpc(&self) -> String {
        format!("rpc error: code = {} desc = {}", self.code, self.message)
    }
}

impl From<EtcdError> for Status {
    fn from(error: EtcdError) -> Self {
        match error.definition() {
            Some(row) => Self::new(row.code, row.message),
            None => Self::new(Code::Unknown, error.to_string()),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Status {}
