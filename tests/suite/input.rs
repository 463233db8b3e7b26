//! What is refused before anything is sent.

use std::fmt::Debug;
use std::future::IntoFuture;
use std::io;
use std::net::TcpListener;

use anyetcd::error::{InvalidArgument as Invalid, InvalidEndpoint};
use anyetcd::message::{LeaderKey, MAX_LEASE_TTL, MAX_TXN_OPS};
use anyetcd::{
    Client, ClientBuilder, Compare, Delete, Error, ErrorKind, Get, Put, Result, SortOrder, SortTarget, Txn, TxnOp,
};
use etcd_core::codec::from_json;
use futures_util::FutureExt;

use super::World;

/// A client of a server that would notice if anybody came.
struct Untouched {
    listener: TcpListener,
    client: Client,
}

impl Untouched {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let client = World::builder().endpoint(endpoint).build().unwrap();
        Self { listener, client }
    }

    /// Asserts that each call is refused at its first poll, for this reason.
    fn assert_refused<T: Debug>(
        &self,
        reason: &Invalid,
        calls: impl IntoIterator<Item = impl IntoFuture<Output = Result<T>>>,
    ) {
        for call in calls {
            let answer = call.into_future().now_or_never();
            let error = answer.expect("refused at once").unwrap_err();
            assert_invalid(&error, reason);
        }
    }
}

impl Drop for Untouched {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let came = self.listener.accept().map(drop).unwrap_err();
            assert_eq!(came.kind(), io::ErrorKind::WouldBlock);
        }
    }
}

fn assert_invalid(error: &Error, reason: &Invalid) {
    match error.kind() {
        ErrorKind::InvalidArgument(actual) => assert_eq!(actual, reason),
        other => panic!("{other:?} instead of {reason:?}"),
    }
    assert!(!error.is_outcome_unknown());
}

pub(crate) async fn a_key_is_not_empty(_world: World) {
    let untouched = Untouched::new();
    let client = &untouched.client;
    untouched.assert_refused(&Invalid::EmptyKey, [client.put("", "v")]);
    untouched.assert_refused(&Invalid::EmptyKey, [client.get("")]);
    untouched.assert_refused(&Invalid::EmptyKey, [client.delete("")]);
    untouched.assert_refused(&Invalid::EmptyKey, [client.locks().unlock("")]);
    untouched.assert_refused(&Invalid::EmptyKey, [client.put("", "v").if_absent()]);
    untouched.assert_refused(&Invalid::EmptyKey, [client.delete("").if_value("v")]);
    let nested = Txn::new().otherwise([Txn::new().then([Put::new("", "v")])]);
    untouched.assert_refused(
        &Invalid::EmptyKey,
        [
            client.txn(Txn::when([Compare::version("").eq(0)])),
            client.txn(Txn::new().then([Get::new("")])),
            client.txn(Txn::new().then([Put::new("", "v")])),
            client.txn(Txn::new().otherwise([Delete::new("")])),
            client.txn(nested),
        ],
    );
    let mut pages = client.get("").pages().unwrap();
    untouched.assert_refused(&Invalid::EmptyKey, [Box::pin(pages.try_next())]);
}

pub(crate) async fn a_put_keeps_or_brings_but_not_both(_world: World) {
    let untouched = Untouched::new();
    let client = &untouched.client;
    untouched.assert_refused(
        &Invalid::ValueWithIgnoreValue,
        [client.put("k", "v").ignore_value()],
    );
    untouched.assert_refused(
        &Invalid::LeaseWithIgnoreLease,
        [client.put("k", "v").lease(7).ignore_lease()],
    );
    let inner = Put::new("k", "v").ignore_value();
    untouched.assert_refused(
        &Invalid::ValueWithIgnoreValue,
        [client.txn(Txn::new().then([inner]))],
    );
}

pub(crate) async fn a_lease_lives_for_a_time_that_servers_know(_world: World) {
    let untouched = Untouched::new();
    let leases = untouched.client.leases();
    for given in [0, -1, i64::MIN] {
        untouched.assert_refused(&Invalid::NonPositiveTtl { given }, [leases.grant(given)]);
    }
    for given in [MAX_LEASE_TTL + 1, i64::MAX] {
        let limit = MAX_LEASE_TTL;
        untouched.assert_refused(&Invalid::TtlTooLarge { given, limit }, [leases.grant(given)]);
    }
}

