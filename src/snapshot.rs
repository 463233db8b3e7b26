//! Copies of a member's database.

mod file;

use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_core::error::{Error, Result, SnapshotError, Timeout, TimeoutPhase};
use etcd_core::machine::{SnapshotProgress, SnapshotVerifier};
use etcd_core::message::Snapshot;
use etcd_core::runtime::{BoxFuture, Runtime, later};
use futures_core::Stream;
use futures_io::AsyncWrite;

use crate::alarm::Alarm;
use crate::messages::Messages;
use crate::{Call, exchange};

/// A copy of a member's database, made when it is awaited, saved or written.
///
/// ```no_run
/// # async fn example(client: &anyetcd::Client) -> anyetcd::Result<()> {
/// let done = client
///     .maintenance()
///     .snapshot(client.current_endpoint())
///     .on_progress(|progress| println!("{} of {} bytes", progress.received, progress.total))
///     .save("backup.db")
///     .await?;
/// println!("{} bytes", done.total);
/// # Ok(())
/// # }
/// ```
///
/// What arrives is what `etcdctl snapshot save` writes: the database, and after it its SHA-256, which
/// `etcdctl snapshot restore` asks for. It is verified on the way.
///
/// # Errors
///
/// [`ErrorKind::Snapshot`](crate::ErrorKind::Snapshot) if it arrives incomplete or altered, or cannot be
/// written; and what ends every [`Call`]. The deadline of the call counts for its beginning and then for each
/// pause between two pieces: a copy takes as long as it takes, a silent member is left.
///
/// # Cancel safety
///
/// Dropping the future closes the connection, and nothing is left of a file that was not complete.
#[must_use = "nothing is copied until this is awaited, saved or written"]
pub struct SnapshotCall {
    call: Call<Snapshot>,
    on_progress: Option<Box<dyn FnMut(SnapshotProgress) + Send>>,
}

impl SnapshotCall {
    pub(crate) fn new(call: Call<Snapshot>) -> Self {
        Self {
            call,
            on_progress: None,
        }
    }

    /// How long the member may keep silent. Default: the client's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call = self.call.timeout(timeout);
        self
    }

    /// Calls `report` after each piece.
    pub fn on_progress(mut self, report: impl FnMut(SnapshotProgress) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// Writes the snapshot to the file `path`, which only its owner may read.
    ///
    /// It is written beside it, as `path.part`, and takes its name once it is complete, verified and on disk.
    ///
    /// # Errors
    ///
    /// See [`SnapshotCall`].
    pub async fn save(self, path: impl Into<PathBuf>) -> Result<SnapshotProgress> {
        let path = path.into();
        let runtime = self.call.client.shared.runtime.clone();
        let mut stream = self.await?;
        let mut file = file::PartFile::create(runtime, path).await?;
        while let Some(blob) = stream.try_next().await? {
            file.write(blob).await?;
        }
        file.finish().await?;
        Ok(stream.progress())
    }

    /// Writes the snapshot to `writer`, and flushes it.
    ///
    /// `writer` is one of the `futures` family, which async-std's and smol's are; for one of Tokio's there is
    /// `tokio_util::compat`.
    ///
    /// # Errors
    ///
    /// See [`SnapshotCall`]. What was written until then stays written.
    pub async fn write_to(self, writer: &mut (impl AsyncWrite + Unpin + ?Sized)) -> Result<SnapshotProgress> {
        let mut stream = self.await?;
        while let Some(mut blob) = stream.try_next().await? {
            while !blob.is_empty() {
                let written = poll_fn(|cx| Pin::new(&mut *writer).poll_write(cx, &blob)).await;
                match written.map_err(not_written)? {
                    0 => return Err(not_written(std::io::ErrorKind::WriteZero.into())),
                    written => drop(blob.split_to(written)),
                }
            }
        }
        poll_fn(|cx| Pin::new(&mut *writer).poll_flush(cx))
            .await
            .map_err(not_written)?;
        Ok(stream.progress())
    }
}

