//! etcd's own errors, by the identity of their messages, each with a judgement.
//!
//! One table holds all of it: [`EtcdError::TABLE`]. The first part is etcd's list of gRPC errors
//! (`api/v3rpc/rpctypes/error.go`, 63 entries on release-3.6, release-3.7 and main); the second part is what
//! reaches clients without being on that list. Paths in the comments are those of etcd's main branch.
//!
//! # How the outcomes are judged
//!
//! A write goes through the interceptors (`api/v3rpc/interceptor.go`), the checks of its service
//! (`api/v3rpc/key.go`, `quota.go`), `processInternalRaftRequestOnce` (`v3_server.go`), and is then applied on
//! every member alike. What any of these refuses is [`Outcome::NotApplied`]: the apply step is
//! deterministic and checks before it changes. What ends the *wait* for the result is [`Outcome::Unknown`]: the
//! proposal is in raft's hands, and it may be committed after the error was sent.

use std::fmt;

use super::{Code, Fault, Outcome, Retry};

/// One row of [`EtcdError::TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Definition {
    /// The error.
    pub error: EtcdError,
    /// The code under which etcd's newest release sends it. Others may use another.
    pub code: Code,
    /// Its message, by which it is recognized.
    pub message: &'static str,
    /// Whether a write that got this answer may have been applied.
    pub outcome: Outcome,
    /// What gives the request a chance.
    pub retry: Retry,
    /// Who has to change something.
    pub fault: Fault,
}

macro_rules! etcd_errors {
    ($( $error:ident = $code:ident, $message:literal, $outcome:ident, $retry:ident, $fault:ident; )*) => {
        /// An error that etcd defines, identified by its message.
        ///
        /// The message, not the code, is what identifies an error: the lock and election services send every
        /// error under [`Code::Unknown`], and some codes changed between releases.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EtcdError {
            $(
                #[doc = concat!("`", $message, "`")]
                ///
                #[doc = concat!(
                    "Code `", stringify!($code),
                    "`. A write: [`", stringify!($outcome), "`](Outcome::", stringify!($outcome),
                    "). Try again: [`", stringify!($retry), "`](Retry::", stringify!($retry),
                    "). Fault: [`", stringify!($fault), "`](Fault::", stringify!($fault), ")."
                )]
                $error,
            )*
            /// The gateway could not decode the request, as Go's JSON packages put it.
            ///
            /// The original message is withheld, because it quotes the request.
            UndecodableRequest,
            /// A message this version of the client does not know; see
            /// [`ServerError::message`](super::ServerError::message).
            Other,
        }

        impl EtcdError {
            /// Every error with a message of its own.
            pub const TABLE: &[Definition] = &[
                $( Definition {
                    error: Self::$error,
                    code: Code::$code,
                    message: $message,
                    outcome: Outcome::$outcome,
                    retry: Retry::$retry,
                    fault: Fault::$fault,
                }, )*
            ];
        }
    };
}