pub(crate) async fn a_lease_that_is_needed_is_named(_world: World) {
    let untouched = Untouched::new();
    let client = &untouched.client;
    untouched.assert_refused(&Invalid::NoLease, [client.leases().revoke(0)]);
    untouched.assert_refused(&Invalid::NoLease, [client.leases().keep_alive_once(0)]);
    untouched.assert_refused(&Invalid::NoLease, [client.leases().time_to_live(0)]);
    untouched.assert_refused(&Invalid::NoLease, [client.locks().lock("l", 0)]);
    untouched.assert_refused(&Invalid::NoLease, [client.elections().campaign("e", 0, "v")]);
}

pub(crate) async fn locks_and_elections_have_names(_world: World) {
    let untouched = Untouched::new();
    let (locks, elections) = (untouched.client.locks(), untouched.client.elections());
    untouched.assert_refused(&Invalid::EmptyName { what: "lock" }, [locks.lock("", 7)]);
    let election = Invalid::EmptyName { what: "election" };
    untouched.assert_refused(&election, [elections.campaign("", 7, "v")]);
    untouched.assert_refused(&election, [elections.leader("")]);
    untouched.assert_refused(&election, [elections.observe("")]);
    let nobody = LeaderKey::default;
    let leader = Invalid::Missing { what: "leader key" };
    untouched.assert_refused(&leader, [elections.proclaim(nobody(), "v")]);
    untouched.assert_refused(&leader, [elections.resign(nobody())]);
}

pub(crate) async fn a_transaction_keeps_to_its_limits(_world: World) {
    let untouched = Untouched::new();
    let client = &untouched.client;
    let gets = |count: usize| (0..count).map(|number| Get::new(format!("{number}")));
    let compares = (0..129).map(|number| Compare::version(format!("{number}")).eq(0));
    // Operations of a nested transaction count on top of those around it.
    let nested = Txn::new()
        .then(gets(64))
        .then([Txn::new().otherwise(gets(64))]);
    let too_many = Invalid::TooManyOps {
        given: MAX_TXN_OPS + 1,
        limit: MAX_TXN_OPS,
    };
    untouched.assert_refused(
        &too_many,
        [
            client.txn(Txn::new().then(gets(129))),
            client.txn(Txn::new().otherwise(gets(129))),
            client.txn(Txn::when(compares)),
            client.txn(nested),
        ],
    );

    let limit = etcd_core::rpc::MAX_TXN_DEPTH;
    let deep = (0..limit).fold(Txn::new(), |txn, _| Txn::new().then([txn]));
    untouched.assert_refused(&Invalid::NestedTooDeep { limit }, [client.txn(deep)]);
    untouched.assert_refused(
        &Invalid::EmptyOperation,
        [client.txn(Txn::new().then([TxnOp::Unknown]))],
    );
}

pub(crate) async fn a_transaction_does_not_keep_what_it_has_deleted(_world: World) {
    let untouched = Untouched::new();
    let client = &untouched.client;
    let delete = || Delete::new("b"..);
    let put = || Put::new("c", "").ignore_value();
    let apart = Txn::new()
        .then([Txn::new().otherwise([delete()])])
        .then([Txn::new().then([Put::new("b", "v").ignore_lease()])]);
    untouched.assert_refused(
        &Invalid::KeepsDeleted,
        [
            client.txn(Txn::new().then([delete()]).then([put()])),
            client.txn(Txn::new().otherwise([delete()]).otherwise([put()])),
            client.txn(apart),
        ],
    );
}

