//! One behaviour a test, each on every runtime and against every dialect's real server.
//!
//! `tests/on_tokio.rs`, `on_async_std.rs` and `on_smol.rs` mount this folder, each beside a `harness` of its own
//! that says how to block on a future and which runtime clients use. A behaviour is an `async fn(World)`; its
//! name in the list below makes three tests of it, one a dialect.
//!
//! Behaviours share one server a dialect and keep to keys below [`World::key`]; one that disturbs its server
//! starts its own ([`World::own_server`]).

mod eventually;
mod proxy;
mod world;

use std::future::Future;
use std::time::Duration;

use anyetcd::Runtime as _;
use etcd_process::Dialect;

pub(crate) use eventually::{eventually, pause};
pub(crate) use proxy::Proxy;
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
    auth {
        a_changed_password_ends_the_tokens_of_the_old_one,
        a_user_may_do_what_its_roles_permit,
        authentication_may_be_switched_on_and_off_while_a_client_runs,
        tokens_that_expired_or_were_lost_are_renewed_unseen_with_one_login_for_all,
        users_and_roles_are_added_read_listed_and_deleted,
    }
    cluster {
        a_learner_is_added_hands_calls_on_and_is_promoted_once_it_is_in_sync,
        a_member_that_has_not_started_is_updated_and_removed,
    }
    cluster_guard {
        a_server_that_lost_its_data_is_reported_and_not_papered_over,
        another_cluster_at_the_same_address_is_reported_until_a_client_is_made_anew,
    }
    failover {
        a_cluster_goes_on_without_its_leader_and_says_so_without_a_quorum,
        a_put_whose_answer_is_lost_is_not_repeated_and_a_get_is,
        calls_move_on_from_an_endpoint_that_refuses,
        every_acknowledged_put_is_there_after_restarts_and_none_was_made_twice,
        reads_move_on_from_an_endpoint_that_is_silent_and_writes_once_it_is_known,
    }
    interop {
        etcdctl_campaigns_against_our_leader_and_we_against_its,
        etcdctl_reads_what_we_wrote,
        etcdctl_waits_for_our_lock_and_we_for_its,
        leases_are_the_same_to_both,
        we_read_what_etcdctl_wrote,
    }
    kv {
        a_put_is_read_back_with_its_revisions,
        keys_and_values_are_any_bytes,
    }
    maintenance {
        a_full_database_refuses_puts_until_it_is_cleared,
        a_member_tells_its_version_size_and_leader,
        an_alarm_is_raised_listed_and_cleared,
        checksums_and_downgrades_are_asked_for_where_they_are_offered,
        only_the_leader_hands_the_leadership_on,
    }
    snapshot {
        a_saved_snapshot_is_private_complete_and_what_etcdctl_takes,
        a_server_that_falls_silent_midway_is_left_after_the_timeout,
        a_snapshot_dropped_midway_leaves_no_file_and_no_connection,
        a_snapshot_is_written_to_any_writer_over_nothing_but_whole_files,
    }
}
