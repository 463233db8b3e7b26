//! What etcdctl and this client mean by the same keys, leases, locks and elections.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::future::IntoFuture;
use std::process::{Child, Stdio};

use anyetcd::message::LeaderKey;
use anyetcd::{Client, prefix};
use futures_util::future::join;

use super::{World, eventually};

pub(crate) async fn etcdctl_reads_what_we_wrote(world: World) {
    let base = world.key("r/");
    let odd: &[u8] = b"\x00\xff\n\r\"\\=\xc3\x28";
    let pairs: [(&[u8], &[u8]); 4] = [(b"a", b""), (b"b", odd), (odd, b"c"), (b"\xff\xff", b"d")];
    for (key, value) in pairs {
        world.client.put([base.as_bytes(), key].concat(), value).await.unwrap();
    }
    // Neighbours of the prefix.
    world.client.put(world.key("r"), "x").await.unwrap();
    world.client.put(world.key("r0"), "x").await.unwrap();
    let ours = world.client.get(prefix(&base)).await.unwrap();
    assert_eq!(ours.count, 4);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let expected: Vec<String> = ours
        .kvs
        .iter()
        .flat_map(|kv| [hex(&kv.key), hex(&kv.value)])
        .collect();
    let theirs = world.server().etcdctl(["get", "--prefix", &base, "--hex"]);
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    assert_eq!(theirs.lines().collect::<Vec<_>>(), expected);
    let raw = world.server().etcdctl(["get", &format!("{base}b"), "--print-value-only"]);
    assert_eq!(raw.stdout, [odd, b"\n"].concat());

    let deleted = world.server().etcdctl(["del", "--prefix", &base]);
    assert_eq!(deleted.stdout, b"4\n");
    assert_eq!(world.client.get(prefix(world.key("r"))).await.unwrap().count, 2);
}

pub(crate) async fn we_read_what_etcdctl_wrote(world: World) {
    let base = world.key("w/");
    let value: &[u8] = b"\x00\xff\n and more";
    let key = [base.as_bytes(), b"\xff\n"].concat();
    let put = world
        .server()
        .etcdctl_with_input([OsStr::new("put"), OsStr::from_bytes(&key)], value);
    assert!(put.status.success(), "{put:?}");
    let got = world.client.get(&key).await.unwrap();
    assert_eq!(got.first().unwrap().value, value);

    let script = format!(
        "version(\"{base}new\") = \"0\"\n\nput \"{base}new\" \"a\\x00b\"\nput \"{base}empty\" \"\"\n\nget \"x\"\n\n"
    );
    for expected in ["SUCCESS", "FAILURE"] {
        let txn = world.server().etcdctl_with_input(["txn"], script.as_bytes());
        let said = String::from_utf8_lossy(&txn.stdout);
        assert!(said.starts_with(expected), "{txn:?}");
    }
    let got = world.client.get(prefix(&base)).await.unwrap();
    assert_eq!(got.count, 3);
    assert_eq!((&got.kvs[0].value[..], &got.kvs[1].value[..]), (&b""[..], &b"a\0b"[..]));
    assert_eq!((got.kvs[1].key_str(), got.kvs[1].version), (Some(&*format!("{base}new")), 1));
}

