//! Transactions.

use std::cmp::Ordering;

use anyetcd::error::InvalidArgument;
use anyetcd::message::{Comparison, MAX_TXN_OPS, TxnResponse};
use anyetcd::{Compare, Delete, ErrorKind, EtcdError, Get, Put, Txn, TxnOp, TxnOpResponse, prefix};

use super::{Server, World};

async fn holds(world: &World, conditions: impl IntoIterator<Item = Compare>) -> bool {
    world
        .client
        .txn(Txn::when(conditions))
        .await
        .unwrap()
        .succeeded
}

/// The value that the operation at `index`, a read, found.
fn read(response: &TxnResponse, index: usize) -> Option<&str> {
    match &response.responses[index] {
        TxnOpResponse::Get(get) => get.first().map(|kv| kv.value_str().unwrap()),
        other => panic!("not the answer to a read: {other:?}"),
    }
}

pub(crate) async fn every_relation_holds_for_every_number_as_in_arithmetic(world: World) {
    let key = world.key("k");
    let lease = world.client.leases().grant(600).await.unwrap().id;
    let created = world.client.put(&key, "one").await.unwrap().header.revision;
    let put = world.client.put(&key, "two").lease(lease);
    let changed = put.await.unwrap().header.revision;

    type Target<'k> = fn(&'k String) -> Comparison<i64>;
    let targets: [(&str, i64, Target<'_>); 4] = [
        ("version", 2, |key| Compare::version(key)),
        ("create revision", created, |key| Compare::create_revision(key)),
        ("mod revision", changed, |key| Compare::mod_revision(key)),
        ("lease", lease, |key| Compare::lease(key)),
    ];
    for (name, stored, target) in targets {
        for given in [stored - 1, stored, stored + 1] {
            let expected = stored.cmp(&given);
            let relations = [
                (target(&key).eq(given), expected == Ordering::Equal),
                (target(&key).ne(given), expected != Ordering::Equal),
                (target(&key).gt(given), expected == Ordering::Greater),
                (target(&key).lt(given), expected == Ordering::Less),
            ];
            for (compare, expected) in relations {
                let what = format!("{name} {stored}: {compare:?}");
                assert_eq!(holds(&world, [compare]).await, expected, "{what}");
            }
        }
    }
    world.client.leases().revoke(lease).await.unwrap();
}

pub(crate) async fn values_compare_byte_by_byte(world: World) {
    let key = world.key("k");
    for stored in [&b""[..], b"b", b"b\0", b"\xff"] {
        world.client.put(&key, stored).await.unwrap();
        for given in [&b""[..], b"a", b"b", b"b\0", b"ba", b"\xff"] {
            let expected = stored.cmp(given);
            let target = || Compare::value(&key);
            assert_eq!(holds(&world, [target().eq(given)]).await, expected.is_eq());
            assert_eq!(holds(&world, [target().ne(given)]).await, expected.is_ne());
            assert_eq!(holds(&world, [target().gt(given)]).await, expected.is_gt());
            assert_eq!(holds(&world, [target().lt(given)]).await, expected.is_lt());
        }
    }
}

pub(crate) async fn an_absent_key_compares_as_zeros_and_without_a_value(world: World) {
    let key = world.key("absent");
    for zero in [
        Compare::version(&key).eq(0),
        Compare::create_revision(&key).eq(0),
        Compare::mod_revision(&key).eq(0),
        Compare::lease(&key).eq(0),
        Compare::version(&key).lt(1),
        Compare::mod_revision(&key).ne(1),
    ] {
        let what = format!("{zero:?}");
        assert!(holds(&world, [zero]).await, "{what}");
    }
    for value in [
        Compare::value(&key).eq(""),
        Compare::value(&key).ne("x"),
        Compare::value(&key).lt("x"),
        Compare::value(&key).gt(""),
    ] {
        let what = format!("{value:?}");
        assert!(!holds(&world, [value]).await, "{what}");
    }
}

pub(crate) async fn a_comparison_over_a_range_asks_it_of_every_key(world: World) {
    let first = world.client.put(world.key("r/a"), "same").await.unwrap();
    let last = world.client.put(world.key("r/b"), "same").await.unwrap();
    world.client.put(world.key("s"), "other").await.unwrap();
    let (first, last) = (first.header.revision, last.header.revision);
    let range = || prefix(world.key("r/"));
    let cases = [
        (Compare::value(range()).eq("same"), true),
        (Compare::version(range()).eq(1), true),
        (Compare::version(range()).gt(1), false),
        (Compare::mod_revision(range()).lt(last), false),
        (Compare::mod_revision(range()).lt(last + 1), true),
        (Compare::create_revision(range()).eq(first), false),
        (Compare::value(world.key("r/")..world.key("t")).eq("same"), false),
        // A range without keys is like one absent key.
        (Compare::version(prefix(world.key("none/"))).eq(0), true),
        (Compare::version(prefix(world.key("none/"))).gt(0), false),
        (Compare::value(prefix(world.key("none/"))).ne("x"), false),
    ];
    for (compare, expected) in cases {
        let what = format!("{compare:?}");
        assert_eq!(holds(&world, [compare]).await, expected, "{what}");
    }
}

