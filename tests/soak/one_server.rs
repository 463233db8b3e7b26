//! One server behind a proxy.

use std::pin::Pin;

use anyetcd::message::WatchFilter;
use anyetcd::{BufferPolicy, Client, from_key};
use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream::FuturesUnordered;

use crate::faults::{self, Disturbed};
use crate::plan::{self, Plan, QUIET};
use crate::proxy::Proxy;
use crate::soak::{End, Soak};
use crate::watcher::Watcher;
use crate::world::{World, blocking};
use crate::writing::{write, write_closing};
use crate::{observers, ranges, truth};

type Task<'s> = Pin<Box<dyn Future<Output = ()> + 's>>;

pub(crate) async fn soak(world: World) {
    let soon = ["--heartbeat-interval=20", "--election-timeout=100"];
    let builder = world.server().args(soon);
    let server = blocking(move || builder.start()).await;
    let (watches, writes) = (Proxy::new(server.client_addr()), Proxy::new(server.client_addr()));
    let (direct_url, watch_url, write_url) = (server.client_url().to_owned(), watches.url(), writes.url());
    let direct = world.client([&direct_url]);
    let soak = Soak::new(world, Plan::of_share(10));
    let new_client = || soak.world.client([&watch_url]);

    let times = faults::times(soak.plan.revisions);
    let (done, is_done) = futures_channel::oneshot::channel();
    let disturbed = Disturbed { server, watches, writes };
    let mut tasks: FuturesUnordered<Task<'_>> = watching(&soak, &new_client);
    tasks.push(Box::pin(async {
        let mut writers: FuturesUnordered<Task<'_>> = FuturesUnordered::new();
        for number in 0..24 {
            // Some have answers cut off.
            let client = if number % 4 == 0 { soak.world.client([&write_url]) } else { direct.clone() };
            writers.push(Box::pin(write(&soak, client)));
        }
        let writing = async { while writers.next().await.is_some() {} };
        let ((), disturbed) = join(writing, faults::disturb(&soak, disturbed, &direct, times)).await;
        let (all_deleted, last) = write_closing(&soak, &direct).await;
        soak.tell("all is written");
        soak.ends(End { all_deleted, last });
        drop(done.send(disturbed));
    }));
    soak.run(async { while tasks.next().await.is_some() {} }).await;
    soak.tell("all was told");

    soak.judge(truth::history(&direct, &soak.plan).await);
    soak.tell("all is judged");
    drop(tasks);
    drop(is_done);
}

fn watching<'s>(soak: &'s Soak, new_client: &'s dyn Fn() -> Client) -> FuturesUnordered<Task<'s>> {
    let shared = new_client();
    let all = || plan::keys();
    let few = || plan::key(10)..plan::key(15);
    let on_shared = [
        Watcher::new("one key", plan::key(7)).prev_kv(),
        Watcher::new("a range", plan::key(20)..plan::key(30)),
        Watcher::new("all, prev_kv", all()).prev_kv(),
        Watcher::new("deletions", all()).filter(WatchFilter::NoPut).prev_kv(),
        Watcher::new("puts", few()).filter(WatchFilter::NoDelete),
        Watcher::new("everything", from_key("k/")).fragment(),
        Watcher::new("quiet", QUIET).progress(),
    ];
    let on_own = [
        Watcher::new("slow, waits", few()).slow(BufferPolicy::Wait),
        Watcher::new("slow, lags", few()).slow(BufferPolicy::Lag),
        Watcher::new("slow, coalesces", few()).slow(BufferPolicy::Coalesce),
        Watcher::new("moving", few()).moves().progress(),
    ];
    let tasks: FuturesUnordered<Task<'_>> = FuturesUnordered::new();
    for watcher in on_shared {
        let client = shared.clone();
        tasks.push(Box::pin(async move { watcher.run(soak, &|| client.clone()).await }));
    }
    for watcher in on_own {
        tasks.push(Box::pin(watcher.run(soak, new_client)));
    }
    tasks.push(Box::pin(ranges::run(soak, shared.clone())));
    tasks.push(Box::pin(observers::observe(soak, shared.clone())));
    tasks.push(Box::pin(observers::mirror(soak, new_client())));
    tasks
}