// error = code, message, outcome of a write, what may help, whose fault
etcd_errors! {
    // Refused by the checks of api/v3rpc/key.go, before anything is proposed.
    EmptyKey = InvalidArgument, "etcdserver: key is not provided", NotApplied, Never, Caller;
    // Also at apply, by a put with ignore_value or ignore_lease on a missing key: before the put (txn/put.go).
    KeyNotFound = InvalidArgument, "etcdserver: key not found", NotApplied, Never, Caller;
    ValueProvided = InvalidArgument, "etcdserver: value is provided", NotApplied, Never, Caller;
    LeaseProvided = InvalidArgument, "etcdserver: lease is provided", NotApplied, Never, Caller;
    TooManyOps = InvalidArgument, "etcdserver: too many operations in txn request", NotApplied, Never, Caller;
    DuplicateKey = InvalidArgument, "etcdserver: duplicate key given in txn request", NotApplied, Never, Caller;
    InvalidClientApiVersion = InvalidArgument, "etcdserver: invalid client api version", NotApplied, Never, Caller;
    InvalidSortOption = InvalidArgument, "etcdserver: invalid sort option", NotApplied, Never, Caller;

    // A transaction's ranges are checked before any of its operations is applied (txn/txn.go).
    Compacted = OutOfRange, "etcdserver: mvcc: required revision has been compacted", NotApplied, Never, Caller;
    FutureRevision = OutOfRange, "etcdserver: mvcc: required revision is a future revision", NotApplied, Never, Caller;
    // NOT a proof: quotaApplierV3 (apply/quota.go) applies the put that crosses the quota and answers this all the
    // same. The usual sources, quotaAlarmer (api/v3rpc/quota.go) and apply/capped.go, do refuse, but look alike.
    NoSpace = ResourceExhausted, "etcdserver: mvcc: database space exceeded", Unknown, Never, Server;

    LeaseNotFound = NotFound, "etcdserver: requested lease not found", NotApplied, Never, Caller;
    LeaseExists = FailedPrecondition, "etcdserver: lease already exists", NotApplied, Never, Caller;
    LeaseTtlTooLarge = OutOfRange, "etcdserver: too large lease TTL", NotApplied, Never, Caller;

    WatchCanceled = Canceled, "etcdserver: watch canceled", NotApplied, Elsewhere, Server;

    MemberExists = FailedPrecondition, "etcdserver: member ID already exist", NotApplied, Never, Caller;
    PeerUrlExists = FailedPrecondition, "etcdserver: Peer URLs already exists", NotApplied, Never, Caller;
    // server.go mayAddMember, mayRemoveMember, mayPromote: before the change is proposed.
    MemberNotEnoughStarted = FailedPrecondition, "etcdserver: re-configuration failed due to not enough started members", NotApplied, Later, Server;
    MemberBadUrls = InvalidArgument, "etcdserver: given member URLs are invalid", NotApplied, Never, Caller;
    MemberNotFound = NotFound, "etcdserver: member not found", NotApplied, Never, Caller;
    MemberNotLearner = FailedPrecondition, "etcdserver: can only promote a learner member", NotApplied, Never, Caller;
    LearnerNotReady = FailedPrecondition, "etcdserver: can only promote a learner member which is in sync with leader", NotApplied, Later, Server;
    TooManyLearners = FailedPrecondition, "etcdserver: too many learner members in cluster", NotApplied, Never, Caller;
    ClusterIdMismatch = FailedPrecondition, "etcdserver: cluster ID mismatch", NotApplied, Never, Server;

    // v3_server.go processInternalRaftRequestOnce: both return before Propose.
    RequestTooLarge = InvalidArgument, "etcdserver: request is too large", NotApplied, Never, Caller;
    TooManyRequests = ResourceExhausted, "etcdserver: too many requests", NotApplied, Later, Server;

    // Authentication and authorization: authApplierV3 (apply/auth.go) checks before it passes a request on.
    RootUserNotExist = FailedPrecondition, "etcdserver: root user does not exist", NotApplied, Never, Caller;
    RootRoleNotExist = FailedPrecondition, "etcdserver: root user does not have root role", NotApplied, Never, Caller;
    UserAlreadyExists = FailedPrecondition, "etcdserver: user name already exists", NotApplied, Never, Caller;
    // What a request without a token gets while authentication is on; also adding a user without a name.
    UserEmpty = InvalidArgument, "etcdserver: user name is empty", NotApplied, AfterLogin, Caller;
    UserNotFound = FailedPrecondition, "etcdserver: user name not found", NotApplied, Never, Caller;
    RoleAlreadyExists = FailedPrecondition, "etcdserver: role name already exists", NotApplied, Never, Caller;
    RoleNotFound = FailedPrecondition, "etcdserver: role name not found", NotApplied, Never, Caller;
    RoleEmpty = InvalidArgument, "etcdserver: role name is empty", NotApplied, Never, Caller;
    AuthFailed = InvalidArgument, "etcdserver: authentication failed, invalid user ID or password", NotApplied, Never, Caller;
    PermissionNotGiven = InvalidArgument, "etcdserver: permission not given", NotApplied, Never, Caller;
    PermissionDenied = PermissionDenied, "etcdserver: permission denied", NotApplied, Never, Caller;
    RoleNotGranted = FailedPrecondition, "etcdserver: role is not granted to the user", NotApplied, Never, Caller;
    PermissionNotGranted = FailedPrecondition, "etcdserver: permission is not granted to the role", NotApplied, Never, Caller;
    AuthNotEnabled = FailedPrecondition, "etcdserver: authentication is not enabled", NotApplied, Never, Caller;
    InvalidAuthToken = Unauthenticated, "etcdserver: invalid auth token", NotApplied, AfterLogin, Caller;
    InvalidAuthManagement = InvalidArgument, "etcdserver: invalid auth management", NotApplied, Never, Caller;
    // A JWT issued before the last change of users or roles.
    AuthOldRevision = InvalidArgument, "etcdserver: revision of auth store is old", NotApplied, AfterLogin, Caller;

    // To writes it comes from the interceptor alone, which looks for a leader before it calls the handler. Streams end
    // with it (monitorLeader), and so may the renewal of a lease (v3_server.go waitLeader), which can be repeated.
    NoLeader = Unavailable, "etcdserver: no leader", NotApplied, Elsewhere, Server;
    // api/v3rpc/maintenance.go MoveLeader: only the leader serves it, and it checks first.
    NotLeader = FailedPrecondition, "etcdserver: not leader", NotApplied, Elsewhere, Server;
    // Comes from the read index alone (read/read.go, v3_server.go leaseTimeToLive), which proposes nothing.
    LeaderChanged = Unavailable, "etcdserver: leader changed", NotApplied, Elsewhere, Server;
    NotCapable = FailedPrecondition, "etcdserver: not capable", NotApplied, Later, Server;
    // processInternalRaftRequestOnce: the member stopped while it waited for a proposal it had made.
    Stopped = Unavailable, "etcdserver: server stopped", Unknown, Elsewhere, Server;
    // parseProposeCtxErr (server.go): the wait for the proposal's result timed out; so for the next two.
    TimedOut = Unavailable, "etcdserver: request timed out", Unknown, Elsewhere, Server;
    TimedOutLeaderFailure = Unavailable, "etcdserver: request timed out, possibly due to previous leader failure", Unknown, Elsewhere, Server;
    TimedOutConnectionLost = Unavailable, "etcdserver: request timed out, possibly due to connection lost", Unknown, Elsewhere, Server;
    // v3_server.go waitAppliedIndex: the leader waits before it renews a lease or reads its time to live. No write does.
    TimedOutAppliedIndex = Unavailable, "etcdserver: request timed out, waiting for the applied index took too long", NotApplied, Elsewhere, Server;
    // server.go mayAddMember, mayRemoveMember: before the change is proposed.
    Unhealthy = Unavailable, "etcdserver: unhealthy cluster", NotApplied, Later, Server;
    // apply/corrupt.go refuses every request while the alarm is on, on all members.
    Corrupt = DataLoss, "etcdserver: corrupt cluster", NotApplied, Never, Server;
    NotSupportedForLearner = FailedPrecondition, "etcdserver: rpc not supported for learner", NotApplied, Elsewhere, Server;
    BadLeaderTransferee = FailedPrecondition, "etcdserver: bad leader transferee", NotApplied, Never, Caller;

    WrongDowngradeVersionFormat = InvalidArgument, "etcdserver: wrong downgrade target version format", NotApplied, Never, Caller;
    InvalidDowngradeTargetVersion = InvalidArgument, "etcdserver: invalid downgrade target version", NotApplied, Never, Caller;
    ClusterVersionUnavailable = FailedPrecondition, "etcdserver: cluster version not found during downgrade", NotApplied, Later, Server;
    DowngradeInProcess = FailedPrecondition, "etcdserver: cluster has a downgrade job in progress", NotApplied, Never, Caller;
    NoInflightDowngrade = FailedPrecondition, "etcdserver: no inflight downgrade job", NotApplied, Never, Caller;

    // The context of a request ended while it waited for its proposal.
    RequestCanceled = Canceled, "etcdserver: request canceled", Unknown, Elsewhere, Server;
    RequestDeadlineExceeded = DeadlineExceeded, "etcdserver: context deadline exceeded", Unknown, Elsewhere, Server;

    // Not on etcd's list, and therefore sent as they are, most of them under code 2.

    // Propose (v3_server.go) blocks while there is no leader and then ends with this, but so does the wait for a proposal
    // that was made, and a deadline the client itself set with Grpc-Timeout.
    DeadlineExceeded = DeadlineExceeded, "context deadline exceeded", Unknown, Elsewhere, Server;
    Canceled = Canceled, "context canceled", Unknown, Elsewhere, Server;
    // The gateway lost its connection to the server behind it, in the middle of the call: a shutdown, mostly.
    ConnectionLost = Unavailable, "error reading from server: EOF", Unknown, Elsewhere, Server;
    // The gateway has no connection to the server behind it: grpc-go picks one before it sends anything.
    BackendUnreachable = Unavailable, "transport: Error while dialing", NotApplied, Elsewhere, Server;
    StreamReset = Canceled, "stream terminated by RST_STREAM", Unknown, Elsewhere, Server;
    // grpc-go refuses while receiving; the gateway's own connection has no limit on answers (embed/etcd.go).
    MessageTooLarge = ResourceExhausted, "grpc: received message larger than max", NotApplied, Never, Caller;
    // raft's Propose refuses while leadership is being transferred, or on a member that was removed.
    ProposalDropped = Unknown, "raft proposal dropped", NotApplied, Elsewhere, Server;
    // MoveLeader asked for the transfer and did not see it happen in time.
    TimedOutLeaderTransfer = Unknown, "etcdserver: request timed out, leader transfer took too long", Unknown, Later, Server;

    // Lock and election (client/v3/concurrency, api/v3election, run inside the server). Lock and campaign wait after
    // they have written a key, and take it back when they fail, if they can.
    SessionExpired = Unknown, "mutex: session is expired", Unknown, Never, Caller;
    LockLostWatcher = Unknown, "lost watcher waiting for delete", Unknown, Elsewhere, Server;
    ElectionNoLeader = Unknown, "election: no leader", NotApplied, Never, Caller;
    // proclaim and resign: their transaction's comparison failed.
    ElectionNotLeader = Unknown, "election: not leader", NotApplied, Never, Caller;
    MissingLeaderKey = Unknown, "\"leader\" field must be provided", NotApplied, Never, Caller;

    // A user that was created without a password tried to log in with one.
    NoPasswordUser = Unknown, "auth: authentication failed, password was given for no password user", NotApplied, Never, Caller;

    // Why a watch was cancelled (storage/mvcc/watcher.go).
    WatchDuplicateId = Unknown, "mvcc: duplicate watch ID provided on the WatchStream", NotApplied, Never, Caller;
    WatchEmptyRange = Unknown, "mvcc: watcher range is empty", NotApplied, Never, Caller;
}

