//! One server behind a proxy.

use crate::cast::{EVERYTHING, play};
use crate::faults::{self, Disturbed};
use crate::plan::Plan;
use crate::proxy::Proxy;
use crate::soak::Soak;
use crate::world::{World, blocking};

pub(crate) async fn soak(world: World) {
    // The only member waits an election timeout before it elects itself.
    let builder = world
        .server()
        .args(["--heartbeat-interval=20", "--election-timeout=100"]);
    let server = blocking(move || builder.start()).await;
    let (watches, writes) = (Proxy::new(server.client_addr()), Proxy::new(server.client_addr()));
    let watch_url = watches.url();
    let direct = world.client([server.client_url()]);
    // Some answers to writers are cut off as well.
    let cut = world.client([writes.url()]);
    let writers = [direct.clone(), direct.clone(), direct.clone(), cut];

    let soak = Soak::new(world, Plan::of_share(10));
    let times = faults::times(soak.plan.revisions);
    let disturbed = Disturbed {
        server,
        watches,
        writes,
    };
    let disturb = faults::disturb(&soak, disturbed, &direct, times);
    play(&soak, &|| soak.world.client([&watch_url]), &writers, disturb).await;

    // Each of these was waited for, until all watches had noticed.
    assert!(
        soak.tally.of(EVERYTHING).reopened >= 2 * times,
        "cut, killed, stopped"
    );
    for name in ["one key", "observer", EVERYTHING] {
        assert!(
            soak.tally.of(name).compacted > 0,
            "{name} missed what was compacted while it was away"
        );
    }
}