pub(crate) async fn all_conditions_must_hold_for_the_first_branch(world: World) {
    let key = world.key("k");
    let txn = |conditions: Vec<Compare>| {
        Txn::new()
            .and(conditions)
            .then([Put::new(&key, "then")])
            .otherwise([Put::new(&key, "otherwise")])
    };
    let yes = || Compare::version(world.key("absent")).eq(0);
    let no = || Compare::version(world.key("absent")).gt(0);
    for (conditions, value) in [
        (vec![], "then"),
        (vec![yes()], "then"),
        (vec![yes(), yes()], "then"),
        (vec![yes(), no()], "otherwise"),
        (vec![no(), yes()], "otherwise"),
        (vec![no(), no()], "otherwise"),
    ] {
        let response = world.client.txn(txn(conditions)).await.unwrap();
        assert_eq!(response.succeeded, value == "then");
        let got = world.client.get(&key).await.unwrap();
        assert_eq!(got.first().unwrap().value_str(), Some(value));
    }
}

pub(crate) async fn answers_come_in_the_order_of_their_operations(world: World) {
    let (a, b) = (world.key("a"), world.key("b"));
    world.client.put(&b, "old").await.unwrap();
    let operations: [TxnOp; 6] = [
        Get::new(&a).into(),
        Put::new(&a, "new").into(),
        Get::new(&a).into(),
        Delete::new(&b).prev_kv().into(),
        Get::new(&b).into(),
        Txn::new().then([Get::new(&a)]).into(),
    ];
    let response = world.client.txn(Txn::new().then(operations)).await.unwrap();
    assert_eq!(response.responses.len(), 6);
    // A read sees what operations before it wrote.
    assert_eq!(read(&response, 0), None);
    assert!(matches!(&response.responses[1], TxnOpResponse::Put(_)));
    assert_eq!(read(&response, 2), Some("new"));
    let TxnOpResponse::Delete(deleted) = &response.responses[3] else {
        panic!("{response:?}")
    };
    assert_eq!((deleted.deleted, deleted.prev_kvs[0].value_str()), (1, Some("old")));
    assert_eq!(read(&response, 4), None);
    let TxnOpResponse::Txn(inner) = &response.responses[5] else {
        panic!("{response:?}")
    };
    assert_eq!((inner.succeeded, read(inner, 0)), (true, Some("new")));
}

pub(crate) async fn all_writes_of_a_transaction_share_one_revision(world: World) {
    let puts = (0..10).map(|number| Put::new(world.key(&format!("k{number}")), "v"));
    let response = world.client.txn(Txn::new().then(puts)).await.unwrap();
    let revision = response.header.revision;
    for answer in &response.responses {
        let TxnOpResponse::Put(put) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(put.header.revision, revision);
    }
    let got = world.client.get(prefix(world.key(""))).await.unwrap();
    assert_eq!(got.count, 10);
    assert!(
        got.kvs
            .iter()
            .all(|kv| kv.create_revision == revision && kv.mod_revision == revision)
    );
}

pub(crate) async fn transactions_nest_each_with_its_own_conditions(world: World) {
    let key = world.key("k");
    let inner = Txn::when([Compare::value(&key).eq("outer")])
        .then([Put::new(world.key("inner"), "then")])
        .otherwise([Put::new(world.key("inner"), "otherwise")]);
    world.client.put(&key, "outer").await.unwrap();
    let outer = Txn::when([Compare::version(&key).gt(0)]).then([TxnOp::from(inner)]);
    let response = world.client.txn(outer.clone()).await.unwrap();
    let TxnOpResponse::Txn(nested) = &response.responses[0] else {
        panic!("{response:?}")
    };
    assert!(response.succeeded && nested.succeeded);
    world.client.put(&key, "changed").await.unwrap();
    let response = world.client.txn(outer).await.unwrap();
    let TxnOpResponse::Txn(nested) = &response.responses[0] else {
        panic!("{response:?}")
    };
    assert!(response.succeeded && !nested.succeeded);
    let got = world.client.get(world.key("inner")).await.unwrap();
    assert_eq!(got.first().unwrap().value_str(), Some("otherwise"));
}