/// Other wordings of errors in the table: the maintenance service answers with the `auth` package's own texts, other
/// places with those of the packages below; older releases spelled some differently.
const ALIASES: &[(&str, EtcdError)] = &[
    ("auth: root user does not exist", EtcdError::RootUserNotExist),
    (
        "auth: root user does not have root role",
        EtcdError::RootRoleNotExist,
    ),
    ("auth: user already exists", EtcdError::UserAlreadyExists),
    ("auth: user name is empty", EtcdError::UserEmpty),
    ("auth: user not found", EtcdError::UserNotFound),
    ("auth: role already exists", EtcdError::RoleAlreadyExists),
    ("auth: role not found", EtcdError::RoleNotFound),
    ("auth: role name is empty", EtcdError::RoleEmpty),
    ("auth: permission not given", EtcdError::PermissionNotGiven),
    (
        "auth: authentication failed, invalid user ID or password",
        EtcdError::AuthFailed,
    ),
    ("auth: permission denied", EtcdError::PermissionDenied),
    ("auth: role is not granted to the user", EtcdError::RoleNotGranted),
    (
        "auth: permission is not granted to the role",
        EtcdError::PermissionNotGranted,
    ),
    ("auth: authentication is not enabled", EtcdError::AuthNotEnabled),
    ("auth: revision in header is old", EtcdError::AuthOldRevision),
    ("auth: invalid auth token", EtcdError::InvalidAuthToken),
    ("auth: invalid auth management", EtcdError::InvalidAuthManagement),
    ("etcdserver: request cancelled", EtcdError::RequestCanceled),
    ("etcdserver: no space", EtcdError::NoSpace),
    ("mvcc: required revision has been compacted", EtcdError::Compacted),
    (
        "mvcc: required revision is a future revision",
        EtcdError::FutureRevision,
    ),
    // The gateway's connection to its server, as gRPC 1.26 (etcd 3.4) and HTTP/2 over TLS put it.
    ("transport is closing", EtcdError::ConnectionLost),
    (
        "grpc: the client connection is closing",
        EtcdError::ConnectionLost,
    ),
    ("client disconnected", EtcdError::ConnectionLost),
];

