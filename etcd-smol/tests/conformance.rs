//! What every runtime's transport has to do, on smol: on its global executor, and on one of the application's.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::sync::Arc;

use etcd_core::runtime::BoxFuture;
use etcd_smol::SmolRuntime;
use http_conformance::World;
use smol::Executor;

fn world(runtime: SmolRuntime) -> World {
    World {
        runtime: Arc::new(runtime.clone()),
        connect: Box::new(move |config| Arc::new(runtime.transport(config))),
    }
}

mod on_the_global_executor {
    use super::*;

    fn run(test: impl FnOnce(World) -> BoxFuture<'static, ()>) {
        smol::block_on(test(world(SmolRuntime::new())));
    }

    http_conformance::runtime_conformance!(run);
}

mod on_an_own_executor {
    use super::*;

    fn run(test: impl FnOnce(World) -> BoxFuture<'static, ()>) {
        let executor = Arc::new(Executor::new());
        let world = world(SmolRuntime::with_executor(executor.clone()));
        smol::block_on(executor.run(test(world)));
    }

    http_conformance::runtime_conformance!(run);
}
