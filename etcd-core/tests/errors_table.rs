//! etcd's table of errors: recognized in every shape, and judged as the server's source says.

use std::collections::HashSet;

use etcd_core::error::{
    Code, Definition, Error, ErrorKind, EtcdError, Fault, Outcome, Retry, RetryClass, ServerError,
};
use http::StatusCode;

fn rows(wanted: impl Fn(&Definition) -> bool) -> Vec<EtcdError> {
    EtcdError::TABLE
        .iter()
        .filter(|row| wanted(row))
        .map(|row| row.error)
        .collect()
}

fn server(kind: Option<ErrorKind>) -> ServerError {
    match kind {
        Some(ErrorKind::Server(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_error_is_recognized_by_its_message_alone() {
    for row in EtcdError::TABLE {
        assert_eq!(EtcdError::from_message(row.message), row.error);
        assert_eq!(row.error.definition(), Some(row));
        assert_eq!(row.error.to_string(), row.message);
        for code in [row.code, Code::Unknown, Code::Other(99)] {
            let error = ServerError::new(code, row.message);
            assert_eq!(
                (error.kind(), error.code(), error.message()),
                (row.error, code, row.message)
            );
        }
    }
    assert_eq!(EtcdError::Other.definition(), None);
    assert_eq!(EtcdError::UndecodableRequest.definition(), None);
}

#[test]
fn no_error_and_no_message_is_there_twice() {
    let errors: HashSet<_> = EtcdError::TABLE.iter().map(|row| row.error).collect();
    let messages: HashSet<_> = EtcdError::TABLE.iter().map(|row| row.message).collect();
    assert_eq!(
        (errors.len(), messages.len()),
        (EtcdError::TABLE.len(), EtcdError::TABLE.len())
    );
}

#[test]
fn the_list_of_etcds_source_is_complete() {
    // api/v3rpc/rpctypes/error.go defines 63 on release-3.6, release-3.7 and main. They come first.
    let listed = EtcdError::TABLE
        .iter()
        .take_while(|row| row.message.starts_with("etcdserver: "));
    assert_eq!(listed.count(), 63);
}

#[test]
fn every_error_is_recognized_in_every_dialect() {
    for row in EtcdError::TABLE {
        let (code, message) = (row.code.number(), serde_json::to_string(row.message).unwrap());
        let unary = [
            format!("{{\"error\":{message},\"message\":{message},\"code\":{code}}}"),
            format!("{{\"error\":{message},\"code\":{code},\"message\":{message}}}"),
            format!("{{\"code\":{code}, \"message\":{message}}}"),
            format!("{{\"error\":{message},\"code\":{code}}}"),
        ];
        let stream = [
            format!(
                "{{\"error\":{{\"grpc_code\":{code},\"http_code\":503,\"message\":{message},\"http_status\":\"x\"}}}}"
            ),
            format!("{{\"error\":{{\"code\":{code},\"message\":{message}}}}}"),
            format!(
                "{{\"error\":{{\"code\":{code},\"message\":{message},\"details\":[{{\"@type\":\"x\"}}]}}}}\n"
            ),
        ];
        for body in unary.iter().chain(&stream) {
            let error = server(Some(ErrorKind::from_response(
                StatusCode::IM_A_TEAPOT,
                body.as_bytes(),
            )));
            assert_eq!((error.kind(), error.code()), (row.error, row.code), "{body}");
            assert_eq!(error.http_status(), Some(418));
        }
        for line in &stream {
            let error = server(ErrorKind::from_stream_line(line.as_bytes()));
            assert_eq!((error.kind(), error.code()), (row.error, row.code), "{line}");
            assert_eq!(error.http_status(), None);
        }
    }
}

#[test]
fn every_error_is_recognized_as_the_reason_of_a_cancelled_watch() {
    for row in EtcdError::TABLE {
        let bare = ServerError::from_cancel_reason(row.message);
        assert_eq!((bare.kind(), bare.code()), (row.error, row.code));

        let reason = format!("rpc error: code = {} desc = {}", row.code, row.message);
        let coded = ServerError::from_cancel_reason(&reason);
        assert_eq!(
            (coded.kind(), coded.code(), coded.message()),
            (row.error, row.code, row.message)
        );
    }
}

#[test]
fn a_reason_in_another_form_survives_as_it_is() {
    for (reason, code, message) in [
        ("something new", Code::Unknown, "something new"),
        ("", Code::Unknown, ""),
        ("rpc error: code = Code(99) desc = new", Code::Other(99), "new"),
        (
            "rpc error: code = NoSuchCode desc = x",
            Code::Unknown,
            "rpc error: code = NoSuchCode desc = x",
        ),
        (
            "rpc error: code = Aborted",
            Code::Unknown,
            "rpc error: code = Aborted",
        ),
        ("rpc error: code = Aborted desc = ", Code::Aborted, ""),
    ] {
        let error = ServerError::from_cancel_reason(reason);
        assert_eq!(
            (error.kind(), error.code(), error.message()),
            (EtcdError::Other, code, message)
        );
    }
}

#[test]
fn other_wordings_are_the_same_error() {
    for (message, error) in [
        ("auth: permission denied", EtcdError::PermissionDenied),
        ("auth: user name is empty", EtcdError::UserEmpty),
        ("auth: invalid auth token", EtcdError::InvalidAuthToken),
        ("auth: revision in header is old", EtcdError::AuthOldRevision),
        ("etcdserver: request cancelled", EtcdError::RequestCanceled),
        ("transport is closing", EtcdError::ConnectionLost),
        (
            "error reading from server: read tcp 127.0.0.1:1->127.0.0.1:2: reset",
            EtcdError::ConnectionLost,
        ),
        (
            "connection error: desc = \"error reading from server: EOF\"",
            EtcdError::ConnectionLost,
        ),
        (
            "connection error: desc = \"transport: Error while dialing dial tcp: connection refused\"",
            EtcdError::BackendUnreachable,
        ),
        (
            "last connection error: connection error: desc = \"transport: Error while dialing: refused\"",
            EtcdError::BackendUnreachable,
        ),
        (
            "all SubConns are in TransientFailure, latest connection error: x",
            EtcdError::BackendUnreachable,
        ),
        (
            "context deadline exceeded while waiting for connections to become ready",
            EtcdError::BackendUnreachable,
        ),
        (
            "grpc: the client connection is closing",
            EtcdError::ConnectionLost,
        ),
        (
            "grpc: received message larger than max (3000010 vs. 2097152)",
            EtcdError::MessageTooLarge,
        ),
        (
            "stream terminated by RST_STREAM with error code: CANCEL",
            EtcdError::StreamReset,
        ),
        ("etcdserver: permission denied, of another kind", EtcdError::Other),
        ("ETCDSERVER: PERMISSION DENIED", EtcdError::Other),
        ("", EtcdError::Other),
    ] {
        assert_eq!(EtcdError::from_message(message), error, "{message}");
    }
}

#[test]
fn a_write_may_have_been_applied_after_these_and_no_others() {
    assert_eq!(
        rows(|row| row.outcome == Outcome::Unknown),
        [
            // The put that crosses the quota is applied (apply/quota.go), whatever the name suggests.
            EtcdError::NoSpace,
            // The wait for a proposal ended; the proposal lives on.
            EtcdError::Stopped,
            EtcdError::TimedOut,
            EtcdError::TimedOutLeaderFailure,
            EtcdError::TimedOutConnectionLost,
            EtcdError::RequestCanceled,
            EtcdError::RequestDeadlineExceeded,
            EtcdError::DeadlineExceeded,
            EtcdError::Canceled,
            EtcdError::ConnectionLost,
            EtcdError::StreamReset,
            EtcdError::TimedOutLeaderTransfer,
            // A lock writes its key first and then waits.
            EtcdError::SessionExpired,
            EtcdError::LockLostWatcher,
        ]
    );
}

#[test]
fn a_new_token_may_help_after_these_and_no_others() {
    let stale = [
        EtcdError::UserEmpty,
        EtcdError::InvalidAuthToken,
        EtcdError::AuthOldRevision,
    ];
    assert_eq!(rows(|row| row.error.is_auth_stale()), stale);
    assert_eq!(rows(|row| row.retry == Retry::AfterLogin), stale);
    for error in stale {
        let message = error.definition().unwrap().message;
        assert!(Error::from(ServerError::new(Code::Unknown, message)).is_auth_stale());
    }
}

#[test]
fn another_member_or_another_moment_may_help_after_these_and_no_others() {
    assert_eq!(
        rows(|row| row.retry == Retry::Elsewhere),
        [
            EtcdError::WatchCanceled,
            EtcdError::NoLeader,
            EtcdError::NotLeader,
            EtcdError::LeaderChanged,
            EtcdError::Stopped,
            EtcdError::TimedOut,
            EtcdError::TimedOutLeaderFailure,
            EtcdError::TimedOutConnectionLost,
            EtcdError::TimedOutAppliedIndex,
            EtcdError::NotSupportedForLearner,
            EtcdError::RequestCanceled,
            EtcdError::RequestDeadlineExceeded,
            EtcdError::DeadlineExceeded,
            EtcdError::Canceled,
            EtcdError::ConnectionLost,
            EtcdError::BackendUnreachable,
            EtcdError::StreamReset,
            EtcdError::ProposalDropped,
            EtcdError::LockLostWatcher,
        ]
    );
    assert_eq!(
        rows(|row| row.retry == Retry::Later),
        [
            EtcdError::MemberNotEnoughStarted,
            EtcdError::LearnerNotReady,
            EtcdError::TooManyRequests,
            EtcdError::NotCapable,
            EtcdError::Unhealthy,
            EtcdError::ClusterVersionUnavailable,
            EtcdError::TimedOutLeaderTransfer,
        ]
    );
}

#[test]
fn the_caller_cannot_be_blamed_for_what_a_retry_mends() {
    for row in EtcdError::TABLE {
        if matches!(row.retry, Retry::Elsewhere | Retry::Later) {
            assert_eq!(row.fault, Fault::Server, "{}", row.message);
        }
    }
    // Nor for these, although no retry mends them.
    assert_eq!(
        rows(|row| row.fault == Fault::Server && row.retry == Retry::Never),
        [
            EtcdError::NoSpace,
            EtcdError::ClusterIdMismatch,
            EtcdError::Corrupt
        ]
    );
}

#[test]
fn an_error_passed_on_by_a_service_of_several_steps_proves_nothing() {
    for row in EtcdError::TABLE {
        let wrapped = ServerError::new(Code::Unknown, row.message);
        let proves = row.outcome == Outcome::NotApplied
            && (row.code == Code::Unknown
                // These two lose their code on the way from every service (api/v3rpc/util.go).
                || matches!(row.error, EtcdError::TooManyRequests | EtcdError::MemberNotEnoughStarted));
        assert_eq!(
            wrapped.outcome() == Outcome::NotApplied,
            proves,
            "{}",
            row.message
        );
    }
    // The maintenance service, on the other hand, checks first.
    let denied = ServerError::new(Code::Unknown, "auth: permission denied");
    assert_eq!(denied.outcome(), Outcome::NotApplied);
}

#[test]
fn a_refused_token_makes_a_write_safe_to_repeat_and_a_timeout_does_not() {
    let put =
        |code, message| Error::from(ServerError::new(code, message)).with_rpc("KV/Put", RetryClass::Write);
    let refused = put(Code::Unauthenticated, "etcdserver: invalid auth token");
    assert!(refused.is_retry_safe() && !refused.is_outcome_unknown());
    for (code, message) in [
        (Code::Unavailable, "etcdserver: request timed out"),
        (Code::Unknown, "context deadline exceeded"),
        (Code::DeadlineExceeded, "context deadline exceeded"),
        (Code::Unavailable, "transport is closing"),
        (Code::Unavailable, "error reading from server: EOF"),
    ] {
        let error = put(code, message);
        assert!(!error.is_retry_safe() && error.is_outcome_unknown(), "{message}");
    }
}

#[test]
fn a_message_that_quotes_the_request_is_withheld() {
    for message in [
        "proto: (line 1:8): invalid value for bytes field key: \"secret\"",
        "proto:\u{a0}(line 1:8): invalid value for string field password: \"secret\"",
        "json: cannot unmarshal \"secret\" into Go value of type int64",
        "unknown value \"secret\" for enum etcdserverpb.RangeRequest_SortOrder",
        "invalid character 's' looking for beginning of value: secret",
    ] {
        let error = ServerError::new(Code::InvalidArgument, message);
        assert_eq!(error.kind(), EtcdError::UndecodableRequest);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        assert_eq!(
            (error.outcome(), error.retry(), error.fault()),
            (Outcome::NotApplied, Retry::Never, Fault::Caller)
        );
    }
}

#[test]
fn a_hostile_message_is_cut_and_escaped() {
    let error = ServerError::new(Code::Internal, &"\u{1b}[2J".repeat(10_000));
    assert!(error.message().len() < 10_000, "{}", error.message().len());
    assert!(!error.message().contains('\u{1b}'));
}
