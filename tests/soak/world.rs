//! A dialect's servers and a runtime's clients.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyetcd::{BoxFuture, Client, ClientBuilder, Connect, Runtime};
use etcd_process::{Dialect, Server, ServerBuilder};

/// How long nothing may be heard of a server before it is asked; half as long again, and it is left.
const IDLE: Duration = Duration::from_secs(1);

/// A server that was silent for this long has been left by every watch.
pub(crate) const SILENCE: Duration = Duration::from_millis(1500);

/// Where one soak runs.
pub(crate) struct World {
    pub(crate) dialect: Dialect,
    runtime: Arc<dyn Runtime>,
    builder: Box<dyn Fn() -> ClientBuilder>,
}

impl World {
    pub(crate) fn new<R: Runtime + Connect + Clone>(dialect: Dialect, runtime: R) -> Self {
        Self {
            dialect,
            runtime: Arc::new(runtime.clone()),
            builder: Box::new(move || Client::builder().runtime(runtime.clone())),
        }
    }

    /// A client that soon notices silence.
    pub(crate) fn client<U: AsRef<str>>(&self, urls: impl IntoIterator<Item = U>) -> Client {
        let builder = (self.builder)().watch_idle_timeout(IDLE).attempt_timeout(IDLE);
        let urls = urls.into_iter();
        let builder = urls.fold(builder, |builder, url| builder.endpoint(url.as_ref()));
        builder.build().unwrap()
    }

    /// Settings for a server whose watches are told of progress often, and of much in pieces.
    pub(crate) fn server(&self) -> ServerBuilder {
        Server::builder(self.dialect)
            .watch_progress_notify_interval(Duration::from_millis(300))
            .max_request_bytes(32 * 1024)
    }

    /// Whether servers lose the deletions of the very revision they compact at: those before 3.5.18 (etcd's issue 19179).
    pub(crate) fn loses_deletions(&self) -> bool {
        self.dialect != Dialect::G2
    }

    pub(crate) fn now(&self) -> Instant {
        self.runtime.now()
    }

    pub(crate) fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.runtime.sleep_until(self.now() + time)
    }

    /// Something that comes back every `period`.
    pub(crate) fn tick(&self, period: Duration) -> Tick {
        Tick {
            runtime: self.runtime.clone(),
            period,
            next: self.sleep(period),
        }
    }
}

/// Comes back again and again, without a timer for each time that it is asked.
pub(crate) struct Tick {
    runtime: Arc<dyn Runtime>,
    period: Duration,
    next: BoxFuture<'static, ()>,
}

impl Tick {
    /// The next time. Cancel safe.
    pub(crate) async fn next(&mut self) {
        (&mut self.next).await;
        self.next = self.runtime.sleep_until(self.runtime.now() + self.period);
    }
}

/// Does something that blocks, away from the runtime.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = futures_channel::oneshot::channel();
    thread::spawn(move || drop(done.send(work())));
    is_done.await.expect("it panicked, and said why")
}