pub(crate) async fn a_read_sorts_by_what_is_known(_world: World) {
    let untouched = Untouched::new();
    let client = &untouched.client;
    let get: Get = from_json(br#"{"key":"aw==","sort_target":7}"#).unwrap();
    let target = || get.sort_target.clone();
    let ascending = || client.get("k").sort(target(), SortOrder::Ascend);
    untouched.assert_refused(&Invalid::UnknownSortTarget, [ascending()]);
    untouched.assert_refused(&Invalid::UnknownSortTarget, [client.txn(Txn::new().then([get.clone()]))]);
}

pub(crate) async fn what_a_transaction_keeps_before_or_beside_a_deletion_is_fine_with_servers(world: World) {
    // Of its own, since what is deleted has no upper bound.
    let server = world.own_server();
    let client = World::builder().endpoint(server.client_url()).build().unwrap();
    let delete = || Delete::new("k"..);
    let keep = || Put::new("k", "").ignore_value();
    for txn in [
        Txn::new().then([keep()]).then([delete()]),
        Txn::when([Compare::version("k").eq(0)]).then([delete()]).otherwise([keep()]),
        Txn::new().then([delete()]).then([Put::new("l", "v")]),
        Txn::new().then([Delete::new("l"..)]).then([keep()]),
    ] {
        client.put("k", "v").await.unwrap();
        client.txn(txn).await.unwrap();
    }
    assert_eq!(client.get("k").await.unwrap().kvs[0].value, "v");
}

pub(crate) async fn a_compaction_names_a_revision(_world: World) {
    let untouched = Untouched::new();
    for given in [0, -1] {
        let what = "the revision";
        let call = untouched.client.compact(given);
        untouched.assert_refused(&Invalid::NotPositive { what, given }, [call]);
    }
}

pub(crate) async fn administration_names_what_it_is_about(_world: World) {
    let untouched = Untouched::new();
    let (auth, cluster) = (untouched.client.auth(), untouched.client.cluster());
    let user = Invalid::EmptyName { what: "user" };
    untouched.assert_refused(&user, [auth.user_get("")]);
    untouched.assert_refused(&user, [auth.user_delete("")]);
    untouched.assert_refused(&user, [auth.user_grant_role("", "role")]);
    let role = Invalid::EmptyName { what: "role" };
    untouched.assert_refused(&role, [auth.role_add("")]);
    untouched.assert_refused(&role, [auth.user_grant_role("user", "")]);
    untouched.assert_refused(&Invalid::EmptyKey, [auth.role_revoke_permission("role", "")]);
    let none = Invalid::EmptyList { what: "peer URL" };
    untouched.assert_refused(&none, [cluster.member_add([""; 0])]);
    untouched.assert_refused(&none, [cluster.member_update(7, [""; 0])]);
    let version = Invalid::Missing { what: "version" };
    untouched.assert_refused(&version, [untouched.client.maintenance().downgrade_validate("")]);
}

pub(crate) async fn pages_come_in_the_order_of_their_keys(_world: World) {
    let untouched = Untouched::new();
    let get = || untouched.client.get(..);
    for (call, second) in [
        (get().count_only(), "count_only"),
        (get().sort(SortTarget::Mod, SortOrder::Descend), "an order other than by key"),
    ] {
        let first = "pages";
        assert_invalid(&call.pages().unwrap_err(), &Invalid::Conflict { first, second });
    }
}

const ENDPOINTS: [(&str, InvalidEndpoint); 7] = [
    ("", InvalidEndpoint::NotAUrl),
    ("http://", InvalidEndpoint::NotAUrl),
    ("http://host:99999", InvalidEndpoint::NotAUrl),
    ("ftp://host", InvalidEndpoint::Scheme),
    ("http://user:secret@host", InvalidEndpoint::UserInfo),
    ("http://host/path", InvalidEndpoint::Path),
    ("http://host?query", InvalidEndpoint::Path),
];

pub(crate) async fn a_call_goes_to_an_endpoint_that_can_be_used(_world: World) {
    let untouched = Untouched::new();
    for (endpoint, reason) in ENDPOINTS {
        let reason = Invalid::Endpoint(reason);
        untouched.assert_refused(&reason, [untouched.client.get("k").endpoint(endpoint)]);
        untouched.assert_refused(&reason, [untouched.client.maintenance().status(endpoint)]);
    }
}

pub(crate) async fn a_client_is_not_made_of_settings_that_cannot_work(_world: World) {
    let refused = |builder: ClientBuilder| builder.build().map(drop).unwrap_err();
    for (endpoint, reason) in ENDPOINTS {
        let error = refused(World::builder().endpoint("host").endpoint(endpoint));
        assert_invalid(&error, &Invalid::Endpoint(reason));
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
    let tls = Invalid::Endpoint(InvalidEndpoint::NeedsTls);
    assert_invalid(&refused(World::builder().endpoint("https://host")), &tls);
    assert_invalid(&refused(World::builder()), &Invalid::EmptyList { what: "endpoint" });
    let builder = || World::builder().endpoint("host");
    assert_invalid(
        &refused(builder().credentials("", "secret")),
        &Invalid::EmptyName { what: "user" },
    );
    let agent = "the user agent";
    assert_invalid(
        &refused(builder().user_agent("line\nbreak")),
        &Invalid::HeaderValue { what: agent },
    );
    let error = refused(builder().token("secret\nbreak"));
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument(Invalid::HeaderValue { .. })));
    assert!(!format!("{error:?} {error}").contains("secret"));
    let error = refused(builder().credentials("user", "secret").token("secret"));
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument(Invalid::Conflict { .. })));
}
