//! What every runtime's transport has to do, on async-std.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::sync::Arc;

use etcd_async_std::AsyncStdRuntime;
use etcd_core::runtime::BoxFuture;
use http_conformance::World;

fn run(test: impl FnOnce(World) -> BoxFuture<'static, ()>) {
    async_std::task::block_on(test(World {
        runtime: Arc::new(AsyncStdRuntime::new()),
        connect: Box::new(|config| Arc::new(AsyncStdRuntime::new().transport(config))),
    }));
}

http_conformance::runtime_conformance!(run);
