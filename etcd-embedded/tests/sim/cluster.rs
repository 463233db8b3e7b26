//! Members that share a log.

use std::time::Duration;

use etcd_embedded::sim::World;
use etcd_embedded::{Config, Dialect, Server};
use serde_json::Value;

use crate::steps::{
    Answer, Caller, FOO, FOO_AS_IS, FOO_BAR, PUT, RANGE, WATCH, WATCH_FOO, revision, seconds,
};

fn three(seed: u64) -> (World, Caller) {
    let world = World::builder(seed).members(3).build();
    let caller = Caller::new(&world);
    (world, caller)
}

/// The leader, and another member.
fn roles(world: &World) -> (usize, usize) {
    let leader = world.cluster().leader().unwrap();
    (leader, (leader + 1) % 3)
}

/// Cuts the followers off, so that nobody has a majority, and waits until everyone knows.
async fn lose_quorum(world: &World) {
    world.cluster().isolate(0);
    world.cluster().isolate(1);
    world.sleep(seconds(3)).await;
    assert_eq!(world.cluster().leader(), None);
}

fn error(answer: &Answer) -> (u16, &str, &Value) {
    (
        answer.status,
        answer.body["message"].as_str().unwrap_or_default(),
        &answer.body["code"],
    )
}

#[test]
fn a_write_at_any_member_is_read_at_every_other() {
    for seed in 0..20 {
        let (world, caller) = three(seed);
        world.block_on(async {
            for member in 0..3 {
                let put = caller.get(member, PUT, FOO_BAR).await;
                for reader in 0..3 {
                    let read = caller.get(reader, RANGE, FOO).await;
                    assert_eq!(read["kvs"][0]["mod_revision"], put["header"]["revision"]);
                }
            }
        });
    }
}

