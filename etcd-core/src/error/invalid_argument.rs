//! What the client refuses before it sends anything.

use std::convert::Infallible;

/// A request, or a setting, that cannot work. Nothing was sent.
///
/// Only what no etcd server accepts, what every one of them silently takes for something else, or what ends them is
/// refused here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidArgument {
    /// A put, get, delete, comparison or lock without a key. The smallest key is one NUL byte.
    #[error("the key is empty")]
    EmptyKey,
    /// A lease without a life. Servers quietly grant their minimum instead.
    #[error("the time to live must be at least one second, not {given}")]
    NonPositiveTtl {
        /// In seconds.
        given: i64,
    },
    /// A lease longer than any server grants.
    #[error("the time to live of {given} seconds exceeds etcd's maximum of {limit}")]
    TtlTooLarge {
        /// In seconds.
        given: i64,
        /// In seconds; `MaxLeaseTTL` in etcd's `server/lease/lessor.go`.
        limit: i64,
    },
    /// The number 0 where a lease has to be named.
    #[error("a lease must be given")]
    NoLease,
    /// A put that brings a value and keeps the old one.
    #[error("a put cannot have a value and keep the present one")]
    ValueWithIgnoreValue,
    /// A put that attaches a lease and keeps the old one.
    #[error("a put cannot have a lease and keep the present one")]
    LeaseWithIgnoreLease,
    /// More operations in a transaction than the server allows.
    #[error("the transaction has {given} operations, more than the {limit} allowed")]
    TooManyOps {
        /// The longest of its lists of comparisons and operations.
        given: usize,
        /// `--max-txn-ops` of the server, 128 by default.
        limit: usize,
    },
    /// Transactions nested deeper than can be encoded.
    #[error("transactions are nested more than {limit} deep")]
    NestedTooDeep {
        /// The levels that are possible.
        limit: usize,
    },
    /// An operation of a transaction that says nothing; servers answer it as if a key did not exist.
    #[error("an operation of the transaction is empty")]
    EmptyOperation,
    /// A put that keeps the value or lease of a key in a transaction that deletes that key before, by a range without
    /// an upper bound. Servers miss that the two overlap, and die of it; any other overlap they refuse.
    #[error("a put of the transaction keeps what an operation before it deletes")]
    KeepsDeleted,
    /// A read that sorts by something that this version does not know. Servers that do not know it either die of it.
    #[error("the target to sort by is unknown")]
    UnknownSortTarget,
    /// A part of the request that has to be there.
    #[error("a {what} must be given")]
    Missing {
        /// Which part: `permission`, `leader key`, `version`.
        what: &'static str,
    },
    /// A name that has to be there.
    #[error("the name of the {what} is empty")]
    EmptyName {
        /// What it would name: `user`, `role`, `lock`, `election`.
        what: &'static str,
    },
    /// A list that needs at least one entry.
    #[error("at least one {what} must be given")]
    EmptyList {
        /// What it would hold: `endpoint`, `peer URL`.
        what: &'static str,
    },
    /// A number that must be at least one.
    #[error("{what} must be greater than zero, but is {given}")]
    NotPositive {
        /// Which number: `the revision`, `the page size`.
        what: &'static str,
        /// The number.
        given: i64,
    },
    /// Text that cannot stand in an HTTP header. The text is not shown: it may be a token.
    #[error("{what} contains a character that no HTTP header may")]
    HeaderValue {
        /// Which text: `the token`, `the user agent`.
        what: &'static str,
    },
    /// An endpoint that cannot be used.
    #[error("the endpoint cannot be used")]
    Endpoint(#[from] InvalidEndpoint),
    /// No runtime was named, and none is running where the client was made.
    #[error("no async runtime is running here and none was given to the builder")]
    NoRuntime,
    /// Text that is not where a watch got to.
    #[error("the text is not a resume token")]
    ResumeToken,
    /// Two settings that exclude each other.
    #[error("{first} and {second} cannot both be given")]
    Conflict {
        /// One of the two.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

/// For conversions that cannot fail, such as of an [`Endpoint`](crate::endpoint::Endpoint) to itself.
impl From<Infallible> for InvalidArgument {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Why an endpoint cannot be used. The endpoint itself is not shown: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// It is not a URL, or has no host.
    #[error("it is not a URL like http://host:2379")]
    NotAUrl,
    /// Its scheme is neither `http` nor `https`.
    #[error("its scheme is neither http nor https")]
    Scheme,
    /// It is `https`, and this client was built without TLS.
    #[error("https needs the feature `tls`, which this client was built without")]
    NeedsTls,
    /// It has a user or a password. Credentials are given to the client's builder.
    #[error("it contains a user or password; give credentials to the builder instead")]
    UserInfo,
    /// It has a path, a query or a fragment.
    #[error("it has a path, query or fragment; only scheme, host and port are expected")]
    Path,
}
