//! Who leads an election, as a stream.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyetcd::message::{LeaderKey, Observe};
use anyetcd::transport::{BodyFrame, RequestBody, ResponseBody, Transport};
use anyetcd::{Client, Compare, Delete, EtcdError, HttpConfig, KeyValue, ObserveLeader, ObservedLeader, Put, Txn};
use etcd_core::codec::to_json;
use etcd_core::frame::LineFramer;
use etcd_core::gateway::{self, Metadata};
use etcd_core::rpc::Request;
use etcd_http::HttpTransport;
use futures_util::future::{FutureExt, join, poll_fn};

use super::{Proxy, World};

async fn lease(client: &Client) -> i64 {
    client.leases().grant(600).await.unwrap().id
}

async fn win(client: &Client, name: &str, value: &str) -> LeaderKey {
    let lease = lease(client).await;
    client.elections().campaign(name, lease, value).await.unwrap().leader
}

/// Enters the line as a campaign does that cannot be won at once, and does not wait.
async fn stand(client: &Client, name: &str, value: &str) -> LeaderKey {
    let mut candidate = LeaderKey::default();
    candidate.lease = lease(client).await;
    candidate.name = name.to_owned().into();
    candidate.key = format!("{name}/{:x}", candidate.lease).into();
    let put = client.put(&candidate.key, value).lease(candidate.lease);
    candidate.revision = put.await.unwrap().header.revision;
    candidate
}

async fn proclaim(client: &Client, leader: &LeaderKey, value: &str) -> i64 {
    let proclaim = client.elections().proclaim(leader.clone(), value);
    proclaim.await.unwrap().header.revision
}

async fn resign(client: &Client, leader: &LeaderKey) -> i64 {
    client.elections().resign(leader.clone()).await.unwrap().header.revision
}

async fn next(boss: &mut ObserveLeader) -> ObservedLeader {
    boss.try_next().await.unwrap().expect("it goes on")
}

/// Who leads by what is told, and what that one proclaims.
fn leads(told: &ObservedLeader) -> Option<(LeaderKey, &str)> {
    let leader = told.leader.as_ref()?;
    Some((leader.leader_key(), leader.kv.value_str().unwrap()))
}

/// Who leads by the server's own word.
async fn leader(client: &Client, name: &[u8]) -> Option<KeyValue> {
    match client.elections().leader(name).await {
        Ok(response) => response.kv,
        Err(error) => {
            assert_eq!(error.etcd(), Some(EtcdError::ElectionNoLeader), "{error}");
            None
        }
    }
}

fn has_nothing_to_tell(boss: &mut ObserveLeader) -> bool {
    boss.try_next().now_or_never().is_none()
}

pub(crate) async fn who_leads_comes_first_and_then_every_change(world: World) {
    let (client, name) = (&world.client, &*world.key("boss"));
    let mut boss = client.elections().observe(name).await.unwrap();
    let told = next(&mut boss).await;
    assert!(told.leader.is_none() && !told.is_synthetic && told.revision == boss.revision());

    let first = win(client, name, "1").await;
    let told = next(&mut boss).await;
    assert_eq!((leads(&told), told.revision), (Some((first.clone(), "1")), first.revision));
    for value in ["2", "2", ""] {
        let revision = proclaim(client, &first, value).await;
        let told = next(&mut boss).await;
        assert_eq!((leads(&told), told.revision), (Some((first.clone(), value)), revision));
    }
    // Whoever waits has nothing to say, and leads with what it would have said.
    let second = stand(client, name, "a").await;
    proclaim(client, &second, "b").await;
    let third = stand(client, name, "c").await;
    let revision = resign(client, &first).await;
    let told = next(&mut boss).await;
    assert_eq!((leads(&told), told.revision), (Some((second.clone(), "b")), revision));
    assert_eq!(told.leader.as_ref(), boss.leader());

    // An observer that comes now begins with this.
    let mut late = client.elections().observe(name).await.unwrap();
    assert_eq!(leads(&next(&mut late).await), Some((second.clone(), "b")));
    resign(client, &third).await;
    let revision = resign(client, &second).await;
    for observer in [&mut boss, &mut late] {
        let told = next(observer).await;
        assert_eq!((leads(&told), told.revision, told.is_synthetic), (None, revision, false));
        assert!(observer.leader().is_none());
    }
}

