//! The server's elections.

use anyetcd::message::LeaderKey;
use anyetcd::{Client, Compare, ErrorKind, EtcdError, Put, Txn};
use futures_util::future::join;

use super::World;
use super::line::{ENOUGH_TO_QUEUE, leaves_when_dropped, until_in_line};

async fn lease(client: &Client) -> i64 {
    client.leases().grant(600).await.unwrap().id
}

/// What the leader proclaims, `None` without one.
async fn leader(world: &World, name: &str) -> Option<String> {
    match world.client.elections().leader(name).await {
        Ok(response) => Some(response.kv.unwrap().value_str().unwrap().to_owned()),
        Err(error) => {
            assert_eq!(error.etcd(), Some(EtcdError::ElectionNoLeader), "{error}");
            None
        }
    }
}

async fn win(world: &World, name: &str, lease: i64, value: &str) -> LeaderKey {
    let won = world.client.elections().campaign(name, lease, value);
    won.await.unwrap().leader
}

pub(crate) async fn the_only_candidate_leads_until_it_resigns(world: World) {
    let (name, lease) = (world.key("e"), lease(&world.client).await);
    assert_eq!(leader(&world, &name).await, None);
    let won = win(&world, &name, lease, "me").await;
    assert_eq!((won.name.as_ref(), won.lease), (name.as_bytes(), lease));
    assert_eq!(won.key, format!("{name}/{lease:x}"));
    let kv = world.client.elections().leader(&name).await.unwrap().kv.unwrap();
    assert_eq!((&kv.key, kv.create_revision), (&won.key, won.revision));
    assert_eq!(kv.value_str(), Some("me"));
    world.client.elections().resign(won.clone()).await.unwrap();
    assert_eq!(leader(&world, &name).await, None);
    assert_eq!(world.client.get(&won.key).await.unwrap().count, 0);
    world.client.leases().revoke(lease).await.unwrap();
}

pub(crate) async fn a_leader_proclaims_other_values(world: World) {
    let (name, lease) = (world.key("e"), lease(&world.client).await);
    let won = win(&world, &name, lease, "one").await;
    world
        .client
        .elections()
        .proclaim(won.clone(), "two")
        .await
        .unwrap();
    assert_eq!(leader(&world, &name).await.as_deref(), Some("two"));
    world
        .client
        .elections()
        .proclaim(won.clone(), "")
        .await
        .unwrap();
    assert_eq!(leader(&world, &name).await.as_deref(), Some(""));
    // To campaign again is to proclaim.
    let again = win(&world, &name, lease, "three").await;
    assert_eq!(again, won);
    assert_eq!(leader(&world, &name).await.as_deref(), Some("three"));
    world.client.leases().revoke(lease).await.unwrap();
}

pub(crate) async fn who_does_not_lead_any_more_cannot_proclaim(world: World) {
    let (name, lease) = (world.key("e"), lease(&world.client).await);
    let won = win(&world, &name, lease, "me").await;
    world.client.leases().revoke(lease).await.unwrap();
    let error = world
        .client
        .elections()
        .proclaim(won, "still me")
        .await
        .unwrap_err();
    assert_eq!(error.etcd(), Some(EtcdError::ElectionNotLeader));
    assert!(!error.is_outcome_unknown());
    assert_eq!(leader(&world, &name).await, None);
}

pub(crate) async fn the_next_candidate_leads_when_the_leader_resigns(world: World) {
    let name = world.key("e");
    let (first, second) = (lease(&world.client).await, lease(&world.client).await);
    let won = win(&world, &name, first, "first").await;
    let resign = async {
        until_in_line(&world, &name, 2).await;
        assert_eq!(leader(&world, &name).await.as_deref(), Some("first"));
        world.client.elections().resign(won.clone()).await.unwrap();
    };
    let (next, ()) = join(win(&world, &name, second, "second"), resign).await;
    assert_eq!(next.lease, second);
    assert!(next.revision > won.revision);
    assert_eq!(leader(&world, &name).await.as_deref(), Some("second"));
    for lease in [first, second] {
        world.client.leases().revoke(lease).await.unwrap();
    }
}

pub(crate) async fn the_next_candidate_leads_when_the_leaders_lease_ends(world: World) {
    let name = world.key("e");
    let (first, second) = (lease(&world.client).await, lease(&world.client).await);
    win(&world, &name, first, "first").await;
    let revoke = async {
        until_in_line(&world, &name, 2).await;
        world.client.leases().revoke(first).await.unwrap();
    };
    join(win(&world, &name, second, "second"), revoke).await;
    assert_eq!(leader(&world, &name).await.as_deref(), Some("second"));
    world.client.leases().revoke(second).await.unwrap();
}

pub(crate) async fn a_dropped_candidate_leaves_the_line(world: World) {
    for attempt in 0..3 {
        if a_candidate_leaves(&world, &world.key(&format!("e{attempt}"))).await {
            return;
        }
    }
    panic!("no candidate that was dropped has left the line");
}

/// Whether a candidate that is dropped leaves the line, and the lead where it was.
async fn a_candidate_leaves(world: &World, name: &str) -> bool {
    let (first, second) = (lease(&world.client).await, lease(&world.client).await);
    win(world, name, first, "first").await;
    let waiting = world.client.elections().campaign(name, second, "second").into_future();
    let has_left = leaves_when_dropped(world, name, waiting).await;
    assert_eq!(leader(world, name).await.as_deref(), Some("first"));
    for lease in [first, second] {
        world.client.leases().revoke(lease).await.unwrap();
    }
    has_left
}

pub(crate) async fn a_campaign_that_is_not_won_in_time_is_given_up(world: World) {
    let name = world.key("e");
    let (first, second) = (lease(&world.client).await, lease(&world.client).await);
    win(&world, &name, first, "first").await;
    let late = world.client.elections().campaign(&name, second, "second");
    let error = late.timeout(ENOUGH_TO_QUEUE).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
    assert!(error.is_outcome_unknown());
    until_in_line(&world, &name, 1).await;
    for lease in [first, second] {
        world.client.leases().revoke(lease).await.unwrap();
    }
}

pub(crate) async fn no_lease_no_campaign(world: World) {
    let campaign = world.client.elections().campaign(world.key("e"), 0x0bad_1ea5, "me");
    assert_eq!(campaign.await.unwrap_err().etcd(), Some(EtcdError::LeaseNotFound));
    assert_eq!(leader(&world, &world.key("e")).await, None);
}

/// etcd issue 6278.
pub(crate) async fn an_election_is_not_held_up_by_keys_that_begin_like_it(world: World) {
    let (name, lease) = (world.key("e"), lease(&world.client).await);
    world.client.put(world.key("election"), "not a candidate").await.unwrap();
    assert_eq!(leader(&world, &name).await, None);
    win(&world, &name, lease, "me").await;
    assert_eq!(leader(&world, &name).await.as_deref(), Some("me"));
    world.client.leases().revoke(lease).await.unwrap();
}

pub(crate) async fn a_leadership_guards_a_transaction(world: World) {
    let (name, lease, key) = (world.key("e"), lease(&world.client).await, world.key("state"));
    let won = win(&world, &name, lease, "me").await;
    let guarded = || {
        Txn::when([Compare::create_revision(&won.key).eq(won.revision)]).then([Put::new(&key, "by the leader")])
    };
    assert!(world.client.txn(guarded()).await.unwrap().succeeded);
    world.client.elections().resign(won.clone()).await.unwrap();
    assert!(!world.client.txn(guarded()).await.unwrap().succeeded);
    world.client.leases().revoke(lease).await.unwrap();
}
