//! Which runtime a client is made in.

use std::sync::Arc;

use etcd_core::runtime::Runtime;

use crate::builder::MakeTransport;

/// The runtime that runs here and a transport on it, `None` if no feature brings one that does.
///
/// Tokio and async-std know whether they run here. smol runs everywhere, and so does async-std, so they come
/// last; smol first, because async-std is discontinued in its favour.
pub(crate) fn current() -> Option<(Arc<dyn Runtime>, MakeTransport)> {
    #[cfg(feature = "tokio")]
    if let Some(runtime) = etcd_tokio::TokioRuntime::current() {
        return Some(seams!(runtime));
    }
    #[cfg(feature = "async-std")]
    if let Some(runtime) = etcd_async_std::AsyncStdRuntime::current() {
        return Some(seams!(runtime));
    }
    #[cfg(feature = "smol")]
    return Some(seams!(etcd_smol::SmolRuntime::new()));
    #[cfg(all(feature = "async-std", not(feature = "smol")))]
    return Some(seams!(etcd_async_std::AsyncStdRuntime::new()));
    #[cfg(not(any(feature = "async-std", feature = "smol")))]
    None
}

/// A runtime of any adapter, and what makes a transport on it.
#[cfg(any(feature = "tokio", feature = "async-std", feature = "smol"))]
macro_rules! seams {
    ($runtime:expr) => {{
        let runtime = $runtime;
        let make: MakeTransport = {
            let runtime = runtime.clone();
            Box::new(move |config| Arc::new(runtime.transport(config)))
        };
        (Arc::new(runtime) as Arc<dyn Runtime>, make)
    }};
}
#[cfg(any(feature = "tokio", feature = "async-std", feature = "smol"))]
use seams;
