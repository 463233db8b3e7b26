//! Status, alarms, databases, leadership.

use std::time::{Duration, Instant};

use anyetcd::message::AlarmType;
use anyetcd::{ErrorKind, EtcdError};
use etcd_process::{Cluster, Dialect};

use super::{Server, World, eventually, unless_in_doubt, written};

pub(crate) async fn a_member_tells_its_version_size_and_leader(world: World) {
    let url = world.server().client_url();
    let status = world.client.maintenance().status(url).await.unwrap();
    assert_eq!(status.version, world.server().version());
    assert!(status.db_size > 0 && status.db_size_in_use > 0);
    assert!(status.raft_term > 0 && status.raft_index > 0);
    assert_eq!((status.leader, status.is_learner), (status.header.member_id, false));
    assert!(status.errors.is_empty());
}

pub(crate) async fn checksums_and_downgrades_are_asked_for_where_they_are_offered(world: World) {
    let server = world.own_server();
    let (client, url) = (World::client_of(&server), server.client_url());
    client.put("k", "v").await.unwrap();
    assert_ne!(client.maintenance().hash(url).await.unwrap().hash, 0);
    client.maintenance().defragment(url).await.unwrap();
    assert_eq!(client.get("k").await.unwrap().count, 1);

    match (world.dialect, client.maintenance().hash_kv(url, 0).await) {
        (Dialect::G2, Ok(answer)) => assert_ne!(answer.hash, 0),
        (Dialect::G1_6 | Dialect::G1_16, Err(error)) => {
            assert!(matches!(error.kind(), ErrorKind::Http(_)), "{error:?}");
        }
        (_, answer) => panic!("{answer:?}"),
    }

    if world.dialect == Dialect::G1_6 {
        let error = client.maintenance().downgrade_validate("3.3").await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Http(_)), "{error:?}");
        return;
    }
    let answer = client.maintenance().downgrade_validate("3.4").await.unwrap();
    assert!(answer.version.starts_with("3.5"), "{answer:?}");
    let error = client.maintenance().downgrade_validate("3.2").await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::InvalidDowngradeTargetVersion));
    let error = client.maintenance().downgrade_validate("older").await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::WrongDowngradeVersionFormat));
    let error = client.maintenance().downgrade_cancel().await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::NoInflightDowngrade));
}

pub(crate) async fn an_alarm_is_raised_listed_and_cleared(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let maintenance = client.maintenance();
    let member = maintenance.status(server.client_url()).await.unwrap().header.member_id;
    assert!(maintenance.alarms().await.unwrap().alarms.is_empty());

    let raised = maintenance.alarm_activate(AlarmType::NoSpace, member).await.unwrap();
    assert_eq!(raised.alarms.len(), 1);
    let listed = maintenance.alarms().await.unwrap().alarms;
    assert_eq!((listed[0].member_id, &listed[0].alarm), (member, &AlarmType::NoSpace));
    let error = client.put("k", "v").await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::NoSpace));
    let status = maintenance.status(server.client_url()).await.unwrap();
    assert!(!status.errors.is_empty());

    maintenance
        .alarm_deactivate(AlarmType::NoSpace, member)
        .await
        .unwrap();
    assert!(maintenance.alarms().await.unwrap().alarms.is_empty());
    client.put("k", "v").await.unwrap();
}

pub(crate) async fn a_full_database_refuses_puts_until_it_is_cleared(world: World) {
    let server = Server::builder(world.dialect).quota_backend_bytes(2 << 20).start();
    let (client, url) = (World::client_of(&server), server.client_url());
    let value = vec![b'v'; 200 << 10];
    let mut puts = 0;
    let error = loop {
        if let Err(error) = client.put("k", &value).await {
            break error;
        }
        puts += 1;
        assert!(puts < 100, "the quota does not hold");
    };
    assert_eq!(error.etcd(), Some(EtcdError::NoSpace));
    let maintenance = client.maintenance();
    let alarms = eventually("the alarm is raised", || async {
        let alarms = maintenance.alarms().await.unwrap().alarms;
        (!alarms.is_empty()).then_some(alarms)
    })
    .await;
    assert_eq!(alarms[0].alarm, AlarmType::NoSpace);
    let of_nobody = maintenance.alarm_deactivate(AlarmType::NoSpace, 0).await.unwrap();
    assert!(of_nobody.alarms.is_empty());
    assert_eq!(maintenance.alarms().await.unwrap().alarms, alarms);

    let newest = client.get("k").await.unwrap().header.revision;
    client.compact(newest).physical().await.unwrap();
    let before = maintenance.status(url).await.unwrap().db_size;
    maintenance.defragment(url).await.unwrap();
    assert!(maintenance.status(url).await.unwrap().db_size < before);
    maintenance.alarm_deactivate(AlarmType::NoSpace, alarms[0].member_id).await.unwrap();
    client.put("k", "small").await.unwrap();
}

pub(crate) async fn only_the_leader_hands_the_leadership_on(world: World) {
    let cluster = Cluster::start(world.dialect, 3);
    let client = World::builder().endpoints(cluster.client_urls()).build().unwrap();
    let maintenance = client.maintenance();
    let url = |index: usize| cluster.members()[index % 3].client_url();
    let long = Duration::from_secs(120);
    // Members that hear nothing of each other for a second elect another leader in between, and nothing can be said then.
    eventually("the leadership is handed on and not taken", || async {
        let leader = cluster.leader();
        let target = maintenance.status(url(leader + 1)).await.unwrap().header.member_id;
        let begun = Instant::now();
        let by_another = maintenance.move_leader(url(leader + 1), target).timeout(long).await;
        let took = begun.elapsed();
        let to_nobody = maintenance.move_leader(url(leader), 1).await;
        if cluster.leader() != leader {
            return None;
        }
        assert_eq!(by_another.unwrap_err().etcd(), Some(EtcdError::NotLeader));
        assert!(took < long / 2, "it was not said at once");
        assert_eq!(to_nobody.unwrap_err().etcd(), Some(EtcdError::BadLeaderTransferee));

        let moved = maintenance.move_leader(url(leader), target).await;
        if cluster.leader() == leader || moved.is_ok() {
            unless_in_doubt(moved)?;
        }
        (cluster.leader() == (leader + 1) % 3).then_some(())
    })
    .await;
    let member_list = client.cluster().member_list().await.unwrap().members;
    assert_eq!(member_list.len(), 3);
    written("a put", || client.put("k", "v")).await;
}