/// Messages that go on with a detail, by how they begin. The first match counts.
const PREFIXES: &[(&str, EtcdError)] = &[
    (
        "grpc: received message larger than max",
        EtcdError::MessageTooLarge,
    ),
    ("stream terminated by RST_STREAM", EtcdError::StreamReset),
    // What grpc-go's picker says (picker_wrapper.go, balancer/base, 1.26 to now): nothing was sent.
    (
        "all SubConns are in TransientFailure",
        EtcdError::BackendUnreachable,
    ),
    ("last connection error:", EtcdError::BackendUnreachable),
    ("latest balancer error:", EtcdError::BackendUnreachable),
    (
        "context deadline exceeded while waiting for connections",
        EtcdError::BackendUnreachable,
    ),
    ("transport: Error while dialing", EtcdError::BackendUnreachable),
    (
        "connection error: desc = \"transport: Error while dialing",
        EtcdError::BackendUnreachable,
    ),
    (
        "connection error: desc = \"transport: error while dialing",
        EtcdError::BackendUnreachable,
    ),
    // The same text for calls in flight and for those not yet sent.
    ("connection error:", EtcdError::ConnectionLost),
    ("error reading from server:", EtcdError::ConnectionLost),
    // What encoding/json, golang/protobuf and protobuf-go say of a body they cannot read; the latter puts a
    // no-break space after the colon in some builds.
    ("proto:", EtcdError::UndecodableRequest),
    ("json:", EtcdError::UndecodableRequest),
    ("invalid character ", EtcdError::UndecodableRequest),
    ("unexpected EOF", EtcdError::UndecodableRequest),
    ("unexpected end of JSON input", EtcdError::UndecodableRequest),
    ("illegal base64 data", EtcdError::UndecodableRequest),
    ("unknown value ", EtcdError::UndecodableRequest),
    ("invalid value for ", EtcdError::UndecodableRequest),
    ("invalid byte in chunk length", EtcdError::UndecodableRequest),
];

