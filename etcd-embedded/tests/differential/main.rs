//! The embedded server against a real one: the same generated requests to both, every answer compared.
//!
//! Needs the servers that `cargo xtask etcd` fetches. `DIFFERENTIAL_STEPS` says how many requests to make of each area with
//! each dialect (by default a few hundred), `DIFFERENTIAL_SEED` where to begin (default 1). A failure names both.

#![allow(clippy::unwrap_used, clippy::field_reassign_with_default, unreachable_pub)]

mod auth;
mod contests;
mod errors;
#[path = "../generator/mod.rs"]
mod generator;
mod here;
mod http;
mod keys;
mod mangled;
mod mask;
mod pair;
mod progress;
mod streams;
mod watches;

use etcd_embedded::Dialect;

/// What a run of an area is about.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    dialect: Dialect,
    seed: u64,
    steps: u64,
}

impl Plan {
    fn new(dialect: Dialect, default_steps: u64) -> Self {
        Self {
            dialect,
            seed: setting("DIFFERENTIAL_SEED").unwrap_or(1),
            steps: setting("DIFFERENTIAL_STEPS").unwrap_or(default_steps),
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Declares a test for each area and dialect.
macro_rules! areas {
    ($( $dialect:ident $variant:ident: $( $test:ident($area:ident, $steps:literal) )*; )*) => {
        $(
            mod $dialect {
                $(
                    #[test]
                    fn $test() {
                        super::$area::compare(super::Plan::new(etcd_embedded::Dialect::$variant, $steps));
                    }
                )*
            }
        )*
    };
}

areas! {
    g1_6 G1_6:
        keys_transactions_and_leases_are_like_3_4(keys, 600)
        users_roles_and_permissions_are_like_3_4(auth, 600)
        what_is_refused_is_refused_like_3_4(errors, 600)
        watches_are_like_3_4(watches, 400)
        progress_is_told_like_3_4(progress, 1)
        locks_elections_and_expiry_are_like_3_4(contests, 60);
    g1_16 G1_16:
        keys_transactions_and_leases_are_like_upstream_3_5(keys, 600)
        users_roles_and_permissions_are_like_upstream_3_5(auth, 600)
        what_is_refused_is_refused_like_upstream_3_5(errors, 600)
        watches_are_like_upstream_3_5(watches, 400)
        progress_is_told_like_upstream_3_5(progress, 1)
        locks_elections_and_expiry_are_like_upstream_3_5(contests, 60);
    g2 G2:
        keys_transactions_and_leases_are_like_3_5_of_debian(keys, 600)
        users_roles_and_permissions_are_like_3_5_of_debian(auth, 600)
        what_is_refused_is_refused_like_3_5_of_debian(errors, 600)
        watches_are_like_3_5_of_debian(watches, 400)
        progress_is_told_like_3_5_of_debian(progress, 1)
        locks_elections_and_expiry_are_like_3_5_of_debian(contests, 60);
}
