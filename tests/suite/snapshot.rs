//! Copies of a database.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyetcd::error::TimeoutPhase;
use anyetcd::{Client, Error, ErrorKind, SnapshotProgress};
use futures_util::future::{Either, select};

use super::{Proxy, World, eventually};

/// More than sockets hold on the way.
const LARGE: usize = 20 << 20;

pub(crate) async fn a_saved_snapshot_is_private_complete_and_can_be_restored(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    fill(&client, LARGE).await;
    let folder = Folder::new();
    let path = folder.path.join("copy.db");
    let reports = Arc::new(Mutex::new(Vec::<SnapshotProgress>::new()));
    let reported = reports.clone();
    let done = client
        .maintenance()
        .snapshot(server.client_url())
        .on_progress(move |progress| reported.lock().unwrap().push(progress))
        .save(&path)
        .await
        .unwrap();

    assert_eq!(folder.names(), ["copy.db"]);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(metadata.len(), done.total + 32);
    assert!(done.received == done.total && done.total > LARGE as u64);
    let reports = reports.lock().unwrap();
    assert!(reports.len() > 100);
    assert!(reports.windows(2).all(|pair| pair[0].received <= pair[1].received));
    assert!(reports.iter().all(|report| report.total == done.total));
    assert_eq!(reports.last().unwrap().received, done.total);

    server.takes_snapshot(&path, &folder.path.join("restored")).unwrap();
}

pub(crate) async fn a_snapshot_is_written_to_any_writer_over_nothing_but_whole_files(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    fill(&client, 1 << 20).await;
    let mut written = Vec::new();
    let snapshot = client.maintenance().snapshot(server.client_url());
    let done = snapshot.write_to(&mut written).await.unwrap();
    assert_eq!(written.len() as u64, done.total + 32);
    let folder = Folder::new();
    let path = folder.path.join("copy.db");
    fs::write(&path, &written).unwrap();
    server.takes_snapshot(&path, &folder.path.join("restored")).unwrap();

    // What is there already, whole or left behind, is replaced.
    let part = folder.path.join("copy.db.part");
    fs::write(&part, "left behind").unwrap();
    fs::set_permissions(&part, fs::Permissions::from_mode(0o644)).unwrap();
    let snapshot = client.maintenance().snapshot(server.client_url());
    snapshot.save(&path).await.unwrap();
    assert!(!part.exists());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let nowhere = folder.path.join("missing/copy.db");
    let snapshot = client.maintenance().snapshot(server.client_url());
    let error = snapshot.save(nowhere).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Snapshot(_)), "{error:?}");
}

pub(crate) async fn a_snapshot_dropped_midway_leaves_no_file_and_no_connection(world: World) {
    let server = world.own_server();
    let proxy = Proxy::new(server.client_addr());
    let client = World::builder().endpoint(proxy.url()).build().unwrap();
    fill(&client, LARGE).await;
    let folder = Folder::new();
    let (begun, has_begun) = futures_channel::oneshot::channel();
    let mut begun = Some(begun);
    let saving = client
        .maintenance()
        .snapshot(proxy.url())
        .on_progress(move |_| {
            if let Some(begun) = begun.take() {
                begun.send(()).unwrap();
            }
        })
        .save(folder.path.join("copy.db"));
    match select(Box::pin(saving), has_begun).await {
        Either::Left((done, _)) => panic!("20 MB came in one piece: {done:?}"),
        Either::Right((begun, saving)) => {
            begun.unwrap();
            drop(saving);
        }
    }
    eventually("no file is left", || async { folder.names().is_empty().then_some(()) }).await;

    let mut stream = client.maintenance().snapshot(proxy.url()).await.unwrap();
    assert!(!stream.try_next().await.unwrap().unwrap().is_empty());
    assert!(stream.progress().received < stream.progress().total);
    drop(stream);
    client.get("k0").await.unwrap();
    drop(client);
    eventually("all connections are closed", || async {
        (proxy.open_connections() == 0).then_some(())
    })
    .await;
}

pub(crate) async fn a_server_that_falls_silent_midway_is_left_after_the_timeout(world: World) {
    let server = world.own_server();
    let client = World::client_of(&server);
    let url = server.client_url().to_owned();
    fill(&client, LARGE).await;
    let folder = Folder::new();
    let server = Arc::new(Mutex::new(server));
    let (freezing, mut is_frozen) = (server.clone(), false);
    let error = client
        .maintenance()
        .snapshot(&url)
        .timeout(Duration::from_secs(3))
        .on_progress(move |_| {
            if !std::mem::replace(&mut is_frozen, true) {
                freezing.lock().unwrap().freeze();
            }
        })
        .save(folder.path.join("copy.db"))
        .await
        .unwrap_err();
    assert_eq!(phase(&error), Some(TimeoutPhase::Body), "{error:?}");
    assert_eq!(error.rpc(), Some("Maintenance/Snapshot"));
    eventually("no file is left", || async { folder.names().is_empty().then_some(()) }).await;

    server.lock().unwrap().thaw();
    let snapshot = client.maintenance().snapshot(&url);
    snapshot.save(folder.path.join("copy.db")).await.unwrap();
    assert_eq!(folder.names(), ["copy.db"]);
}

fn phase(error: &Error) -> Option<TimeoutPhase> {
    match error.kind() {
        ErrorKind::Timeout(timeout) => Some(timeout.phase()),
        _ => None,
    }
}

async fn fill(client: &Client, bytes: usize) {
    let value = vec![b'v'; 1 << 20];
    for n in 0..bytes >> 20 {
        client.put(format!("k{n}"), &value).await.unwrap();
    }
}

/// A folder of its own, removed when dropped.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("anyetcd-snapshot-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Of a process that had the same id.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
