//! One behaviour a test, each on every runtime and against every dialect's real server.
//!
//! `tests/on_tokio.rs`, `on_async_std.rs` and `on_smol.rs` mount this folder, each beside a `harness` of its own
//! that says how to block on a future and which runtime clients use. A behaviour is an `async fn(World)`; its
//! name in the list below makes three tests of it, one a dialect.
//!
//! Behaviours share one server a dialect and keep to keys below [`World::key`]; one that disturbs its server
//! starts its own ([`World::own_server`]).

mod world;

use std::future::Future;
use std::time::Duration;

use anyetcd::Runtime as _;
use etcd_process::Dialect;

pub(crate) use world::World;

/// A behaviour that takes longer than this hangs: the slowest take some 20 s on a loaded machine.
const HANGS_AFTER: Duration = Duration::from_secs(180);

fn run<F: Future<Output = ()>>(dialect: Dialect, behaviour: impl FnOnce(World) -> F) {
    let runtime = crate::harness::runtime();
    crate::harness::block_on(async {
        let give_up = runtime.sleep_until(runtime.now() + HANGS_AFTER);
        let behaviour = std::pin::pin!(behaviour(World::new(dialect)));
        match futures_util::future::select(behaviour, give_up).await {
            futures_util::future::Either::Left(((), _)) => {}
            futures_util::future::Either::Right(_) => panic!("hangs"),
        }
    });
}

macro_rules! behaviours {
    ($( $area:ident { $($name:ident,)* } )*) => {
        $( mod $area; )*
        behaviours!(@dialect g1_6, G1_6, $( $area { $($name,)* } )*);
        behaviours!(@dialect g1_16, G1_16, $( $area { $($name,)* } )*);
        behaviours!(@dialect g2, G2, $( $area { $($name,)* } )*);
    };
    (@dialect $module:ident, $dialect:ident, $( $area:ident { $($name:ident,)* } )*) => {
        mod $module {
            $(
                mod $area {
                    $(
                        #[test]
                        fn $name() {
                            let dialect = etcd_process::Dialect::$dialect;
                            super::super::run(dialect, super::super::$area::$name);
                        }
                    )*
                }
            )*
        }
    };
}

behaviours! {
    kv {
        a_put_is_read_back_with_its_revisions,
        keys_and_values_are_any_bytes,
    }
}
