//! The seam to sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use etcd_core::runtime::BoxFuture;
use hyper::rt::{Read, Write};

use crate::SocketOptions;

/// Resolves names and opens byte streams; what an adapter supplies besides a
/// [`Runtime`](etcd_core::runtime::Runtime).
///
/// Both futures may be dropped at any point and must leave nothing behind. Neither needs a deadline of its own:
/// the engine races them against [`HttpConfig::connect_timeout`](crate::HttpConfig::connect_timeout).
///
/// ```
/// use std::io;
/// use std::net::SocketAddr;
/// use etcd_core::runtime::BoxFuture;
/// use etcd_http::{Connect, FuturesIo, SocketOptions};
///
/// #[derive(Debug)]
/// struct Smol;
///
/// impl Connect for Smol {
///     type Io = FuturesIo<smol::net::TcpStream>;
///
///     fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
///         Box::pin(smol::net::resolve((host, port)))
///     }
///
///     fn connect(&self, address: SocketAddr, options: SocketOptions) -> BoxFuture<'_, io::Result<Self::Io>> {
///         Box::pin(async move {
///             let stream = smol::net::TcpStream::connect(address).await?;
///             stream.set_nodelay(options.nodelay)?;
///             Ok(FuturesIo::new(stream))
///         })
///     }
/// }
/// ```
pub trait Connect: Send + Sync + fmt::Debug + 'static {
    /// A connected byte stream. Dropping it closes it.
    ///
    /// The two traits are those of hyper 1.x, made for this purpose; [`FuturesIo`](crate::FuturesIo) lends them
    /// to anything with `futures-io`'s, hyper-util's `TokioIo` to anything with Tokio's.
    type Io: Read + Write + Unpin + Send + 'static;

    /// The addresses of `host`, which is a name and not an IP address, in the order to try them.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;

    /// Opens a stream to `address` and sets `options` on it.
    fn connect(&self, address: SocketAddr, options: SocketOptions) -> BoxFuture<'_, io::Result<Self::Io>>;
}
