//! The HTTP engine of anyetcd: one implementation of [`Transport`](etcd_core::transport::Transport), on
//! [hyper](https://docs.rs/hyper), for every async runtime.
//!
//! *Does*: HTTP/1.1 over any byte stream; a pool of kept-alive connections with limits; exchanges whose two
//! bodies flow at once; exact knowledge of whether a request reached a socket.
//!
//! *Does not*: name a runtime. An adapter supplies a [`Connect`] (resolve, connect) and a
//! [`Runtime`](etcd_core::runtime::Runtime) (spawn, sleep, now); `etcd-tokio`, `etcd-async-std` and
//! `etcd-smol` are three, and `HttpTransport::new` takes yours.
//!
//! # How an exchange runs
//!
//! A request with a whole body is driven by the very task that awaits its response: hyper's connection is
//! polled inside the exchange, so a request costs no switch between tasks, and dropping the future drops the
//! socket. A request with a streamed body has a task of its own, since its two bodies flow whether or not
//! anybody is reading; that task ends with the exchange.

mod body;
mod config;
mod connect;
mod connection;
mod dial;
mod failure;
mod futures_io;
mod pool;
mod request;
mod transport;

pub use config::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_HEAD_LIMIT, DEFAULT_IDLE_TIME, DEFAULT_MAX_CONNECTIONS,
    DEFAULT_MAX_IDLE, DEFAULT_TCP_KEEPALIVE,
};
pub use config::{HttpConfig, PoolConfig, SocketOptions};
pub use connect::Connect;
pub use futures_io::FuturesIo;
pub use transport::HttpTransport;
