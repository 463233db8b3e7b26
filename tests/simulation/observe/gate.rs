//! A transport that lets only some requests pass, and lets the others wait.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyetcd::transport::{RequestBody, ResponseBody, TransportError};
use anyetcd::{BoxFuture, Transport};
use etcd_embedded::sim::{SimTransport, World};
use http::{Request, Response};

/// Lets only so many requests to a path pass, and all others. What waits is never answered.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) transport: Arc<SimTransport>,
    path: &'static str,
    left: AtomicU64,
}

impl Gate {
    /// An open one for requests whose path ends with `path`.
    pub(super) fn new(world: &World, path: &'static str) -> Arc<Self> {
        Arc::new(Self {
            transport: world.transport(),
            path,
            left: AtomicU64::new(u64::MAX),
        })
    }

    /// Lets as many requests pass from now on.
    pub(super) fn close_after(&self, requests: u64) {
        self.left.store(requests, Ordering::Relaxed);
    }

    /// Lets all of them pass.
    pub(super) fn open(&self) {
        self.close_after(u64::MAX);
    }
}

impl Transport for Gate {
    fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        if request.uri().path().ends_with(self.path) {
            let left = self.left.load(Ordering::Relaxed);
            if left == 0 {
                return Box::pin(pending());
            }
            self.close_after(left - 1);
        }
        self.transport.exchange(request)
    }
}
