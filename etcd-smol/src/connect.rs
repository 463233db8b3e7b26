//! Resolve, connect.

use std::io;
use std::net::SocketAddr;

use etcd_core::runtime::BoxFuture;
use etcd_http::{Connect, FuturesIo, SocketOptions};
use smol::net::{TcpStream, resolve};
use socket2::{SockRef, TcpKeepalive};

use crate::SmolRuntime;

impl Connect for SmolRuntime {
    type Io = FuturesIo<TcpStream>;

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(resolve((host, port)))
    }

    fn connect(&self, address: SocketAddr, options: SocketOptions) -> BoxFuture<'_, io::Result<Self::Io>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(options.nodelay)?;
            if let Some(time) = options.keepalive {
                SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(time))?;
            }
            Ok(FuturesIo::new(stream))
        })
    }
}
