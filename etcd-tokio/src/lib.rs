//! anyetcd on [Tokio](https://docs.rs/tokio): connect, spawn, sleep.
//!
//! ```
//! use etcd_http::HttpConfig;
//! use etcd_tokio::TokioRuntime;
//!
//! #[tokio::main]
//! async fn main() {
//!     let runtime = TokioRuntime::current().expect("main runs in one");
//!     let transport = runtime.transport(HttpConfig::new());
//! #   let _ = transport;
//! }
//! ```

mod connect;
mod runtime;

pub use runtime::TokioRuntime;
