//! A cluster of three members, of which one at a time is killed or stopped.

use etcd_process::Cluster;

use crate::cast::play;
use crate::compactions::{compact_far, compact_near};
use crate::plan::Plan;
use crate::soak::Soak;
use crate::world::{SILENCE, World, blocking};

const MEMBERS: usize = 3;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// SIGKILL for the member whose turn it is, and a new start.
    KillNext,
    /// SIGKILL for the member that has the most watches, and a new start.
    KillWatched,
    /// SIGSTOP for that member, for longer than a watch waits.
    FreezeWatched,
    CompactNear,
    CompactFar,
}

const FAULTS: [Fault; 11] = [
    Fault::KillNext,
    Fault::KillNext,
    Fault::KillNext,
    Fault::KillWatched,
    Fault::KillWatched,
    Fault::FreezeWatched,
    Fault::FreezeWatched,
    Fault::CompactNear,
    Fault::CompactNear,
    Fault::CompactFar,
    Fault::CompactFar,
];

/// Each fault of the list happens once for so many revisions, but at least once.
const REVISIONS: usize = 6_000;

pub(crate) async fn soak(world: World) {
    let (dialect, builder) = (world.dialect, world.server());
    let cluster = blocking(move || Cluster::builder(dialect, MEMBERS).server(builder).start()).await;
    let urls: Vec<String> = cluster.client_urls().into_iter().map(str::to_owned).collect();
    let soak = Soak::new(world, Plan::of_share(3));
    let new_client = || soak.world.client(&urls);
    let writers = [new_client(), new_client()];
    play(&soak, &new_client, &writers, disturb(&soak, cluster, &urls)).await;
}

async fn disturb(soak: &Soak, mut cluster: Cluster, urls: &[String]) -> Cluster {
    let mut faults = FAULTS.repeat((soak.plan.revisions / REVISIONS).max(1));
    soak.dice.shuffle(&mut faults);
    let client = soak.world.client(urls);
    let mut turn = 0;
    for (round, fault) in faults.iter().enumerate() {
        let share = soak.begin_round(round, faults.len()).await;
        soak.tell(format_args!("{fault:?}"));
        match fault {
            Fault::KillNext => {
                cluster = kill(soak, cluster, turn % MEMBERS, share).await;
                turn += 1;
            }
            Fault::KillWatched => {
                let before = soak.connections();
                let watched;
                (cluster, watched) = most_watched(cluster).await;
                cluster = kill(soak, cluster, watched, share).await;
                soak.until_some_are_gone(&before).await;
            }
            Fault::FreezeWatched => {
                let before = soak.connections();
                let watched;
                (cluster, watched) = most_watched(cluster).await;
                cluster.member_mut(watched).freeze();
                soak.world.sleep(SILENCE).await;
                soak.until_some_are_gone(&before).await;
                soak.until_written(share / 4).await;
                cluster.member_mut(watched).thaw();
            }
            Fault::CompactNear => compact_near(soak, &client).await,
            Fault::CompactFar => compact_far(soak, &client).await,
        }
        soak.until_connected().await;
    }
    soak.writing.allow(usize::MAX);
    cluster
}

/// Kills a member, and starts it again once the others have gone on without it.
async fn kill(soak: &Soak, mut cluster: Cluster, member: usize, share: usize) -> Cluster {
    cluster = blocking(move || {
        cluster.member_mut(member).kill();
        cluster
    })
    .await;
    soak.until_written(share / 4).await;
    blocking(move || {
        cluster.member_mut(member).restart();
        cluster
    })
    .await
}

async fn most_watched(cluster: Cluster) -> (Cluster, usize) {
    blocking(move || {
        let watches = |member: &usize| {
            let count = cluster.members()[*member].metric("etcd_debugging_mvcc_watcher_total");
            count.map_or(0, |count| count as usize)
        };
        let member = (0..MEMBERS).max_by_key(watches).expect("there are members");
        (cluster, member)
    })
    .await
}
