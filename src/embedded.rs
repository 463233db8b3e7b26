//! An etcd in the process: everything of [`etcd_embedded`], and how to start one on the runtime at hand.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyetcd::Result<()> {
//! use anyetcd::embedded::{self, Config};
//! use anyetcd::{Client, EtcdError};
//!
//! let server = embedded::start(Config::new().quota_backend_bytes(64 * 1024))?;
//! let client = Client::builder().embedded(&server).build()?;
//!
//! let error = client.put("key", vec![0; 70_000]).await.unwrap_err();
//! assert_eq!(error.etcd(), Some(EtcdError::NoSpace));
//! assert!(server.inspect(|server| server.is_out_of_space()));
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use etcd_core::error::{InvalidArgument, Result};
use etcd_core::runtime::Runtime;

pub use etcd_embedded::*;

/// Starts an embedded etcd on the runtime this is called in, found as [`Client::connect`](crate::Client::connect) does.
///
/// On another runtime, or at another clock than the real one, [`EmbeddedTransport::new`] starts it.
///
/// # Errors
///
/// [`InvalidArgument::NoRuntime`] if no runtime is found.
pub fn start(config: Config) -> Result<EmbeddedTransport> {
    let runtime = current().ok_or(InvalidArgument::NoRuntime)?;
    let server = Server::new(config, runtime.now(), runtime.entropy());
    Ok(EmbeddedTransport::new(server, runtime))
}

fn current() -> Option<Arc<dyn Runtime>> {
    #[cfg(feature = "http")]
    return crate::runtime::current().map(|(runtime, _)| runtime);
    #[cfg(not(feature = "http"))]
    None
}
