//! What ends an observation, and what does not.

use std::sync::Arc;
use std::time::Duration;

use anyetcd::message::Permission;
use anyetcd::{Client, EtcdError, Observed, prefix};
use etcd_embedded::sim::World;
use etcd_embedded::{Config, Dialect};
use futures_util::future::join;

use super::gate::Gate;
use crate::logins;

const SECOND: Duration = Duration::from_secs(1);

/// A client that logs in, whose calls may take so long, and whose watches go through a gate.
fn client(world: &World, user: &str, timeout: Duration) -> (Client, Arc<Gate>) {
    let gate = Gate::new(world, "/watch");
    let client = Client::builder()
        .endpoints(world.endpoints())
        .transport(world.runtime(), gate.clone())
        .credentials(user, logins::PASSWORD)
        .timeout(timeout)
        .build()
        .unwrap();
    (client, gate)
}

#[test]
fn a_token_that_was_refused_before_a_watch_came_too_late_ends_nothing() {
    // It says "permission denied" of stale tokens.
    let config = Config::new().dialect(Dialect::G1_16);
    let world = World::builder(1).config(config).build();
    world.block_on(async {
        logins::switch_on(&world).await;
        let (observer, gate) = client(&world, "root", SECOND);
        let (writer, _) = client(&world, "root", 10 * SECOND);
        let mut observe = observer.observe(prefix("k/")).await.unwrap();
        let snapshot = observe.try_next().await.unwrap();
        assert!(matches!(snapshot, Some(Observed::Snapshot { .. })));
        world.cluster().expire_tokens();
        // The one that is refused, and none for longer than a watch may take to begin.
        gate.close_after(1);
        let later = async {
            world.sleep(60 * SECOND).await;
            gate.open();
            writer.put("k/0", "v").await.unwrap().header.revision
        };
        let (told, written) = join(observe.try_next(), later).await;
        assert_eq!(told.unwrap().unwrap().revision(), written);
    });
}

#[test]
fn what_ends_it_while_it_catches_up_is_told_to_whoever_takes_what_comes_next() {
    let world = World::new(1);
    world.block_on(async {
        logins::switch_on(&world).await;
        let (root, _) = client(&world, "root", 10 * SECOND);
        let auth = root.auth();
        auth.role_add("reader").await.unwrap();
        let permission = Permission::read(prefix("k/"));
        auth.role_grant_permission("reader", permission).await.unwrap();
        auth.user_add("bob", logins::PASSWORD).await.unwrap();
        auth.user_grant_role("bob", "reader").await.unwrap();
        let (bob, gate) = client(&world, "bob", 60 * SECOND);
        let mut observe = bob.observe(prefix("k/")).await.unwrap();
        observe.caught_up().await.unwrap();
        assert!(observe.try_next().await.unwrap().is_some());

        // What it has to catch up with does not come before its permission is taken away.
        gate.close_after(0);
        gate.transport.cut();
        root.put("k/0", "v").await.unwrap();
        let later = async {
            world.sleep(SECOND).await;
            auth.user_revoke_role("bob", "reader").await.unwrap();
            gate.open();
        };
        let (caught_up, ()) = join(observe.caught_up(), later).await;
        assert_eq!(caught_up.unwrap_err().etcd(), Some(EtcdError::PermissionDenied));
        // It is over, even if the range could be read again, and whoever asks once more is told why.
        auth.user_grant_role("bob", "reader").await.unwrap();
        let again = observe.caught_up().await;
        assert_eq!(again.unwrap_err().etcd(), Some(EtcdError::PermissionDenied));
        let next = observe.try_next().await;
        assert_eq!(next.unwrap_err().etcd(), Some(EtcdError::PermissionDenied));
        assert_eq!(observe.try_next().await.unwrap(), None);
    });
}
