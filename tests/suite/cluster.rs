//! Members: listed, added, promoted, updated, removed.

use std::fmt::Debug;
use std::time::Duration;

use anyetcd::message::MemberAdd;
use anyetcd::{Call, ErrorKind, EtcdError, Result};
use etcd_core::rpc::Request;
use etcd_process::Cluster;

use super::{World, eventually, unless_in_doubt};

/// A cluster takes no new member before its members have been connected for 5 s; the client waits for that.
const SETTLED: Duration = Duration::from_secs(60);

pub(crate) async fn a_learner_is_added_hands_calls_on_and_is_promoted_once_it_is_in_sync(world: World) {
    let mut cluster = Cluster::start(world.dialect, 1);
    let client = World::client_of(&cluster.members()[0]);
    client.put("k", "v").await.unwrap();
    let before = client.cluster().member_list().await.unwrap().members;
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].client_urls, cluster.client_urls());
    assert!(!before[0].is_learner && before[0].id != 0);

    let index = cluster.new_member();
    let peer_url = cluster.members()[index].peer_url();
    let added = client
        .call(MemberAdd::new([&peer_url]).learner())
        .timeout(SETTLED)
        .await
        .unwrap();
    let learner = added.member.id;
    assert!(added.member.is_learner && added.member.name.is_empty());
    assert_eq!((added.member.peer_urls, added.members.len()), (vec![peer_url], 2));
    // A busy server may need longer than that for an answer at all.
    let error = eventually("the learner is refused", || async {
        let promoted = client.cluster().member_promote(learner);
        let error = promoted.timeout(Duration::from_secs(2)).await.unwrap_err();
        (error.etcd() == Some(EtcdError::LearnerNotReady)).then_some(error)
    })
    .await;
    assert!(error.is_retry_safe());

    cluster.member_mut(index).spawn();
    let url = cluster.members()[index].client_url();
    eventually("the learner answers", || async {
        let status = client.maintenance().status(url).timeout(Duration::from_secs(5)).await.ok()?;
        status.is_learner.then_some(())
    })
    .await;
    let error = client.get("k").endpoint(url).await.unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::NotSupportedForLearner));
    let both = World::builder()
        .endpoints([url, cluster.members()[0].client_url()])
        .build()
        .unwrap();
    both.put("k", "w").await.unwrap();
    let other_way = World::builder()
        .endpoints([url, cluster.members()[0].client_url()])
        .build()
        .unwrap();
    assert_eq!(other_way.get("k").await.unwrap().first().unwrap().version, 2);

    // As soon as it votes the two have to agree on everything, and one of them has only just begun: they may be without a
    // leader for a while, and the answer to the promotion may be lost.
    let promote = async || match client.cluster().member_promote(learner).await {
        Err(error) if error.etcd() == Some(EtcdError::MemberNotLearner) => Some(()),
        promoted => {
            let members = unless_in_doubt(promoted)?.members;
            assert!(members.iter().all(|member| !member.is_learner));
            None
        }
    };
    eventually("it is promoted, and no learner any more", promote).await;
    eventually("the member votes", || async {
        client.get("k").endpoint(url).timeout(Duration::from_secs(5)).await.ok()
    })
    .await;
}

pub(crate) async fn a_member_that_has_not_started_is_updated_and_removed(world: World) {
    let mut cluster = Cluster::start(world.dialect, 1);
    let client = World::client_of(&cluster.members()[0]);
    let members = client.cluster();
    let index = cluster.new_member();
    let peer_url = cluster.members()[index].peer_url();
    let learner = client
        .call(MemberAdd::new([&peer_url]).learner())
        .timeout(SETTLED)
        .await
        .unwrap()
        .member
        .id;
    let moved = ["http://127.0.0.1:1", "http://127.0.0.1:2"];
    let updated = answered(|| members.member_update(learner, moved)).await.unwrap().members;
    let updated = updated.iter().find(|member| member.id == learner).unwrap();
    assert_eq!(updated.peer_urls, moved);

    let bad = members.member_add(["127.0.0.1"]).await.unwrap_err();
    assert_eq!(bad.etcd(), Some(EtcdError::MemberBadUrls));
    let unknown = answered(|| members.member_update(1, ["http://127.0.0.1:3"])).await;
    refused(unknown, EtcdError::MemberNotFound);
    let unknown = answered(|| members.member_promote(1)).await;
    refused(unknown, EtcdError::MemberNotFound);

    let removed = answered(|| members.member_remove(learner)).await.unwrap();
    assert_eq!(removed.members.len(), 1);
    let taken = MemberAdd::new([cluster.members()[0].peer_url()]).learner();
    let taken = answered(|| client.call(taken.clone())).await;
    refused(taken, EtcdError::PeerUrlExists);
    let again = answered(|| members.member_remove(learner)).await;
    refused(again, EtcdError::MemberNotFound);
    assert_eq!(members.member_list().await.unwrap().members.len(), 1);
}

/// Asks for a change of the members until that is answered: a leader that answers one a moment before it has done with it drops the
/// next, and says nothing (etcd's issue 14040).
async fn answered<R: Request>(change: impl Fn() -> Call<R>) -> Result<R::Response> {
    eventually("the change is answered", || async {
        match change().timeout(Duration::from_secs(5)).await {
            Err(error) if matches!(error.kind(), ErrorKind::Timeout(_)) => None,
            answer => Some(answer),
        }
    })
    .await
}

fn refused<T: Debug>(answer: Result<T>, expected: EtcdError) {
    let error = answer.unwrap_err();
    assert_eq!(error.etcd(), Some(expected), "{error:?}");
}