pub(crate) async fn a_leadership_handed_over_in_a_transaction_is_never_vacant(world: World) {
    let (client, name) = (&world.client, &*world.key("boss"));
    let mut leader = win(client, name, "0").await;
    let mut boss = client.elections().observe(name).await.unwrap();
    next(&mut boss).await;
    for number in 1..10 {
        let mut heir = leader.clone();
        heir.key = format!("{name}/{number}").into();
        let hand_over = Txn::when([Compare::create_revision(&leader.key).eq(leader.revision)])
            .then([Put::new(&heir.key, number.to_string()).lease(leader.lease)])
            .then([Delete::new(&leader.key)]);
        heir.revision = client.txn(hand_over).await.unwrap().header.revision;
        leader = heir;
        let told = next(&mut boss).await;
        assert_eq!(leads(&told), Some((leader.clone(), &*number.to_string())));
    }
    assert!(has_nothing_to_tell(&mut boss));
}

pub(crate) async fn the_end_of_a_lease_ends_a_leadership(world: World) {
    let (client, name) = (&world.client, &*world.key("boss"));
    let brief = client.lease(Duration::from_secs(5)).await.unwrap();
    let campaign = client.elections().campaign(name, brief.id(), "brief");
    let first = campaign.await.unwrap().leader;
    let mut boss = client.elections().observe(name).await.unwrap();
    let second = stand(client, name, "second").await;
    assert_eq!(leads(&next(&mut boss).await), Some((first, "brief")));
    // Nobody renews it any more.
    brief.detach();
    assert_eq!(leads(&next(&mut boss).await), Some((second.clone(), "second")));
    client.leases().revoke(second.lease).await.unwrap();
    assert_eq!(leads(&next(&mut boss).await), None);
}

pub(crate) async fn one_may_wait_until_somebody_leads(world: World) {
    let (client, name) = (&world.client, &*world.key("boss"));
    let mut boss = client.elections().observe(name).await.unwrap();
    let (elected, first) = join(boss.elected(), win(client, name, "1")).await;
    assert_eq!(elected.unwrap().leader_key(), first);
    // It still leads.
    assert_eq!(boss.elected().await.unwrap().leader_key(), first);

    // What is over by now has happened all the same.
    let second = stand(client, name, "2").await;
    let (left, vacant) = (resign(client, &first).await, resign(client, &second).await);
    let third = win(client, name, "3").await;
    boss.caught_up().await.unwrap();
    assert_eq!(boss.leader().unwrap().leader_key(), third);
    let mine = boss.wait_for(|leader| leader.is_some_and(|leader| leader.kv.lease == second.lease));
    assert_eq!(mine.await.unwrap().revision, left);
    let mut others = Vec::new();
    let nobody = boss.wait_for(|leader| {
        others.extend(leader.map(|leader| leader.kv.lease));
        leader.is_none()
    });
    assert_eq!(nobody.await.unwrap().revision, vacant);
    assert_eq!(others, [second.lease]);
    assert_eq!(boss.elected().await.unwrap().leader_key(), third);
}

pub(crate) async fn who_has_caught_up_knows_who_leads(world: World) {
    let (client, name) = (&world.client, &*world.key("boss"));
    let mut boss = client.elections().observe(name).await.unwrap();
    let mut line = VecDeque::new();
    for round in 0..40 {
        match (round % 5, line.front()) {
            (2, Some(first)) => drop(proclaim(client, first, "w").await),
            (3, Some(first)) => {
                resign(client, first).await;
                line.pop_front();
            }
            (4, _) if round % 10 == 9 => {
                for candidate in line.drain(..) {
                    resign(client, &candidate).await;
                }
            }
            _ => line.push_back(stand(client, name, "v").await),
        }
        boss.caught_up().await.unwrap();
        let expected = leader(client, name.as_bytes()).await;
        assert_eq!(boss.leader().map(|leader| &leader.kv), expected.as_ref(), "round {round}");
        client.put(world.key("elsewhere"), "v").await.unwrap();
    }
}

pub(crate) async fn a_leader_is_who_has_the_oldest_key_below_the_name_as_for_etcd(world: World) {
    let client = &world.client;
    let bytes = |name: &str| [world.key("").as_bytes(), name.as_bytes()].concat();
    let names = ["boss", "boss2", "boss/eu", "boss/", "/", "b", "\u{7f}\u{80}"];
    let mut observers = Vec::new();
    for name in names {
        observers.push((name, client.elections().observe(bytes(name)).await.unwrap()));
    }
    let mut keys = Vec::new();
    for name in names.iter().rev() {
        // Whose key it is, and how it is called, makes no difference.
        for key in ["7f", "of/a/stranger", ""] {
            keys.push([&bytes(name)[..], b"/", key.as_bytes()].concat());
        }
    }
    keys.extend([bytes("boss"), bytes("bos"), bytes("boss0")]);
    for is_there in [true, false] {
        for key in &keys {
            if is_there {
                client.put(key, "v").await.unwrap();
            } else {
                client.delete(key).await.unwrap();
            }
            for (name, boss) in &mut observers {
                boss.caught_up().await.unwrap();
                let expected = leader(client, &bytes(name)).await;
                assert_eq!(boss.leader().map(|leader| &leader.kv), expected.as_ref(), "{name}");
            }
        }
    }
}

