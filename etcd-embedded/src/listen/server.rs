//! The server's thread, and the handle to it.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use etcd_core::runtime::Runtime as _;
use etcd_tokio::TokioRuntime;
use tokio::sync::watch;

use super::connection::Connections;
use crate::{Config, EmbeddedTransport, Server};

/// How long connections may take to send their last words.
const GOODBYE: Duration = Duration::from_secs(2);

/// An embedded etcd that listens on sockets, in a thread of its own, on the real clock.
///
/// Dropping it ends it as a kill does: every connection is cut without a word. [`shutdown`](Self::shutdown) takes leave.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
/// use etcd_embedded::Config;
/// use etcd_embedded::listen::HttpServer;
///
/// let server = HttpServer::start("127.0.0.1:0", Config::new())?;
/// println!("a client of any language finds it at {}", server.url());
///
/// let mut socket = TcpStream::connect(server.local_addr())?;
/// socket.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
/// let mut answer = String::new();
/// socket.read_to_string(&mut answer)?;
/// assert!(answer.ends_with(r#"{"health":"true","reason":""}"#));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct HttpServer {
    address: SocketAddr,
    transport: EmbeddedTransport,
    open: Arc<AtomicUsize>,
    runtime: TokioRuntime,
    /// While it is there, the thread stands still.
    frozen: Option<mpsc::Sender<()>>,
    /// Tells the thread how to end.
    end: Option<tokio::sync::oneshot::Sender<End>>,
    thread: Option<JoinHandle<()>>,
}

enum End {
    Shutdown,
}

impl HttpServer {
    /// Starts a new, empty server at `address`, or at the first of several that can be bound. Port 0 lets the system
    /// choose one: see [`local_addr`](Self::local_addr).
    ///
    /// Unless the configuration has others, the [`client_urls`](Config::client_urls) are those it listens at.
    ///
    /// # Errors
    ///
    /// If no address can be bound, or no thread started.
    pub fn start(address: impl ToSocketAddrs, mut config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        if config.client_urls == Config::new().client_urls {
            config.client_urls = vec![url(listener.local_addr()?)];
        }
        Self::serve([listener], |runtime| {
            Server::new(config, runtime.now(), runtime.entropy())
        })
    }

    /// Serves a server that has been made before, restored from a snapshot for instance, at sockets that are bound.
    ///
    /// `server` is called once, with the runtime whose clock and entropy it is to be made with.
    ///
    /// # Errors
    ///
    /// If no thread can be started, or a socket cannot be used.
    pub fn serve(
        listeners: impl IntoIterator<Item = TcpListener>,
        server: impl FnOnce(&dyn etcd_core::runtime::Runtime) -> Server,
    ) -> io::Result<Self> {
        let engine = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let runtime = TokioRuntime::new(engine.handle().clone());
        let mut address = None;
        let mut sockets = Vec::new();
        for listener in listeners {
            address.get_or_insert(listener.local_addr()?);
            listener.set_nonblocking(true)?;
            let _context = engine.enter();
            sockets.push(tokio::net::TcpListener::from_std(listener)?);
        }
        let address =
            address.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "nothing to listen at"))?;
        let transport = EmbeddedTransport::new(server(&runtime), Arc::new(runtime.clone()));
        let open = Arc::new(AtomicUsize::new(0));
        let (ends, is_ending) = watch::channel(false);
        let connections = Connections {
            transport: transport.clone(),
            open: open.clone(),
            ends: is_ending,
        };
        for socket in sockets {
            engine.spawn(connections.clone().accept(socket));
        }
        drop(connections);
        let (end, ended) = tokio::sync::oneshot::channel();
        let of_thread = transport.clone();
        let run = move || {
            engine.block_on(async {
                // Nobody is left to say how: the handle was dropped.
                let Ok(End::Shutdown) = ended.await else {
                    return;
                };
                ends.send_replace(true);
                of_thread.shut_down();
                let _ = tokio::time::timeout(GOODBYE, ends.closed()).await;
            });
            // With the engine go its sockets and tasks.
        };
        let thread = std::thread::Builder::new()
            .name("etcd-embedded".into())
            .spawn(run)?;
        Ok(Self {
            address,
            transport,
            open,
            runtime,
            frozen: None,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Where it listens; with several sockets, at the first of them.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where clients reach it: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// The way to the same server without a socket, for clients in this process, and to
    /// [look at it](EmbeddedTransport::inspect).
    #[must_use]
    pub fn transport(&self) -> &EmbeddedTransport {
        &self.transport
    }

    /// The number of connections that are open.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Stops its thread, as SIGSTOP stops a server: sockets stay open and accept connections, and nothing answers.
    /// Returns once it stands still.
    pub fn freeze(&mut self) {
        if self.frozen.is_some() {
            return;
        }
        let (thaw, thawed) = mpsc::channel::<()>();
        let (stand, stands) = mpsc::channel();
        self.runtime.spawn(Box::pin(async move {
            let _ = stand.send(());
            // Blocks the only thread there is, which is the point. Ends when the sender is dropped.
            let _ = thawed.recv();
        }));
        let _ = stands.recv();
        self.frozen = Some(thaw);
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&mut self) {
        self.frozen = None;
    }

    /// Ends it as SIGTERM ends a server: streams get an error as their last line, calls that wait an error, idle
    /// connections are closed. Returns once it has ended.
    pub fn shutdown(mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(End::Shutdown);
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.thaw();
        // Ends the thread, unless it was told how to end.
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
