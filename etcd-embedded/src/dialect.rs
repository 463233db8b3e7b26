//! Which etcd the embedded one behaves like.

/// A dialect of the JSON gateway, and the server that speaks it.
///
/// The bytes on the wire follow the grpc-gateway library that a server was built with, and each of the three
/// libraries in use came with servers of its own time. A dialect therefore decides both the encoding and what
/// differs between those servers: codes, quirks, what authentication guards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// grpc-gateway 1.6, as in Debian's etcd 3.4.23.
    G1_6,
    /// grpc-gateway 1.16, as in every upstream etcd 3.5; behaves like 3.5.1.
    G1_16,
    /// grpc-gateway 2, as in upstream etcd 3.6 and newer and in Debian's 3.5; behaves like 3.5.30.
    #[default]
    G2,
}

impl Dialect {
    /// All dialects, oldest first.
    pub const ALL: [Self; 3] = [Self::G1_6, Self::G1_16, Self::G2];

    /// The version the server reports.
    #[must_use]
    pub fn server_version(self) -> &'static str {
        match self {
            Self::G1_6 => "3.4.23",
            Self::G1_16 => "3.5.1",
            Self::G2 => "3.5.30",
        }
    }

    /// The version the cluster agreed on.
    #[must_use]
    pub fn cluster_version(self) -> &'static str {
        match self {
            Self::G1_6 => "3.4.0",
            Self::G1_16 | Self::G2 => "3.5.0",
        }
    }

    /// Whether calls that touch no key (leases, members, status) are checked when authentication is on.
    ///
    /// Source: `requireAuthInfo` in `server/etcdserver/v3_server.go` of release 3.5.30; absent before.
    pub(crate) fn guards_calls_without_keys(self) -> bool {
        self == Self::G2
    }

    /// Whether a token is looked at even while authentication is off.
    ///
    /// Source: `AuthInfoFromCtx` in `server/auth/store.go`, which asks `IsAuthEnabled` only since 3.5.
    pub(crate) fn checks_tokens_while_auth_is_off(self) -> bool {
        self != Self::G2
    }

    /// Whether a request for progress waits for the watches of its stream to be in sync, and is dropped if they
    /// are not (3.5.8 and newer), instead of being answered at once.
    pub(crate) fn progress_waits_for_sync(self) -> bool {
        self == Self::G2
    }

    /// Whether transactions within a transaction, and in any of them the previous pairs and leases of puts, are held
    /// against permissions (3.5.28 and 3.5.30, commits 9e4303361 and e8ce1ae41).
    pub(crate) fn checks_permissions_within_transactions(self) -> bool {
        self == Self::G2
    }

    /// Whether a compaction keeps the deletions of the very revision it compacts at (3.5.16 and newer, etcd's pull request 18474).
    pub(crate) fn compaction_keeps_its_deletions(self) -> bool {
        self == Self::G2
    }
}