/// Through a proxy that can be led away: the way to a server that everybody else reaches.
struct Remote {
    proxy: Proxy,
    client: Client,
    upstream: SocketAddr,
}

impl Remote {
    fn new(upstream: SocketAddr) -> Self {
        let proxy = Proxy::new(upstream);
        let client = World::builder().endpoint(proxy.url()).build().unwrap();
        Self {
            proxy,
            client,
            upstream,
        }
    }

    fn cut_off(&self) {
        // Nobody listens there.
        self.proxy.lead_to("127.0.0.1:1".parse().unwrap());
    }

    fn come_back(&self) {
        self.proxy.lead_to(self.upstream);
    }
}

pub(crate) async fn what_happened_while_the_connection_was_cut_is_told(world: World) {
    let (client, name) = (&world.client, &*world.key("boss"));
    let remote = Remote::new(world.server().client_addr());
    let mut boss = remote.client.elections().observe(name).await.unwrap();
    assert_eq!(leads(&next(&mut boss).await), None);
    for _ in 0..3 {
        let first = win(client, name, "1").await;
        assert_eq!(leads(&next(&mut boss).await), Some((first.clone(), "1")));
        remote.cut_off();
        let proclaimed = proclaim(client, &first, "2").await;
        let second = stand(client, name, "3").await;
        let left = resign(client, &first).await;
        let vacant = resign(client, &second).await;
        remote.come_back();
        let expected = [
            (Some((first, "2")), proclaimed),
            (Some((second, "3")), left),
            (None, vacant),
        ];
        for expected in expected {
            let told = next(&mut boss).await;
            assert_eq!((leads(&told), told.revision), expected);
            assert!(!told.is_synthetic);
        }
    }
}

pub(crate) async fn after_a_compaction_it_is_told_who_leads_by_now(world: World) {
    let server = world.own_server();
    let direct = World::client_of(&server);
    let remote = Remote::new(server.client_addr());
    let compact = async || {
        let newest = direct.put("elsewhere", "v").await.unwrap().header.revision;
        direct.compact(newest).await.unwrap();
    };
    let first = win(&direct, "boss", "1").await;
    let mut boss = remote.client.elections().observe("boss").await.unwrap();
    assert_eq!(leads(&next(&mut boss).await), Some((first.clone(), "1")));
    // It follows by now: what comes next is what it is cut off from.
    proclaim(&direct, &first, "2").await;
    assert_eq!(leads(&next(&mut boss).await), Some((first.clone(), "2")));

    // Some came and went, and the leader is the same.
    remote.cut_off();
    let second = stand(&direct, "boss", "3").await;
    resign(&direct, &second).await;
    compact().await;
    remote.come_back();
    while boss.revision() <= second.revision {
        assert!(has_nothing_to_tell(&mut boss));
        World::pause(Duration::from_millis(5)).await;
    }
    assert_eq!(boss.leader().unwrap().leader_key(), first);

    // Several have led since, of whom only the last can be known.
    remote.cut_off();
    let second = stand(&direct, "boss", "4").await;
    resign(&direct, &first).await;
    resign(&direct, &second).await;
    let third = win(&direct, "boss", "5").await;
    compact().await;
    remote.come_back();
    let told = next(&mut boss).await;
    assert!(told.is_synthetic && told.revision > third.revision);
    assert_eq!(leads(&told), Some((third.clone(), "5")));

    // The same leads, and has proclaimed something.
    remote.cut_off();
    proclaim(&direct, &third, "6").await;
    compact().await;
    remote.come_back();
    let told = next(&mut boss).await;
    assert_eq!((leads(&told), told.is_synthetic), (Some((third.clone(), "6")), true));

    // Nobody does any more.
    remote.cut_off();
    resign(&direct, &third).await;
    compact().await;
    remote.come_back();
    let told = next(&mut boss).await;
    assert_eq!((leads(&told), told.is_synthetic), (None, true));
    let last = win(&direct, "boss", "7").await;
    let told = next(&mut boss).await;
    assert_eq!((leads(&told), told.is_synthetic), (Some((last, "7")), false));
}

