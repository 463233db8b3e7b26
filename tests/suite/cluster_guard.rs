//! Another cluster, or an older history of the same, behind a known address.

use anyetcd::ErrorKind;
use anyetcd::error::ClusterChanged;

use super::{Proxy, World};

pub(crate) async fn another_cluster_at_the_same_address_is_reported_until_a_client_is_made_anew(
    world: World,
) {
    let other = world.own_server();
    let proxy = Proxy::new(world.server().client_addr());
    let client = World::builder().endpoint(proxy.url()).build().unwrap();
    assert_eq!(client.cluster_id(), None);
    client.put(world.key("k"), "v").await.unwrap();
    let first = client.cluster_id().unwrap();

    proxy.lead_to(other.client_addr());
    for _ in 0..2 {
        let error = client.get(world.key("k")).await.unwrap_err();
        match error.kind() {
            ErrorKind::ClusterChanged(ClusterChanged::ClusterId { expected, actual }) => {
                assert_eq!(*expected, first);
                assert_ne!(*actual, first);
            }
            kind => panic!("{kind:?}"),
        }
        assert!(!error.is_outcome_unknown());
    }
    let error = client.put(world.key("k"), "v").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ClusterChanged(_)), "{error:?}");
    assert!(error.is_outcome_unknown());
    assert_eq!(client.cluster_id(), Some(first));

    let anew = World::builder().endpoint(proxy.url()).build().unwrap();
    anew.get(world.key("k")).await.unwrap();
    assert_ne!(anew.cluster_id(), Some(first));
}

pub(crate) async fn a_server_that_lost_its_data_is_reported_and_not_papered_over(world: World) {
    let mut server = world.own_server();
    let client = World::client_of(&server);
    let mut revision = 0;
    for value in ["1", "2", "3", "4", "5"] {
        revision = client.put("k", value).await.unwrap().header.revision;
    }
    server.restart_without_data();

    let error = client.get("k").await.unwrap_err();
    match error.kind() {
        ErrorKind::ClusterChanged(ClusterChanged::Revision { seen, actual }) => {
            assert_eq!(*seen, revision);
            assert!(actual < seen);
        }
        kind => panic!("{kind:?}"),
    }
    let error = client.put("k", "6").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ClusterChanged(_)), "{error:?}");
    assert!(error.is_outcome_unknown());

    let anew = World::client_of(&server);
    assert_eq!(anew.get("k").await.unwrap().first().unwrap().version, 1);
}
