//! Users and roles.

use std::time::Duration;

use etcd_core::key::prefix;
use etcd_core::message::*;
use etcd_embedded::{CallOptions, Config, Dialect, OutputEvent, Response};

use super::world::{SECOND, World};

/// A root, and a user `ann` who may do everything below `ann/`.
pub fn enable(world: &mut World) {
    world.call(UserAdd::new("root", "root")).unwrap();
    world.call(RoleAdd::new("root")).unwrap();
    world.call(UserGrantRole::new("root", "root")).unwrap();
    world.call(UserAdd::new("ann", "ann")).unwrap();
    world.call(RoleAdd::new("ann")).unwrap();
    world
        .call(RoleGrantPermission::new(
            "ann",
            Permission::read_write(prefix("ann/")),
        ))
        .unwrap();
    world.call(UserGrantRole::new("ann", "ann")).unwrap();
    world.call(AuthEnable::default()).unwrap();
}

pub fn login(world: &mut World, user: &str) -> String {
    match world.call(Authenticate::new(user, user)) {
        Ok(Response::Authenticate(login)) => login.token.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_user_may_do_what_its_roles_permit() {
    let mut world = World::new();
    enable(&mut world);
    assert_eq!(world.fail(Get::new("ann/1")), "etcdserver: user name is empty");
    world.token = Some(login(&mut world, "ann"));
    world.put("ann/1", "");
    assert_eq!(world.keys(Get::new(prefix("ann/"))), ["ann/1"]);
    for denied in [Get::new("bob"), Get::new(..), Get::new(prefix("an"))] {
        assert_eq!(world.fail(denied), "etcdserver: permission denied");
    }
    let txn = Txn::when([Compare::version("bob").eq(0)]).then([Put::new("ann/2", "")]);
    assert_eq!(world.fail(txn), "etcdserver: permission denied");
}

#[test]
fn nobody_joins_a_lease_whose_keys_it_may_not_write() {
    let mut world = World::new();
    enable(&mut world);
    world.token = Some(login(&mut world, "root"));
    world.grant(7, 60);
    world.call(Put::new("root/1", "").lease(7)).unwrap();
    world.token = Some(login(&mut world, "ann"));
    assert_eq!(
        world.fail(Put::new("ann/1", "").lease(7)),
        "etcdserver: permission denied"
    );
    assert_eq!(world.fail(LeaseRevoke::new(7)), "etcdserver: permission denied");
}

#[test]
fn a_token_dies_of_disuse() {
    let mut world = World::with(Config::new().auth_token_ttl(3 * SECOND));
    enable(&mut world);
    world.token = Some(login(&mut world, "ann"));
    for _ in 0..5 {
        world.pass(2 * SECOND);
        world.put("ann/1", "");
    }
    world.pass(4 * SECOND);
    assert_eq!(world.fail(Get::new("ann/1")), "etcdserver: invalid auth token");
}

#[test]
fn a_new_password_ends_the_tokens_of_the_old_one() {
    let mut world = World::new();
    enable(&mut world);
    let ann = login(&mut world, "ann");
    world.token = Some(login(&mut world, "root"));
    world.call(UserChangePassword::new("ann", "new")).unwrap();
    world.token = Some(ann);
    assert_eq!(world.fail(Get::new("ann/1")), "etcdserver: invalid auth token");
    world.token = None;
    assert!(
        world
            .fail(Authenticate::new("ann", "ann"))
            .contains("authentication failed")
    );
    world.call(Authenticate::new("ann", "new")).unwrap();
}

#[test]
fn a_watch_outlives_the_token_it_began_with_but_begins_nothing_new() {
    let mut world = World::with(Config::new().auth_token_ttl(3 * SECOND));
    enable(&mut world);
    world.token = Some(login(&mut world, "ann"));
    let watch = world.watch(WatchCreate::new("ann/1"));
    world.pass(4 * SECOND);
    world.token = Some(login(&mut world, "ann"));
    world.put("ann/1", "");
    world.say(watch, WatchCreate::new("ann/2"));
    let heard = world.heard(watch);
    assert_eq!(heard[1].events.len(), 1);
    let reason = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";
    assert_eq!(heard[2].cancel_reason, reason);
}

#[test]
fn a_token_of_the_future_makes_a_call_wait() {
    let mut world = World::new();
    enable(&mut world);
    let options = CallOptions::new()
        .token("abcdefghijklmnop.20")
        .timeout(Duration::from_secs(9));
    let call = world.server.handle_call(world.now, Get::new("k"), options);
    world.pass(SECOND);
    assert!(world.told(call).is_empty());
    world.token = Some(login(&mut world, "root"));
    for _ in 0..20 {
        world.put("k", "");
    }
    let [OutputEvent::End(Err(status))] = &world.told(call)[..] else {
        panic!()
    };
    assert_eq!(status.message(), "etcdserver: invalid auth token");
}

#[test]
fn root_can_neither_go_nor_lose_its_role_while_it_matters() {
    let mut world = World::new();
    enable(&mut world);
    world.token = Some(login(&mut world, "root"));
    assert_eq!(
        world.fail(UserDelete::new("root")),
        "etcdserver: invalid auth management"
    );
    assert_eq!(
        world.fail(UserRevokeRole::new("root", "root")),
        "etcdserver: invalid auth management"
    );
    assert_eq!(
        world.fail(RoleDelete::new("root")),
        "etcdserver: invalid auth management"
    );
    world.call(AuthDisable::default()).unwrap();
    world.token = None;
    world.call(UserDelete::new("root")).unwrap();
}

#[test]
fn a_stale_token_hurts_older_servers_even_with_authentication_off() {
    for dialect in Dialect::ALL {
        let mut world = World::with(Config::new().dialect(dialect));
        world.token = Some("stale".into());
        let refused = world.call(Get::new("k")).is_err();
        assert_eq!(refused, dialect != Dialect::G2, "{dialect:?}");
    }
}

#[test]
fn an_emptied_password_lets_nobody_in_where_servers_hash_none() {
    for (dialect, lets_in) in [
        (Dialect::G1_6, true),
        (Dialect::G1_16, false),
        (Dialect::G2, false),
    ] {
        let mut world = World::with(Config::new().dialect(dialect));
        enable(&mut world);
        world.token = Some(login(&mut world, "root"));
        world.call(UserChangePassword::new("ann", "")).unwrap();
        world.call(UserAdd::new("bob", "")).unwrap();
        let answer = world.call(Authenticate::new("ann", ""));
        assert_eq!(answer.is_ok(), lets_in, "{dialect:?}: {answer:?}");
        // An empty one to begin with is a password like any other.
        assert!(world.call(Authenticate::new("bob", "")).is_ok(), "{dialect:?}");
    }
}

#[test]
fn who_comes_without_a_token_may_ask_about_the_user_without_a_name() {
    let mut world = World::new();
    enable(&mut world);
    assert_eq!(world.fail(UserGet::new("")), "etcdserver: user name not found");
    assert_eq!(world.fail(UserGet::new("ann")), "etcdserver: user name is empty");
}

#[test]
fn who_may_read_a_key_may_watch_everything_from_it_on() {
    for dialect in Dialect::ALL {
        let mut world = World::with(Config::new().dialect(dialect));
        enable(&mut world);
        world.token = Some(login(&mut world, "ann"));
        let watch = world.watch(WatchCreate::new("ann/1"..));
        let created = world.heard(watch).remove(0);
        assert!(created.created && !created.canceled, "{dialect:?}: {created:?}");
        let watch = world.watch(WatchCreate::new("ann/1".."b"));
        assert!(world.heard(watch).remove(0).canceled, "{dialect:?}");
    }
}

#[test]
fn permissions_reach_into_transactions_as_far_as_the_dialect_looks() {
    let nested = || Txn::new().then([Txn::new().then([Get::new("bob")])]);
    let put_with_previous = || Txn::new().then([Put::new("ann/w", "").prev_kv()]);
    let put_with_lease = || Txn::new().then([Put::new("ann/1", "").lease(7)]);
    for (dialect, looks) in [
        (Dialect::G1_6, false),
        (Dialect::G1_16, false),
        (Dialect::G2, true),
    ] {
        let mut world = World::with(Config::new().dialect(dialect));
        enable(&mut world);
        world.token = Some(login(&mut world, "root"));
        world.grant(7, 60);
        world.call(Put::new("root/1", "").lease(7)).unwrap();
        let write_only = Permission::write("ann/w");
        let everything = RoleRevokePermission::new("ann", prefix("ann/"));
        world.call(everything).unwrap();
        world.call(RoleGrantPermission::new("ann", write_only)).unwrap();
        world
            .call(RoleGrantPermission::new("ann", Permission::read_write("ann/1")))
            .unwrap();
        world.token = Some(login(&mut world, "ann"));
        for txn in [nested(), put_with_previous(), put_with_lease()] {
            let answer = world.call(txn.clone());
            assert_eq!(answer.is_err(), looks, "{dialect:?} {txn:?}: {answer:?}");
        }
        // On the outside, every dialect looks.
        assert!(world.call(Txn::new().then([Get::new("bob")])).is_err());
        assert!(world.call(Put::new("ann/w", "").prev_kv()).is_err());
    }
}

#[test]
fn alarms_of_3_4_pass_on_what_is_wrong_with_a_token_untranslated() {
    for (dialect, message) in [
        (Dialect::G1_6, "auth: invalid auth token"),
        (Dialect::G1_16, "etcdserver: invalid auth token"),
    ] {
        let mut world = World::with(Config::new().dialect(dialect));
        enable(&mut world);
        world.token = Some("nonsense".to_owned());
        assert_eq!(world.fail(Alarm::default()), message, "{dialect:?}");
    }
}