pub(crate) async fn a_dropped_observer_of_a_leader_leaves_no_watcher(world: World) {
    let server = world.own_server();
    let watchers = "etcd_debugging_mvcc_watcher_total";
    let client = World::client_of(&server);
    let mut boss = client.elections().observe("boss").await.unwrap();
    next(&mut boss).await;
    let (told, won) = join(next(&mut boss), win(&client, "boss", "v")).await;
    assert_eq!(leads(&told), Some((won.clone(), "v")));
    server.wait_for_metric(watchers, |count| count == 1.0);
    drop(boss);
    server.wait_for_metric(watchers, |count| count == 0.0);
    // At any point of its beginning.
    for polls in 0..40 {
        let mut observing = Box::pin(async {
            let mut boss = client.elections().observe("boss").await?;
            while boss.try_next().await?.is_some() {}
            Ok::<_, anyetcd::Error>(())
        });
        for _ in 0..polls {
            let is_over = poll_fn(|cx| Poll::Ready(observing.poll_unpin(cx).is_ready())).await;
            assert!(!is_over);
            World::pause(Duration::from_micros(100)).await;
        }
    }
    let mut boss = client.elections().observe("boss").await.unwrap();
    next(&mut boss).await;
    let revision = proclaim(&client, &won, "w").await;
    assert_eq!(next(&mut boss).await.revision, revision);
    server.wait_for_metric(watchers, |count| count == 1.0);
}

/// The server's own stream of who leads, by hand.
struct ServersStream {
    body: ResponseBody,
    framer: LineFramer,
}

impl ServersStream {
    /// Somebody has to lead: without a leader a server sends no head.
    async fn open(url: &str, name: &str) -> Self {
        let runtime = crate::harness::runtime();
        let transport = HttpTransport::new(runtime.clone(), Arc::new(runtime), HttpConfig::new());
        let message = to_json(&Observe::new(name)).into();
        let request = gateway::request(&url.parse().unwrap(), Observe::RPC, message, &Metadata::default());
        let response = transport.exchange(request.map(RequestBody::from)).await.unwrap();
        assert_eq!(response.status(), 200);
        Self {
            body: response.into_body(),
            framer: LineFramer::new(),
        }
    }

    async fn next(&mut self) -> KeyValue {
        loop {
            if let Some(line) = self.framer.poll_line() {
                let response = gateway::stream_message::<Observe>(&line.unwrap()).unwrap();
                return response.kv.unwrap();
            }
            match self.body.next_frame().await {
                Some(Ok(BodyFrame::Data(chunk))) => self.framer.handle_chunk(chunk),
                Some(Ok(_)) => {}
                end => panic!("the server ended the stream: {end:?}"),
            }
        }
    }

    fn has_nothing_to_tell(&mut self) -> bool {
        pin!(self.next()).now_or_never().is_none()
    }
}

pub(crate) async fn it_tells_what_the_servers_own_stream_tells_and_when_nobody_leads(world: World) {
    let (client, name) = (&world.client, &*world.key("boss"));
    let first = win(client, name, "1").await;
    let mut theirs = ServersStream::open(world.server().client_url(), name).await;
    let mut ours = client.elections().observe(name).await.unwrap();
    assert_eq!(next(&mut ours).await.leader.map(|leader| leader.kv), Some(theirs.next().await));
    // Step by step: the server's stream leaves out what happens while it looks for the next leader.
    let mut both_tell = async |revision: i64| {
        let (told, kv) = join(next(&mut ours), theirs.next()).await;
        assert_eq!(told.leader.map(|leader| leader.kv), Some(kv));
        assert_eq!(told.revision, revision);
    };
    both_tell(proclaim(client, &first, "2").await).await;
    both_tell(proclaim(client, &first, "2").await).await;
    let second = stand(client, name, "a").await;
    proclaim(client, &second, "b").await;
    both_tell(resign(client, &first).await).await;
    both_tell(proclaim(client, &second, "c").await).await;
    let third = stand(client, name, "x").await;
    client.leases().revoke(second.lease).await.unwrap();
    let told = next(&mut ours).await;
    assert_eq!(leads(&told), Some((third.clone(), "x")));
    assert_eq!(told.leader.map(|leader| leader.kv), Some(theirs.next().await));

    // Here the server's has nothing to say.
    let vacant = resign(client, &third).await;
    let told = next(&mut ours).await;
    assert_eq!((leads(&told), told.revision), (None, vacant));
    assert!(theirs.has_nothing_to_tell());
    for value in ["3", "4"] {
        let won = win(client, name, value).await;
        let (told, kv) = join(next(&mut ours), theirs.next()).await;
        assert_eq!(leads(&told), Some((won.clone(), value)));
        assert_eq!(told.leader.map(|leader| leader.kv), Some(kv));
        resign(client, &won).await;
        assert_eq!(leads(&next(&mut ours).await), None);
    }
}
