//! Watches of real servers over thousands of revisions, while everything around them fails; then what each was told is held
//! against what happened. The simulation does the same with many more faults, and no server.
//!
//! A test binary of its own: binaries run one after the other, so that this load meets no behaviour of the suite, whose
//! leases are short. Only real servers: what is killed here is a process with a disk, and what is compacted is a database.
//!
//! `SOAK_REVISIONS=200000` writes more (20,000 by default, and three tenths of it to a cluster) and disturbs as often in
//! proportion; `SOAK_SEED` has the same written and disturbs in the same order.

#![allow(clippy::unwrap_used)]

mod cast;
mod cluster;
mod compactions;
mod dice;
mod faults;
mod observers;
mod one_server;
mod plan;
#[path = "../suite/proxy.rs"]
#[allow(dead_code)] // the suite uses the rest
mod proxy;
mod ranges;
mod runtimes;
mod soak;
mod tally;
mod truth;
mod watcher;
mod world;
mod writing;

use runtimes::{on_async_std, on_smol, on_tokio};

macro_rules! soaks {
    ($($runtime:ident)*) => { $(
        mod $runtime {
            soaks!(@dialect $runtime g1_6 G1_6);
            soaks!(@dialect $runtime g1_16 G1_16);
            soaks!(@dialect $runtime g2 G2);
        }
    )* };
    (@dialect $runtime:ident $module:ident $dialect:ident) => {
        mod $module {
            use etcd_process::Dialect;

            #[test]
            fn watches_of_one_server_keep_their_promises() {
                crate::$runtime(Dialect::$dialect, crate::one_server::soak);
            }

            #[test]
            fn watches_of_a_cluster_keep_their_promises() {
                crate::$runtime(Dialect::$dialect, crate::cluster::soak);
            }
        }
    };
}

soaks! { on_tokio on_async_std on_smol }