pub(crate) async fn transactions_nest_as_deep_as_the_client_lets_them(world: World) {
    let key = world.key("k");
    let mut txn = Txn::new().then([Put::new(&key, "deep")]);
    for _ in 1..etcd_core::rpc::MAX_TXN_DEPTH {
        txn = Txn::new().then([txn]);
    }
    let mut response = world.client.txn(txn).await.unwrap();
    let mut levels = 1;
    while let Some(TxnOpResponse::Txn(inner)) = response.responses.pop() {
        response = inner;
        levels += 1;
    }
    assert_eq!(levels, etcd_core::rpc::MAX_TXN_DEPTH);
    assert_eq!(world.client.get(&key).await.unwrap().count, 1);
}

pub(crate) async fn a_key_cannot_be_changed_twice(world: World) {
    let (key, range) = (world.key("k"), prefix(world.key("")));
    let twice: [[TxnOp; 2]; 4] = [
        [Put::new(&key, "1").into(), Put::new(&key, "2").into()],
        [Put::new(&key, "1").into(), Delete::new(&key).into()],
        [Delete::new(range.clone()).into(), Put::new(&key, "1").into()],
        [
            Put::new(&key, "1").into(),
            Txn::new().then([Put::new(&key, "2")]).into(),
        ],
    ];
    for operations in twice {
        let what = format!("{operations:?}");
        let error = world
            .client
            .txn(Txn::new().then(operations))
            .await
            .unwrap_err();
        assert_eq!(error.etcd(), Some(EtcdError::DuplicateKey), "{what}");
        assert!(!error.is_outcome_unknown(), "{what}");
    }
    assert_eq!(world.client.get(&key).await.unwrap().count, 0);
    // Not twice: the branches exclude each other, and two deletions may overlap.
    let branches = Txn::new()
        .then([Put::new(&key, "1")])
        .otherwise([Put::new(&key, "2")]);
    assert!(world.client.txn(branches).await.unwrap().succeeded);
    let deletions = Txn::new().then([Delete::new(&key), Delete::new(range)]);
    assert!(world.client.txn(deletions).await.unwrap().succeeded);
}

pub(crate) async fn a_failed_operation_leaves_nothing_of_its_transaction(world: World) {
    let key = world.key("k");
    let operations = [Put::new(&key, "v"), Put::new(world.key("l"), "v").lease(0x0bad_1ea5)];
    let error = world
        .client
        .txn(Txn::new().then(operations))
        .await
        .unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::LeaseNotFound));
    assert_eq!(world.client.get(&key).await.unwrap().count, 0);
}

pub(crate) async fn reads_of_a_transaction_have_all_options(world: World) {
    let old = world
        .client
        .put(world.key("a"), "old")
        .await
        .unwrap()
        .header
        .revision;
    world.client.put(world.key("a"), "new").await.unwrap();
    world.client.put(world.key("b"), "new").await.unwrap();
    let reads = [
        Get::new(world.key("a")).revision(old),
        Get::new(prefix(world.key(""))).limit(1),
        Get::new(prefix(world.key(""))).count_only(),
    ];
    let response = world
        .client
        .txn(Txn::new().then(reads))
        .await
        .unwrap();
    assert_eq!(read(&response, 0), Some("old"));
    let [_, TxnOpResponse::Get(cut), TxnOpResponse::Get(counted)] = &response.responses[..] else {
        panic!("{response:?}")
    };
    assert_eq!((cut.kvs.len(), cut.count, cut.more), (1, 2, true));
    assert_eq!((counted.kvs.len(), counted.count), (0, 2));
}

fn puts(world: &World, count: usize) -> Txn {
    Txn::new().then((0..count).map(|number| Put::new(world.key(&number.to_string()), "v")))
}

pub(crate) async fn the_most_operations_are_accepted_and_one_more_is_not_sent(world: World) {
    let most = world.client.txn(puts(&world, MAX_TXN_OPS)).await.unwrap();
    assert_eq!(most.responses.len(), MAX_TXN_OPS);
    let error = world
        .client
        .txn(puts(&world, MAX_TXN_OPS + 1))
        .await
        .unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::InvalidArgument(InvalidArgument::TooManyOps {
            given: 129,
            limit: 128
        })
    ));
}

pub(crate) async fn a_client_and_a_server_can_agree_on_more_operations(world: World) {
    let server = Server::builder(world.dialect).max_txn_ops(200).start();
    let willing = World::builder()
        .endpoint(server.client_url())
        .max_txn_ops(200)
        .build()
        .unwrap();
    let response = willing.txn(puts(&world, 200)).await.unwrap();
    assert_eq!(response.responses.len(), 200);
    assert_eq!(willing.get(prefix(world.key(""))).await.unwrap().count, 200);
    assert!(
        World::client_of(&server)
            .txn(puts(&world, 200))
            .await
            .is_err()
    );

    // Where only the client was told, the server says no, and that it did nothing.
    let mistaken = World::builder()
        .endpoint(world.server().client_url())
        .max_txn_ops(200)
        .build()
        .unwrap();
    let error = mistaken.txn(puts(&world, 200)).await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::TooManyOps));
    assert!(!error.is_outcome_unknown());
}
