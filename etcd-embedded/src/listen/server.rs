//! The server, as whoever started it holds it.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use etcd_core::runtime::Runtime;

use super::thread::Thread;
use crate::{Config, EmbeddedTransport, Server};

/// An embedded etcd that listens on sockets, in a thread of its own, on the real clock.
///
/// It can be disturbed as a process can: [frozen](Self::freeze), [killed](Self::kill), [restarted](Self::restart).
/// Dropping it kills it; [`shutdown`](Self::shutdown) lets it take leave.
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
    /// At least one.
    addresses: Vec<SocketAddr>,
    transport: EmbeddedTransport,
    /// `None` after it was killed.
    thread: Option<Thread>,
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

    /// Serves a server of one's own making, restored from a snapshot for instance, at sockets that are bound.
    ///
    /// `server` is called once, with the runtime whose clock and entropy it is to be made with.
    ///
    /// # Errors
    ///
    /// If there is no socket or one cannot be used, or no thread can be started.
    pub fn serve(
        listeners: impl IntoIterator<Item = TcpListener>,
        server: impl FnOnce(&dyn Runtime) -> Server,
    ) -> io::Result<Self> {
        let listeners: Vec<_> = listeners.into_iter().collect();
        if listeners.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "nothing to listen at",
            ));
        }
        let addresses = listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<Result<_, _>>()?;
        let (thread, transport) = Thread::start(listeners, server)?;
        Ok(Self {
            addresses,
            transport,
            thread: Some(thread),
        })
    }

    /// Where it listens; with several sockets, at the first of them. The same after a restart.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where clients reach it: `http://127.0.0.1:port`. The same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.local_addr())
    }

    /// The way to the same server without a socket, for clients in this process, and to
    /// [look at it](EmbeddedTransport::inspect). Another one after a restart.
    #[must_use]
    pub fn transport(&self) -> &EmbeddedTransport {
        &self.transport
    }

    /// The number of connections that are open.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.thread.as_ref().map_or(0, Thread::connection_count)
    }

    /// Stops its thread, as SIGSTOP stops a server: sockets stay open and accept connections, and nothing answers.
    /// Returns once it stands still. A client that uses no socket is not stopped.
    pub fn freeze(&mut self) {
        if let Some(thread) = &mut self.thread {
            thread.freeze();
        }
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&mut self) {
        if let Some(thread) = &mut self.thread {
            thread.thaw();
        }
    }

    /// Ends it as SIGKILL ends a server, frozen or not: connections are cut without a word, and refused from now on.
    /// What it holds stays, to be looked at or [restarted](Self::restart) with.
    pub fn kill(&mut self) {
        self.thread = None;
    }

    /// Starts it at the same addresses with the same data, after killing it if it still runs. As with a server that
    /// crashed, watches, tokens and waiters are gone, and leases have their full time again.
    ///
    /// # Errors
    ///
    /// If another program has taken an address meanwhile, or no thread can be started. It is killed then.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        let mut server = self.transport.inspect(Server::clone);
        let listeners = self.addresses.iter().map(TcpListener::bind);
        let listeners = listeners.collect::<Result<_, _>>()?;
        let (thread, transport) = Thread::start(listeners, |runtime| {
            server.restart(runtime.now());
            server
        })?;
        self.transport = transport;
        self.thread = Some(thread);
        Ok(())
    }

    /// Ends it as SIGTERM ends a server: streams get an error as their last line, calls that wait an error, idle
    /// connections are closed. Returns once it has ended.
    pub fn shutdown(mut self) {
        if let Some(thread) = self.thread.take() {
            thread.shut_down();
        }
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer")
            .field("addresses", &self.addresses)
            .field("runs", &self.thread.is_some())
            .finish_non_exhaustive()
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
