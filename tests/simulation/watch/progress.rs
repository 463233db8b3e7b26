//! Progress, where servers cannot be believed about it and only events show it.

use std::time::Duration;

use etcd_embedded::sim::{World, seeds};
use etcd_embedded::{Config, Dialect};
use futures_util::future::join;

use crate::writers::{client, client_on};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn events_have_their_time_from_when_there_is_a_connection_for_them() {
    seeds(100, |seed| {
        let config = Config::new().dialect(Dialect::G1_16);
        let world = World::builder(seed).config(config).build();
        let writer = client(&world);
        let transport = world.transport();
        let client = client_on(&world, transport.clone());
        world.block_on(async {
            let watch = client.watch("a").await.unwrap();
            transport.refuse();
            let written = writer.put("a", "1").await.unwrap().header.revision;
            let back = async {
                world.sleep(3 * SECOND).await;
                transport.restore();
            };
            let (progress, ()) = join(watch.progress(), back).await;
            assert_eq!(progress.unwrap(), written);
        });
    });
}
