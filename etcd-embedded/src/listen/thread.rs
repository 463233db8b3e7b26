//! The thread a server runs in.

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use etcd_core::runtime::Runtime;
use etcd_tokio::TokioRuntime;
use tokio::sync::{oneshot, watch};

use super::connection::Connections;
use crate::{EmbeddedTransport, Server};

/// How long connections may take to send their last words.
const GOODBYE: Duration = Duration::from_secs(2);

/// A thread with a runtime of its own, on which a server and its connections live. Dropping it kills them.
pub(super) struct Thread {
    runtime: TokioRuntime,
    /// The number of connections.
    open: Arc<AtomicUsize>,
    /// While it is there, the thread stands still.
    frozen: Option<mpsc::Sender<()>>,
    /// Used to end in good order; dropped to end without.
    shutdown: Option<oneshot::Sender<()>>,
    /// `None` once it has ended.
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    /// Starts it, and what makes its server.
    pub(super) fn start(
        listeners: Vec<TcpListener>,
        server: impl FnOnce(&dyn Runtime) -> Server,
    ) -> io::Result<(Self, EmbeddedTransport)> {
        let engine = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let runtime = TokioRuntime::new(engine.handle().clone());
        let transport = EmbeddedTransport::new(server(&runtime), Arc::new(runtime.clone()));
        let open = Arc::new(AtomicUsize::new(0));
        let (ends, is_ending) = watch::channel(false);
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let _context = engine.enter();
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let connections = Connections {
                transport: transport.clone(),
                open: open.clone(),
                ends: is_ending.clone(),
            };
            engine.spawn(connections.accept(listener));
        }
        drop(is_ending);
        let (shutdown, is_shut_down) = oneshot::channel();
        let last_words = transport.clone();
        let thread = Builder::new().name("etcd-embedded".into()).spawn(move || {
            engine.block_on(async {
                if is_shut_down.await.is_ok() {
                    ends.send_replace(true);
                    last_words.shut_down();
                    let _ = tokio::time::timeout(GOODBYE, ends.closed()).await;
                }
            });
            // With the engine go its sockets and tasks.
        })?;
        let this = Self {
            runtime,
            open,
            frozen: None,
            shutdown: Some(shutdown),
            thread: Some(thread),
        };
        Ok((this, transport))
    }

    pub(super) fn connection_count(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Makes it stand still; returns once it does.
    pub(super) fn freeze(&mut self) {
        if self.frozen.is_some() {
            return;
        }
        let (thaw, thawed) = mpsc::channel();
        let (stand, stands) = mpsc::channel();
        self.runtime.spawn(Box::pin(async move {
            let _ = stand.send(());
            // Blocks the only thread there is, which is the point. Ends when the sender is dropped.
            let _: Result<(), _> = thawed.recv();
        }));
        let _ = stands.recv();
        self.frozen = Some(thaw);
    }

    pub(super) fn thaw(&mut self) {
        self.frozen = None;
    }

    /// Ends it once everyone has been told; returns when it has ended.
    pub(super) fn shut_down(mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            // A thread that is gone needs no telling.
            let _ = shutdown.send(());
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.frozen = None;
        self.shutdown = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}
