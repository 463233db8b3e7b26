//! Resolve, connect.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::pin;

use etcd_core::runtime::BoxFuture;
use etcd_http::{Connect, SocketOptions};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::TokioRuntime;

impl Connect for TokioRuntime {
    type Io = TokioIo<TcpStream>;

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let target = (host.to_owned(), port);
        let lookup = self.handle().spawn_blocking(move || target.to_socket_addrs());
        Box::pin(async move { Ok(lookup.await??.collect()) })
    }

    fn connect(&self, address: SocketAddr, options: SocketOptions) -> BoxFuture<'_, io::Result<Self::Io>> {
        Box::pin(async move {
            let stream = in_context(self.handle(), TcpStream::connect(address)).await?;
            stream.set_nodelay(options.nodelay)?;
            if let Some(time) = options.keepalive {
                SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(time))?;
            }
            Ok(TokioIo::new(stream))
        })
    }
}

/// Runs `future` as if inside the runtime, wherever it is polled: a new socket looks for its reactor there.
async fn in_context<F: Future>(handle: &Handle, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _context = handle.enter();
        future.as_mut().poll(cx)
    })
    .await
}
