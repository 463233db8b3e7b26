//! What a mirror says of how it is doing.

use std::time::Duration;

use anyetcd::error::ClusterChanged;
use anyetcd::{ErrorKind, ObservationStatus, prefix};
use etcd_embedded::sim::{World, seeds};

use super::gate::Gate;
use crate::writers::{client, client_on};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_mirror_whose_range_cannot_be_read_again_does_not_say_that_it_is_following() {
    let world = World::new(1);
    let gate = Gate::new(&world, "/kv/range");
    let reader = client_on(&world, gate.clone());
    let writer = client(&world);
    world.block_on(async {
        writer.put("k/0", "v").await.unwrap();
        let mirror = reader.mirror(prefix("k/")).await.unwrap();
        world.sleep(SECOND).await;
        assert!(matches!(mirror.status(), ObservationStatus::Following));

        gate.transport.refuse();
        writer.put("k/1", "v").await.unwrap();
        let newest = writer.put("k/2", "v").await.unwrap().header.revision;
        writer.compact(newest).await.unwrap();
        gate.close_after(0);
        gate.transport.restore();
        // Longer than a call that is tried again and again.
        world.sleep(30 * SECOND).await;
        let status = mirror.status();
        assert!(
            matches!(status, ObservationStatus::Interrupted { .. }),
            "{status:?}"
        );
        assert_eq!(mirror.len(), 1);

        gate.open();
        world.sleep(10 * SECOND).await;
        assert!(matches!(mirror.status(), ObservationStatus::Following));
        assert_eq!((mirror.len(), mirror.revision()), (3, newest));
    });
}

#[test]
fn a_mirror_does_not_claim_to_show_a_revision_that_does_not_exist() {
    let world = World::new(1);
    let client = client(&world);
    world.block_on(async {
        let newest = client.put("k/0", "v").await.unwrap().header.revision;
        let mirror = client.mirror(prefix("k/")).await.unwrap();
        mirror.wait_for(newest).await.unwrap();
        let error = mirror.wait_for(newest + 1).await.unwrap_err();
        let expected = ClusterChanged::Revision {
            seen: newest + 1,
            actual: newest,
        };
        assert!(
            matches!(error.kind(), ErrorKind::ClusterChanged(changed) if *changed == expected),
            "{error}"
        );
    });
}

#[test]
fn a_mirror_that_is_connected_again_does_not_say_that_it_is_interrupted() {
    seeds(20, |seed| {
        let world = World::new(seed);
        let transport = world.transport();
        let reader = client_on(&world, transport.clone());
        let writer = client(&world);
        world.block_on(async {
            let mirror = reader.mirror(prefix("k/")).await.unwrap();
            world.sleep(SECOND).await;
            // Perhaps just as the change arrives, which is the last one for long.
            writer.put("k/0", "v").await.unwrap();
            transport.cut();
            world.sleep(10 * SECOND).await;
            let status = mirror.status();
            assert!(matches!(status, ObservationStatus::Following), "{status:?}");
            assert_eq!(mirror.len(), 1);
        });
    });
}
