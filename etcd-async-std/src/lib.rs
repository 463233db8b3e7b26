//! anyetcd on [async-std](https://docs.rs/async-std): connect, spawn, sleep.
//!
//! async-std is discontinued (RUSTSEC-2025-0052) in favour of smol; `etcd-smol` is the way on.
//!
//! ```
//! use etcd_async_std::AsyncStdRuntime;
//! use etcd_http::HttpConfig;
//!
//! let transport = AsyncStdRuntime::new().transport(HttpConfig::new());
//! # let _ = transport;
//! ```

mod connect;
mod runtime;

pub use runtime::AsyncStdRuntime;