pub(crate) async fn leases_are_the_same_to_both(world: World) {
    let leases = world.client.leases();
    let lease = leases.grant(600).await.unwrap().id;
    let key = world.key("leased");
    let listed = world.server().etcdctl(["lease", "list"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().any(|line| line == format!("{lease:016x}")), "{listed}");
    let put = world
        .server()
        .etcdctl(["put", &format!("--lease={lease:x}"), &key, "v"]);
    assert!(put.status.success(), "{put:?}");
    assert_eq!(world.client.get(&key).await.unwrap().first().unwrap().lease, lease);
    leases.revoke(lease).await.unwrap();
    assert_eq!(world.client.get(&key).await.unwrap().count, 0);

    let granted = world.server().etcdctl(["lease", "grant", "600"]);
    let granted = String::from_utf8(granted.stdout).unwrap();
    let id = granted.split(' ').nth(1).unwrap();
    let theirs = i64::from_str_radix(id, 16).unwrap();
    let listed = leases.list().await.unwrap().leases;
    assert!(listed.iter().any(|lease| lease.id == theirs));
    assert_eq!(leases.time_to_live(theirs).await.unwrap().granted_ttl, 600);
    let revoked = world.server().etcdctl(["lease", "revoke", id]);
    assert!(revoked.status.success());
    assert!(leases.time_to_live(theirs).await.unwrap().ttl < 0);
}

pub(crate) async fn etcdctl_waits_for_our_lock_and_we_for_its(world: World) {
    let name = world.key("lock");
    let lease = world.client.leases().grant(600).await.unwrap().id;
    let ours = world.client.locks().lock(&name, lease).await.unwrap();
    let mut waiter = Etcdctl::spawn(&world, ["lock", &name, "echo", "got it"]);
    contenders(&world.client, &name, 2).await;
    assert!(waiter.0.try_wait().unwrap().is_none());
    world.client.locks().unlock(ours.key).await.unwrap();
    assert_eq!(waiter.output().trim(), "got it");
    contenders(&world.client, &name, 0).await;

    let _holder = Etcdctl::spawn(&world, ["lock", &name]);
    let theirs = contenders(&world.client, &name, 1).await.remove(0);
    let locks = world.client.locks();
    let waiting = locks.lock(&name, lease).into_future();
    let releasing = async {
        contenders(&world.client, &name, 2).await;
        world.client.locks().unlock(&theirs).await.unwrap();
    };
    let (ours, ()) = join(waiting, releasing).await;
    assert_eq!(ours.unwrap().key, format!("{name}/{lease:x}"));
    world.client.leases().revoke(lease).await.unwrap();
}

pub(crate) async fn etcdctl_campaigns_against_our_leader_and_we_against_its(world: World) {
    let name = world.key("election");
    let lease = world.client.leases().grant(600).await.unwrap().id;
    let elections = world.client.elections();
    let mut observer = elections.observe(&name).await.unwrap();
    let ours: LeaderKey = elections.campaign(&name, lease, "ours").await.unwrap().leader;
    let _candidate = Etcdctl::spawn(&world, ["elect", &name, "theirs"]);
    contenders(&world.client, &name, 2).await;
    assert_eq!(elections.leader(&name).await.unwrap().kv.unwrap().value, "ours");
    elections.resign(ours).await.unwrap();
    let theirs = elections.leader(&name).await.unwrap().kv.unwrap();
    assert_eq!(theirs.value, "theirs");

    let campaigning = elections.campaign(&name, lease, "ours again").into_future();
    let ending = async {
        contenders(&world.client, &name, 2).await;
        world.client.leases().revoke(theirs.lease).await.unwrap();
    };
    let (won, ()) = join(campaigning, ending).await;
    won.unwrap();
    let listening = world.server().etcdctl(["get", "--prefix", &name, "--print-value-only"]);
    assert_eq!(listening.stdout, b"ours again\n");
    world.client.leases().revoke(lease).await.unwrap();
    let mut led = Vec::new();
    while led.len() < 5 {
        let told = observer.try_next().await.unwrap().unwrap();
        led.push(told.leader.map(|leader| leader.kv.value_str().unwrap().to_owned()));
    }
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(led, [None, named("ours"), named("theirs"), named("ours again"), None]);
}

/// Waits until so many keys stand for the lock or election; returns them, the oldest first.
async fn contenders(client: &Client, name: &str, count: usize) -> Vec<bytes::Bytes> {
    eventually("the contenders are there", || async {
        let keys = client.get(prefix(format!("{name}/"))).keys_only();
        let sorted = keys.sort(anyetcd::SortTarget::Create, anyetcd::SortOrder::Ascend);
        let got = sorted.await.unwrap();
        let keys = got.kvs.into_iter().map(|kv| kv.key);
        (got.count as usize == count).then(|| keys.collect())
    })
    .await
}

/// An etcdctl that runs, killed when dropped.
struct Etcdctl(Child);

impl Etcdctl {
    fn spawn<'a>(world: &World, args: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = world.server().etcdctl_command();
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// What it printed, once it has ended well.
    fn output(&mut self) -> String {
        let mut output = String::new();
        let mut stdout = self.0.stdout.take().unwrap();
        stdout.read_to_string(&mut output).unwrap();
        assert!(self.0.wait().unwrap().success());
        output
    }
}

impl Drop for Etcdctl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
