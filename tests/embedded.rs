//! A client of an etcd in its own process.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use anyetcd::embedded::{self, Config, Dialect, EMBEDDED_ENDPOINT};
#[cfg(not(any(feature = "async-std", feature = "smol")))]
use anyetcd::error::InvalidArgument;
use anyetcd::transport::TransportErrorKind;
use anyetcd::{Client, ErrorKind, KeyValue, ObservationStatus, Put, Txn, prefix};

#[tokio::test]
async fn each_has_an_etcd_of_its_own_unless_they_share_one() {
    let (one, other) = (Client::embedded().unwrap(), Client::embedded().unwrap());
    one.put("key", "value").await.unwrap();
    assert_eq!(other.get("key").await.unwrap().count, 0);
    assert_ne!(one.cluster_id(), other.cluster_id());

    let server = embedded::start(Config::new().dialect(Dialect::G1_6)).unwrap();
    let one = Client::builder().embedded(&server).build().unwrap();
    let other = Client::builder().embedded(&server).connect().await.unwrap();
    one.put("key", "value").await.unwrap();
    assert_eq!(other.get("key").await.unwrap().count, 1);
    let status = one.maintenance().status(EMBEDDED_ENDPOINT).await.unwrap();
    assert_eq!(status.version, "3.4.23");
    assert_eq!(one.current_endpoint().to_string(), EMBEDDED_ENDPOINT);
}

#[tokio::test]
async fn it_may_go_by_other_endpoints_and_after_everyone_who_used_it() {
    let server = embedded::start(Config::new()).unwrap();
    let client = Client::builder()
        .endpoint("10.0.0.1")
        .embedded(&server)
        .build()
        .unwrap();
    drop(server);
    client.put("key", "value").await.unwrap();
    assert_eq!(client.endpoints().len(), 1);
    assert_eq!(client.current_endpoint().to_string(), "http://10.0.0.1:2379");
}

#[tokio::test(start_paused = true)]
async fn it_lives_on_the_clock_of_its_runtime() {
    let client = Client::embedded().unwrap();
    let lease = client.leases().grant(3600).await.unwrap();
    client.put("service", "10.0.0.1").lease(lease.id).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3599)).await;
    assert_eq!(client.get("service").await.unwrap().count, 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(client.get("service").await.unwrap().count, 0);
}

/// Its task ends with its runtime, and nobody follows the servers any more.
#[test]
fn a_mirror_whose_runtime_is_gone_says_so() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mirror = runtime.block_on(async {
        let client = Client::embedded().unwrap();
        client.put("key", "value").await.unwrap();
        client.mirror("key").await.unwrap()
    });
    assert!(!matches!(mirror.status(), ObservationStatus::Over));
    drop(runtime);
    assert!(matches!(mirror.status(), ObservationStatus::Over), "{mirror:?}");
    assert_eq!(mirror.len(), 1, "it still shows what it has");
}

/// No reader sees a part of a revision.
#[tokio::test]
async fn a_mirror_whose_values_cannot_be_made_ends_with_the_last_whole_revision() {
    let client = Client::embedded().unwrap();
    let before = client.put("k/a", "1").await.unwrap().header.revision;
    let decode = |kv: &KeyValue| kv.value_str().unwrap().parse::<i32>().unwrap();
    let mirror = client.mirror(prefix("k/")).decode(decode).await.unwrap();
    let both = Txn::new().then([Put::new("k/a", "2"), Put::new("k/b", "no number")]);
    client.txn(both).await.unwrap();
    mirror.sync().await.unwrap_err();
    assert!(matches!(mirror.status(), ObservationStatus::Over));
    assert_eq!((mirror.get("k/a"), mirror.len()), (Some(1), 1));
    assert_eq!(mirror.revision(), before);
}

/// Only Tokio has to run somewhere; the other two start when they are needed.
#[cfg(not(any(feature = "async-std", feature = "smol")))]
#[test]
fn without_a_runtime_there_is_none() {
    let error = Client::embedded().unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::InvalidArgument(InvalidArgument::NoRuntime)
        ),
        "{error}"
    );
}

#[cfg(any(feature = "async-std", feature = "smol"))]
#[test]
fn it_runs_where_nothing_else_does() {
    let client = Client::embedded().unwrap();
    smol::block_on(async {
        client.put("key", "value").await.unwrap();
        let error = client.leases().revoke(404).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Server(_)), "{error}");
    });
}

/// Nobody is left who could withdraw it, and that must not pass for having done so.
#[test]
fn a_registration_whose_runtime_has_shut_down_cannot_be_withdrawn() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registration = runtime.block_on(async {
        let client = Client::embedded().unwrap();
        let lease = client.lease(Duration::from_secs(60));
        lease.register([Put::new("key", "value")]).await.unwrap()
    });
    drop(runtime);
    let other = tokio::runtime::Runtime::new().unwrap();
    let error = other.block_on(registration.withdraw()).unwrap_err();
    let ErrorKind::Transport(error) = error.kind() else {
        panic!("{error:?}");
    };
    assert_eq!(error.kind(), TransportErrorKind::Shutdown);
}
