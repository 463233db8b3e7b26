//! Clients with a password, on servers that forget their tokens.

use std::time::Duration;

use anyetcd::{Client, EtcdError};
use etcd_embedded::sim::{Disturbance, Faults, Schedule, World, seeds};

use crate::writers::{client, run};
use crate::writes::config;

/// The password of `root`.
pub(crate) const PASSWORD: &str = "secret";

/// Switches authentication on, with a user `root`.
pub(crate) async fn switch_on(world: &World) {
    let client = client(world);
    let auth = client.auth();
    auth.user_add("root", PASSWORD).await.unwrap();
    auth.user_grant_role("root", "root").await.unwrap();
    auth.enable().await.unwrap();
    // Until all members know.
    world.sleep(Duration::from_secs(1)).await;
}

fn with_password(world: &World, password: &str) -> Client {
    Client::builder()
        .endpoints(world.endpoints())
        .transport(world.runtime(), world.transport())
        .credentials("root", password)
        .build()
        .unwrap()
}

#[test]
fn writes_go_on_although_tokens_are_lost_again_and_again() {
    seeds(100, |seed| {
        let world = World::builder(seed).members(3).config(config(seed)).build();
        world.block_on(switch_on(&world));
        let schedule = Schedule::every(Duration::from_millis(200)).of([Disturbance::ExpireTokens]);
        world.follow(schedule);
        let counts = run(&world, (0..4).map(|_| with_password(&world, PASSWORD)), 10);
        assert_eq!(counts.not_made, 0, "{counts:?}");
    });
}

#[test]
fn no_write_is_made_twice_and_none_is_lost_when_all_else_fails_too() {
    seeds(100, |seed| {
        let world = World::builder(seed).members(3).config(config(seed)).build();
        world.block_on(switch_on(&world));
        world.network().set(Faults::rare());
        world.follow(Schedule::every(Duration::from_millis(500)));
        run(&world, (0..4).map(|_| with_password(&world, PASSWORD)), 10);
    });
}

#[test]
fn a_wrong_password_is_an_answer() {
    seeds(20, |seed| {
        let world = World::builder(seed).config(config(seed)).build();
        world.block_on(async {
            switch_on(&world).await;
            let refused = with_password(&world, "guess").put("k", "v").await.unwrap_err();
            assert_eq!(refused.etcd(), Some(EtcdError::AuthFailed));
        });
    });
}
