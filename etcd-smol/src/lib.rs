//! anyetcd on [smol](https://docs.rs/smol): connect, spawn, sleep.
//!
//! ```
//! use etcd_http::HttpConfig;
//! use etcd_smol::SmolRuntime;
//!
//! let transport = SmolRuntime::new().transport(HttpConfig::new());
//! # let _ = transport;
//! ```

mod connect;
mod runtime;

pub use runtime::SmolRuntime;
