//! A file that has its name only once it is complete.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use etcd_core::error::{Result, SnapshotError};
use etcd_core::runtime::Runtime;
use futures_channel::oneshot;

use super::not_written;

/// A file under a name with `.part`, removed unless it is finished.
pub(super) struct PartFile {
    runtime: Arc<dyn Runtime>,
    path: PathBuf,
    part: PathBuf,
    /// `None` while a piece of work has it.
    file: Option<File>,
    finished: bool,
}

impl PartFile {
    /// Creates it, readable and writable by its owner only.
    pub(super) async fn create(runtime: Arc<dyn Runtime>, path: PathBuf) -> Result<Self> {
        let mut part = path.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let creating = part.clone();
        let file = blocking(&*runtime, move || open_private(&creating)).await?;
        Ok(Self {
            runtime,
            path,
            part,
            file: Some(file),
            finished: false,
        })
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.with_file(move |file| file.write_all(&bytes)).await
    }

    /// Brings it to the disk and gives it its name.
    pub(super) async fn finish(mut self) -> Result<()> {
        let (part, path) = (self.part.clone(), self.path.clone());
        self.with_file(move |file| {
            file.sync_all()?;
            std::fs::rename(part, &path)?;
            sync_directory(&path)
        })
        .await?;
        self.finished = true;
        Ok(())
    }

    async fn with_file(
        &mut self,
        work: impl FnOnce(&mut File) -> io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let gone = || SnapshotError::Destination(reason("an earlier write was abandoned"));
        let mut file = self.file.take().ok_or_else(gone)?;
        let file = blocking(&*self.runtime, move || work(&mut file).map(|()| file)).await?;
        self.file = Some(file);
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody is left to hear that it could not be removed.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

#[cfg(unix)]
fn open_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    // The mode above is only that of a new file, not of one that was left behind.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(not(unix))]
fn open_private(path: &Path) -> io::Result<File> {
    File::create(path)
}

/// A new name is on disk only once its directory is.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Does `work`, which may block, where the runtime wants such work done.
async fn blocking<T: Send + 'static>(
    runtime: &dyn Runtime,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let (done, result) = oneshot::channel();
    runtime.spawn_blocking(Box::new(move || {
        // Whoever waited may be gone.
        let _ = done.send(work());
    }));
    match result.await {
        Ok(result) => result.map_err(not_written),
        Err(_) => Err(SnapshotError::Destination(reason("the runtime is shutting down")).into()),
    }
}

fn reason(text: &str) -> Arc<dyn std::error::Error + Send + Sync> {
    Box::<dyn std::error::Error + Send + Sync>::from(text).into()
}
