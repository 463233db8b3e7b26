//! An answer that is HTTP but not etcd's API.

use std::fmt;

use http::StatusCode;

use super::excerpt::excerpt;
use super::{Outcome, Retry};

/// The characters of a body that an error shows. Enough for the first sentence of etcd's texts and for the title of
/// a proxy's error page.
const MAX_EXCERPT: usize = 200;

/// Statuses with which an HTTP layer turns a request away before any handler of etcd sees it (RFC 9110
/// section 15; 431 and 429: RFC 6585).
const TURNED_AWAY: [u16; 21] = [
    301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 417, 421, 426, 429, 431, 501,
];

/// An answer that is HTTP but not etcd's API: a wrong URL, a gateway that is switched off, a proxy in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    status: StatusCode,
    excerpt: Box<str>,
}

impl HttpError {
    /// An answer with this status and body. Of the body 200 characters are kept, control characters escaped.
    #[must_use]
    pub fn new(status: StatusCode, body: &[u8]) -> Self {
        Self {
            status,
            excerpt: excerpt(body, MAX_EXCERPT).into(),
        }
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// How the body of the response begins; empty if there was none.
    #[must_use]
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }

    /// Whether a write that got this answer may have been applied.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if TURNED_AWAY.contains(&self.status.as_u16()) {
            Outcome::NotApplied
        } else {
            Outcome::Unknown
        }
    }

    /// What gives the request a chance to succeed.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self.status.as_u16() {
            408 | 429 | 502..=504 => Retry::Elsewhere,
            _ => Retry::Never,
        }
    }

    /// What usually is behind such an answer.
    fn hint(&self) -> Option<&'static str> {
        Some(match self.status.as_u16() {
            301 | 302 | 303 | 307 | 308 => "redirects are not followed; is the endpoint's URL right?",
            404 => "this etcd has no such call, its gateway is off, or the endpoint is not an etcd",
            405 | 501 => "this etcd has no such call, or the endpoint is not an etcd",
            415 => "the endpoint speaks gRPC only",
            421 => "this etcd refuses the name in the endpoint's URL (--host-whitelist)",
            431 => "the request's headers are too large",
            _ => return None,
        })
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(hint) = self.hint() {
            write!(f, " ({hint})")?;
        }
        if !self.excerpt.is_empty() {
            write!(f, ": {}", self.excerpt)?;
        }
        Ok(())
    }
}

impl std::error::Error for HttpError {}