#[test]
fn members_have_ids_of_their_own_in_one_cluster() {
    let (world, caller) = three(1);
    world.block_on(async {
        let leader = world.cluster().leader().unwrap();
        let mut answers = Vec::new();
        for member in 0..3 {
            answers.push(caller.get(member, "/v3/maintenance/status", "{}").await);
        }
        let leader = answers[leader]["header"]["member_id"].clone();
        for answer in &answers {
            assert_eq!(answer["header"]["cluster_id"], answers[0]["header"]["cluster_id"]);
            assert_eq!(answer["leader"], leader);
        }
        assert_ne!(
            answers[0]["header"]["member_id"],
            answers[1]["header"]["member_id"]
        );
        let list = caller.get(0, "/v3/cluster/member/list", "{}").await;
        let urls: Vec<_> = list["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| &member["clientURLs"][0])
            .collect();
        assert_eq!(
            urls,
            [
                "http://member-0.sim",
                "http://member-1.sim",
                "http://member-2.sim"
            ]
        );
    });
}

#[test]
fn a_member_that_lags_serves_its_own_state_unless_asked_for_the_newest() {
    let (world, caller) = three(1);
    world.block_on(async {
        let (leader, follower) = roles(&world);
        world.cluster().set_lag(follower, seconds(2));
        caller.get(leader, PUT, FOO_BAR).await;
        let stale = caller.get(follower, RANGE, FOO_AS_IS).await;
        assert!(stale["kvs"].is_null(), "{stale}");
        let before = world.now();
        let newest = caller.get(follower, RANGE, FOO).await;
        assert_eq!(newest["kvs"][0]["value"], "YmFy");
        assert!(
            world.now() - before > seconds(1),
            "it waited until the member had it"
        );
    });
}

#[test]
fn a_watch_at_a_member_that_lags_is_late_and_complete() {
    let (world, caller) = three(1);
    world.block_on(async {
        let (leader, follower) = roles(&world);
        world.cluster().set_lag(follower, seconds(2));
        let mut watch = caller.open(follower, WATCH, WATCH_FOO).await.unwrap();
        watch.line().await;
        for _ in 0..3 {
            caller.get(leader, PUT, FOO_BAR).await;
        }
        assert_eq!(watch.line_within(&world, seconds(1)).await, None);
        for expected in 2..5 {
            assert_eq!(revision(&watch.line().await["result"]), expected);
        }
    });
}

#[test]
fn without_a_majority_a_write_waits_seven_seconds_and_fails_as_its_dialect_words_it() {
    for (dialect, status, code) in [
        (Dialect::G1_6, 500, 2),
        (Dialect::G1_16, 500, 2),
        (Dialect::G2, 504, 4),
    ] {
        let world = World::builder(1)
            .members(3)
            .config(Config::new().dialect(dialect))
            .build();
        let caller = Caller::new(&world);
        world.block_on(async {
            lose_quorum(&world).await;
            for (path, body) in [
                (PUT, FOO_BAR),
                ("/v3/lease/grant", r#"{"TTL":"5"}"#),
                ("/v3/lock/lock", r#"{"name":"TA==","lease":"7"}"#),
            ] {
                let before = world.now();
                let answer = caller.post(2, path, body).await.unwrap();
                let waited = world.now() - before;
                assert!(
                    (seconds(7)..Duration::from_millis(7100)).contains(&waited),
                    "{waited:?}"
                );
                assert_eq!(
                    error(&answer),
                    (status, "context deadline exceeded", &code.into()),
                    "{path}"
                );
            }
        });
    }
}

#[test]
fn without_a_majority_reads_of_the_newest_time_out_and_others_do_not() {
    let (world, caller) = three(1);
    world.block_on(async {
        caller.get(0, PUT, FOO_BAR).await;
        lose_quorum(&world).await;
        let answer = caller.post(2, RANGE, FOO).await.unwrap();
        assert_eq!(error(&answer), (503, "etcdserver: request timed out", &14.into()));
        let read = caller.get(2, RANGE, FOO_AS_IS).await;
        assert_eq!(read["kvs"][0]["value"], "YmFy");
        let status = caller.get(2, "/v3/maintenance/status", "{}").await;
        assert!(status["leader"].is_null());
        assert_eq!(status["errors"][0], "etcdserver: no leader");
        let (status, text) = caller.look(2, "/health").await;
        assert_eq!(
            (status, text.trim()),
            (503, r#"{"health":"false","reason":"RAFT NO LEADER"}"#)
        );
    });
}

#[test]
fn what_is_wrong_with_a_request_is_said_without_a_majority_too() {
    let (world, caller) = three(1);
    world.block_on(async {
        lose_quorum(&world).await;
        let answer = caller.post(2, PUT, "{}").await.unwrap();
        assert_eq!(
            error(&answer),
            (400, "etcdserver: key is not provided", &3.into())
        );
        let answer = caller.post(2, RANGE, "{}").await.unwrap();
        assert_eq!(
            error(&answer),
            (400, "etcdserver: key is not provided", &3.into())
        );
    });
}

#[test]
fn calls_that_demand_a_leader_are_refused_at_once_where_there_is_none() {
    let (world, caller) = three(1);
    let caller = caller.requiring_leader();
    world.block_on(async {
        lose_quorum(&world).await;
        let before = world.now();
        for (path, body) in [(PUT, FOO_BAR), (RANGE, FOO_AS_IS)] {
            let answer = caller.post(2, path, body).await.unwrap();
            assert_eq!(error(&answer), (503, "etcdserver: no leader", &14.into()));
        }
        let mut watch = caller.open(2, WATCH, WATCH_FOO).await.unwrap();
        assert_eq!(watch.status, 503);
        assert_eq!(watch.line().await["error"]["message"], "etcdserver: no leader");
        assert!(world.now() - before < seconds(1));
    });
}

#[test]
fn a_stream_that_demands_a_leader_ends_some_seconds_after_the_leader_and_others_stay() {
    let (world, caller) = three(1);
    let demanding = caller.clone().requiring_leader();
    world.block_on(async {
        let mut ends = demanding.open(2, WATCH, WATCH_FOO).await.unwrap();
        let mut stays = caller.open(2, WATCH, WATCH_FOO).await.unwrap();
        ends.line().await;
        stays.line().await;
        let before = world.now();
        world.cluster().isolate(0);
        world.cluster().isolate(1);
        let last = ends.line().await;
        assert_eq!(last["error"]["message"], "etcdserver: no leader");
        assert_eq!(ends.next().await.unwrap(), None);
        let waited = world.now() - before;
        assert!((seconds(3)..seconds(5)).contains(&waited), "{waited:?}");

        assert_eq!(stays.line_within(&world, seconds(10)).await, None);
        world.cluster().heal();
        world.sleep(seconds(3)).await;
        caller.get(0, PUT, FOO_BAR).await;
        assert_eq!(revision(&stays.line().await["result"]), 2);
    });
}

#[test]
fn another_member_leads_when_the_leader_crashes_and_nothing_acknowledged_is_lost() {
    for seed in 0..50 {
        let (world, caller) = three(seed);
        world.block_on(async {
            let (leader, follower) = roles(&world);
            let put = caller.get(follower, PUT, FOO_BAR).await;
            world.cluster().crash(leader);
            world.sleep(seconds(3)).await;
            assert_ne!(world.cluster().leader().unwrap(), leader);
            let read = caller.get(follower, RANGE, FOO).await;
            assert_eq!(read["kvs"][0]["mod_revision"], put["header"]["revision"]);
            world.cluster().restart(leader);
            world.sleep(seconds(1)).await;
            let read = caller.get(leader, RANGE, FOO).await;
            assert_eq!(read["kvs"][0]["mod_revision"], put["header"]["revision"]);
        });
    }
}

#[test]
fn a_read_under_way_when_the_leader_changes_is_told_so() {
    let (world, caller) = three(1);
    world.block_on(async {
        let (leader, follower) = roles(&world);
        world.cluster().crash(leader);
        let answer = caller.post(follower, RANGE, FOO).await.unwrap();
        assert_eq!(error(&answer), (503, "etcdserver: leader changed", &14.into()));
    });
}

#[test]
fn a_write_under_way_when_the_leader_crashes_times_out_made_or_not() {
    let mut made = 0;
    for seed in 0..100 {
        let (world, caller) = three(seed);
        world.block_on(async {
            let (leader, follower) = roles(&world);
            let put = caller.clone();
            world.spawn(async move {
                let answer = put.post(follower, PUT, FOO_BAR).await.unwrap();
                assert!(answer.status == 200 || answer.body["message"] == "etcdserver: request timed out");
            });
            world.sleep(Duration::from_micros(1200)).await;
            world.cluster().crash(leader);
            world.sleep(seconds(10)).await;
            let read = caller.get(follower, RANGE, FOO).await;
            made += usize::from(!read["kvs"].is_null());
        });
    }
    assert!(made > 0 && made < 100, "{made}");
}

#[test]
fn a_leader_that_was_cut_off_too_briefly_to_be_missed_goes_on() {
    let (world, caller) = three(1);
    world.block_on(async {
        let (leader, follower) = roles(&world);
        world.cluster().isolate(leader);
        world.sleep(Duration::from_millis(500)).await;
        world.cluster().heal();
        caller.get(follower, PUT, FOO_BAR).await;
        assert_eq!(world.cluster().leader(), Some(leader));
    });
}

#[test]
fn moving_the_leader_breaks_no_stream() {
    let (world, caller) = three(1);
    let demanding = caller.clone().requiring_leader();
    world.block_on(async {
        let mut watch = demanding.open(0, WATCH, WATCH_FOO).await.unwrap();
        watch.line().await;
        for round in 0..10 {
            world.cluster().move_leader(round % 3);
            assert_eq!(world.cluster().leader(), Some(round % 3));
            // A write that reaches the old leader before it knows is lost, as in raft.
            world.sleep(Duration::from_millis(2)).await;
            caller.get((round + 1) % 3, PUT, FOO_BAR).await;
            assert_eq!(
                revision(&watch.line().await["result"]),
                2 + i64::try_from(round).unwrap()
            );
        }
    });
}

#[test]
fn a_client_may_move_the_leader_at_the_leader_only() {
    let (world, caller) = three(1);
    world.block_on(async {
        let (leader, follower) = roles(&world);
        let id = world.cluster().inspect(follower, Server::member_id);
        let target = format!(r#"{{"targetID":"{id}"}}"#);
        let path = "/v3/maintenance/transfer-leadership";
        let answer = caller.post(follower, path, &target).await.unwrap();
        assert_eq!(answer.body["message"], "etcdserver: not leader");
        caller.get(leader, path, &target).await;
        assert_eq!(world.cluster().leader(), Some(follower));
    });
}

#[test]
fn a_lock_passes_on_between_clients_at_different_members() {
    let (world, caller) = three(1);
    world.block_on(async {
        for lease in [7, 8] {
            caller
                .get(0, "/v3/lease/grant", &format!(r#"{{"TTL":"60","ID":"{lease}"}}"#))
                .await;
        }
        let first = caller
            .get(0, "/v3/lock/lock", r#"{"name":"TA==","lease":"7"}"#)
            .await;
        let second = caller.clone();
        let waiting = std::pin::pin!(async {
            second
                .get(1, "/v3/lock/lock", r#"{"name":"TA==","lease":"8"}"#)
                .await
        });
        let patience = std::pin::pin!(world.sleep(seconds(5)));
        let futures_util::future::Either::Right((_, waiting)) =
            futures_util::future::select(waiting, patience).await
        else {
            panic!("two hold the lock");
        };
        let key = first["key"].as_str().unwrap();
        caller
            .get(2, "/v3/lock/unlock", &format!(r#"{{"key":"{key}"}}"#))
            .await;
        assert_ne!(waiting.await["key"], first["key"]);
    });
}

#[test]
fn a_waiter_that_goes_away_gives_its_place_up() {
    let (world, caller) = three(1);
    world.block_on(async {
        for lease in [7, 8] {
            caller
                .get(0, "/v3/lease/grant", &format!(r#"{{"TTL":"60","ID":"{lease}"}}"#))
                .await;
        }
        caller
            .get(0, "/v3/lock/lock", r#"{"name":"TA==","lease":"7"}"#)
            .await;
        {
            let waiting = std::pin::pin!(caller.post(1, "/v3/lock/lock", r#"{"name":"TA==","lease":"8"}"#));
            futures_util::future::select(waiting, std::pin::pin!(world.sleep(seconds(1)))).await;
            let places = caller.get(2, RANGE, r#"{"key":"TC8=","range_end":"TDA="}"#).await;
            assert_eq!(places["count"], "2");
        }
        world.sleep(seconds(1)).await;
        let places = caller.get(2, RANGE, r#"{"key":"TC8=","range_end":"TDA="}"#).await;
        assert_eq!(places["count"], "1");
    });
}

#[test]
fn a_token_of_one_member_is_good_at_all_and_lost_with_a_restart() {
    let (world, caller) = three(1);
    world.block_on(async {
        for (path, body) in [
            ("/v3/auth/user/add", r#"{"name":"root","password":"pw"}"#),
            ("/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#),
            ("/v3/auth/enable", "{}"),
        ] {
            caller.get(0, path, body).await;
        }
        let login = caller
            .get(1, "/v3/auth/authenticate", r#"{"name":"root","password":"pw"}"#)
            .await;
        let token = login["token"].as_str().unwrap();
        for member in 0..3 {
            let answer = caller.clone().post_as(member, PUT, FOO_BAR, token).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        world.cluster().crash(2);
        world.cluster().restart(2);
        world.sleep(seconds(3)).await;
        assert_eq!(caller.post_as(2, PUT, FOO_BAR, token).await.status, 401);
        assert_eq!(caller.post_as(0, PUT, FOO_BAR, token).await.status, 200);
        world.cluster().expire_tokens();
        assert_eq!(caller.post_as(0, PUT, FOO_BAR, token).await.status, 401);
    });
}

#[test]
fn a_compaction_reaches_every_member() {
    let (world, caller) = three(1);
    world.block_on(async {
        for _ in 0..3 {
            caller.get(0, PUT, FOO_BAR).await;
        }
        world.cluster().compact_at_worst_moment();
        world.sleep(seconds(1)).await;
        for member in 0..3 {
            let compacted = world
                .cluster()
                .inspect(member, |server| server.store().compact_revision());
            assert_eq!(compacted, 4);
        }
    });
}
