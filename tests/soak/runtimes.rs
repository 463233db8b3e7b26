//! The runtimes that a soak runs on.

use anyetcd::{AsyncStdRuntime, SmolRuntime, TokioRuntime};
use etcd_process::Dialect;

use crate::world::World;

pub(crate) fn on_tokio(dialect: Dialect, soak: impl AsyncFnOnce(World)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let world = World::new(dialect, TokioRuntime::new(runtime.handle().clone()));
    runtime.block_on(soak(world));
}

pub(crate) fn on_async_std(dialect: Dialect, soak: impl AsyncFnOnce(World)) {
    async_std::task::block_on(soak(World::new(dialect, AsyncStdRuntime::new())));
}

pub(crate) fn on_smol(dialect: Dialect, soak: impl AsyncFnOnce(World)) {
    smol::block_on(soak(World::new(dialect, SmolRuntime::new())));
}
