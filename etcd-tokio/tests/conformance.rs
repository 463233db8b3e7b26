//! What every runtime's transport has to do, on Tokio: on several threads, on one, and from outside.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::sync::Arc;

use etcd_core::runtime::BoxFuture;
use etcd_tokio::TokioRuntime;
use http_conformance::World;
use tokio::runtime::{Builder, Runtime};

fn world(runtime: &TokioRuntime) -> World {
    let for_transport = runtime.clone();
    World {
        runtime: Arc::new(runtime.clone()),
        connect: Box::new(move |config| Arc::new(for_transport.transport(config))),
    }
}

fn run_inside(tokio: &Runtime, test: impl FnOnce(World) -> BoxFuture<'static, ()>) {
    tokio.block_on(async { test(world(&TokioRuntime::current().unwrap())).await });
}

mod on_threads {
    use super::*;

    fn run(test: impl FnOnce(World) -> BoxFuture<'static, ()>) {
        run_inside(
            &Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap(),
            test,
        );
    }

    http_conformance::runtime_conformance!(run);
}

mod on_one_thread {
    use super::*;

    fn run(test: impl FnOnce(World) -> BoxFuture<'static, ()>) {
        run_inside(&Builder::new_current_thread().enable_all().build().unwrap(), test);
    }

    http_conformance::runtime_conformance!(run);
}

/// The futures are polled by an executor that is not Tokio's, on a thread without its context.
mod from_outside {
    use super::*;

    fn run(test: impl FnOnce(World) -> BoxFuture<'static, ()>) {
        let tokio = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        assert!(TokioRuntime::current().is_none());
        futures_executor::block_on(test(world(&TokioRuntime::new(tokio.handle().clone()))));
    }

    http_conformance::runtime_conformance!(run);
}