fn not_written(error: std::io::Error) -> Error {
    SnapshotError::Destination(Arc::new(error)).into()
}

impl IntoFuture for SnapshotCall {
    type Output = Result<SnapshotStream>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Call {
                client,
                request,
                options,
            } = self.call;
            let answer = exchange::streamed_body(&client.shared, &request, &options).await?;
            let idle_timeout = options.timeout.unwrap_or(client.shared.settings.timeout);
            Ok(SnapshotStream {
                messages: Messages::new(client.shared.clone(), answer.endpoint, answer.content),
                silence: Silence::new(client.shared.runtime.clone(), idle_timeout),
                ended: false,
                verifier: SnapshotVerifier::new(),
                progress: SnapshotProgress::default(),
                on_progress: self.on_progress,
            })
        })
    }
}

impl fmt::Debug for SnapshotCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)
    }
}

/// A snapshot as it arrives: a stream of its bytes, which ends well only if they are complete and unaltered.
pub struct SnapshotStream {
    messages: Messages<Snapshot>,
    silence: Silence,
    /// Nothing follows, because of an error or because that was all.
    ended: bool,
    verifier: SnapshotVerifier,
    progress: SnapshotProgress,
    on_progress: Option<Box<dyn FnMut(SnapshotProgress) + Send>>,
}

impl SnapshotStream {
    /// The next bytes, `None` after the last.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// See [`SnapshotCall`]. Nothing follows an error.
    pub async fn try_next(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await.transpose()
    }

    /// How far it has got.
    #[must_use]
    pub fn progress(&self) -> SnapshotProgress {
        self.progress
    }

    fn handle_end(&mut self) -> Result<()> {
        let progress = std::mem::take(&mut self.verifier).handle_end()?;
        self.progress = progress;
        Ok(())
    }

    fn report(&mut self, progress: SnapshotProgress) {
        self.progress = progress;
        if let Some(report) = &mut self.on_progress {
            report(progress);
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        while !self.ended {
            match self.messages.poll_next(cx) {
                Poll::Ready(Some(message)) => {
                    self.silence.handle_progress();
                    let (blob, progress) = self.verifier.handle_message(message?);
                    self.report(progress);
                    if !blob.is_empty() {
                        return Poll::Ready(Ok(Some(blob)));
                    }
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    self.handle_end().map_err(|error| self.describe(error))?;
                }
                Poll::Pending => {
                    ready!(self.silence.poll_over(cx));
                    let limit = self.silence.limit;
                    let timeout = Timeout::new(TimeoutPhase::Body).with_limit(limit);
                    return Poll::Ready(Err(self.describe(timeout.into())));
                }
            }
        }
        Poll::Ready(Ok(None))
    }

    fn describe(&self, error: Error) -> Error {
        exchange::describe(&Snapshot::default(), self.messages.endpoint().clone())(error)
    }
}

impl Stream for SnapshotStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let result = ready!(self.poll_bytes(cx));
        if result.is_err() {
            self.ended = true;
            self.messages.close();
        }
        Poll::Ready(result.transpose())
    }
}

impl fmt::Debug for SnapshotStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotStream")
            .field("endpoint", self.messages.endpoint())
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// Notices that nothing has come for too long.
struct Silence {
    runtime: Arc<dyn Runtime>,
    limit: Duration,
    since: Instant,
    alarm: Alarm,
}

impl Silence {
    fn new(runtime: Arc<dyn Runtime>, limit: Duration) -> Self {
        Self {
            since: runtime.now(),
            alarm: Alarm::new(runtime.clone()),
            runtime,
            limit,
        }
    }

    /// The alarm stays as it is; whether it meant anything is asked when it goes off.
    fn handle_progress(&mut self) {
        self.since = self.runtime.now();
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let over_at = later(self.since, self.limit);
            ready!(self.alarm.poll(over_at, cx));
            if self.runtime.now() >= over_at {
                return Poll::Ready(());
            }
        }
    }
}