impl EtcdError {
    /// The error with this message; [`Other`](Self::Other) if none has it.
    #[must_use]
    pub fn from_message(message: &str) -> Self {
        if let Some(row) = Self::TABLE.iter().find(|row| row.message == message) {
            return row.error;
        }
        if let Some((_, error)) = ALIASES.iter().find(|(alias, _)| *alias == message) {
            return *error;
        }
        let prefix = PREFIXES.iter().find(|(prefix, _)| message.starts_with(prefix));
        prefix.map_or(Self::Other, |(_, error)| *error)
    }

    /// Its row in the table; `None` for [`Other`](Self::Other) and
    /// [`UndecodableRequest`](Self::UndecodableRequest), which have no message of their own.
    #[must_use]
    pub fn definition(self) -> Option<&'static Definition> {
        Self::TABLE.iter().find(|row| row.error == self)
    }

    /// Whether a new token may help: the one that was sent is missing, expired, or older than the last change of
    /// users and roles.
    #[must_use]
    pub fn is_auth_stale(self) -> bool {
        self.definition()
            .is_some_and(|row| row.retry == Retry::AfterLogin)
    }
}

impl fmt::Display for EtcdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.definition() {
            Some(row) => row.message,
            None if *self == Self::UndecodableRequest => "the gateway could not decode the request",
            None => "an error this client does not know",
        })
    }
}
