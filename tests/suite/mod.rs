//! One behaviour a test, each on every runtime, against every dialect's real server, and on the embedded etcd.
//!
//! `tests/on_tokio.rs`, `on_async_std.rs`, `on_smol.rs` and `on_embedded.rs` mount this folder, each beside a `harness`
//! of its own that says how to block on a future, which runtime clients use, what a [`Server`] is and how one reaches
//! the shared one. A behaviour is an `async fn(World)`; its name in the list below makes three tests of it, one a
//! dialect.
//!
//! A name, or a whole area, that is followed by a reason is not mounted on the embedded etcd, for that reason: the
//! macro `real_servers_only!` of whoever mounts this folder drops it there and nowhere else.
//!
//! What watches make of long histories while all faults come at once is tested apart from this, by `tests/soak`.
//!
//! Behaviours share one server a dialect and keep to keys below [`World::key`]; one that disturbs its server
//! starts its own ([`World::own_server`]).

mod eventually;
mod line;
#[allow(dead_code)] // the soak uses the rest
mod proxy;
mod world;

use std::future::Future;
use std::time::Duration;

use anyetcd::Runtime as _;
use etcd_process::Dialect;

pub(crate) use eventually::{eventually, pause, unless_in_doubt, written};
pub(crate) use proxy::Proxy;
pub(crate) use world::World;

/// Etcd as a process, or embedded, to be disturbed in the same ways.
pub(crate) use crate::harness::Server;

/// A behaviour that takes longer than this hangs: the slowest, a lease whose members fail in turn, takes some 40 s, and
/// on a busy machine several times that.
const HANGS_AFTER: Duration = Duration::from_secs(300);

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
    ($( $area:ident $(: $why:literal)? { $($name:ident $(: $because:literal)?,)* } )*) => {
        $( behaviours!(@where [$($why)?] mod $area;); )*
        behaviours!(@dialect g1_6, G1_6, $( $area [$($why)?] { $($name [$($because)?],)* } )*);
        behaviours!(@dialect g1_16, G1_16, $( $area [$($why)?] { $($name [$($because)?],)* } )*);
        behaviours!(@dialect g2, G2, $( $area [$($why)?] { $($name [$($because)?],)* } )*);
    };
    (@dialect $module:ident, $dialect:ident,
        $( $area:ident $why:tt { $($name:ident $because:tt,)* } )*
    ) => {
        mod $module {
            $(
                behaviours!(@where $why mod $area {
                    $(
                        behaviours!(@where $because
                            #[test]
                            fn $name() {
                                let dialect = etcd_process::Dialect::$dialect;
                                super::super::run(dialect, super::super::$area::$name);
                            }
                        );
                    )*
                });
            )*
        }
    };
    (@where [] $($item:tt)*) => {
        $($item)*
    };
    (@where [$reason:literal] $($item:tt)*) => {
        real_servers_only! { $($item)* }
    };
}

behaviours! {
    auth {
        a_changed_password_ends_the_tokens_of_the_old_one,
        a_user_may_do_what_its_roles_permit,
        a_wrong_password_is_tried_once_for_all_that_wait,
        authentication_may_be_switched_on_and_off_while_a_client_runs,
        tokens_that_expired_or_were_lost_are_renewed_unseen_with_one_login_for_all,
        users_and_roles_are_added_read_listed_and_deleted,
    }
    cluster: "the embedded etcd has one member, and cannot be given another" {
        a_learner_is_added_hands_calls_on_and_is_promoted_once_it_is_in_sync,
        a_member_that_has_not_started_is_updated_and_removed,
    }
    cluster_guard {
        a_server_that_lost_its_data_is_reported_and_not_papered_over,
        another_cluster_at_the_same_address_is_reported_until_a_client_is_made_anew,
    }
    failover {
        a_cluster_goes_on_without_its_leader_and_says_so_without_a_quorum: "the embedded etcd has one member",
        a_put_whose_answer_is_lost_is_not_repeated_and_a_get_is,
        calls_move_on_from_an_endpoint_that_refuses,
        every_acknowledged_put_is_there_after_restarts_and_none_was_made_twice,
        reads_move_on_from_an_endpoint_that_is_silent_and_writes_once_it_is_known,
    }
    interop: "etcdctl speaks gRPC, which the embedded etcd does not" {
        etcdctl_campaigns_against_our_leader_and_we_against_its,
        etcdctl_reads_what_we_wrote,
        etcdctl_waits_for_our_lock_and_we_for_its,
        leases_are_the_same_to_both,
        we_read_what_etcdctl_wrote,
    }
    kv {
        a_put_is_read_back_with_its_revisions,
        keys_and_values_are_any_bytes,
        a_value_may_be_empty,
        keys_and_values_are_of_any_length,
        the_header_says_who_answered_and_when,
        a_put_returns_the_previous_pair_if_asked,
        a_put_can_keep_the_value_and_change_the_lease,
        a_put_can_keep_the_lease_and_change_the_value,
        what_a_missing_key_has_cannot_be_kept,
        a_delete_says_how_many_keys_went_and_which,
        a_delete_of_nothing_makes_no_revision,
        a_key_that_was_deleted_begins_anew,
        a_delete_takes_the_keys_of_its_range_and_no_others,
    }
    range {
        a_limit_cuts_the_answer_and_says_so,
        a_limit_is_applied_after_sorting,
        the_past_is_read_at_its_revision,
        every_target_sorts_in_either_direction,
        a_serializable_read_shows_what_the_member_has,
        values_can_be_left_out,
        pairs_can_be_only_counted,
        bounds_on_revisions_leave_pairs_out_and_the_count_alone,
        an_empty_range_holds_nothing,
        a_range_holds_what_its_description_says,
    }
    txn {
        every_relation_holds_for_every_number_as_in_arithmetic,
        values_compare_byte_by_byte,
        an_absent_key_compares_as_zeros_and_without_a_value,
        a_comparison_over_a_range_asks_it_of_every_key,
        all_conditions_must_hold_for_the_first_branch,
        answers_come_in_the_order_of_their_operations,
        all_writes_of_a_transaction_share_one_revision,
        transactions_nest_each_with_its_own_conditions,
        transactions_nest_as_deep_as_the_client_lets_them,
        a_key_cannot_be_changed_twice,
        a_failed_operation_leaves_nothing_of_its_transaction,
        reads_of_a_transaction_have_all_options,
        the_most_operations_are_accepted_and_one_more_is_not_sent,
        a_client_and_a_server_can_agree_on_more_operations,
    }
    conditional {
        a_put_if_absent_creates_and_never_overwrites,
        of_many_that_put_if_absent_one_wins,
        a_put_at_a_revision_happens_only_if_nobody_wrote_since,
        a_put_on_a_value_is_compare_and_swap,
        increments_by_compare_and_swap_all_count,
        a_conditional_put_keeps_its_options,
        a_conditional_put_fails_as_any_put_does,
        a_delete_at_a_revision_happens_only_if_nobody_wrote_since,
        a_delete_on_a_value_happens_only_while_it_is_there,
        a_conditional_delete_of_a_range_asks_it_of_every_key,
    }
    compaction {
        a_compaction_drops_what_is_older_than_its_revision,
        a_revision_is_compacted_once_and_not_ahead_of_time,
        a_physical_compaction_waits_and_keeps_the_present,
        a_revision_that_is_not_there_yet_cannot_be_read,
    }
    lease {
        a_granted_lease_is_listed_and_lives,
        a_lease_takes_the_id_it_is_given_once,
        a_lease_id_may_be_negative,
        the_extreme_ids_are_carried_exactly,
        the_longest_lease_is_granted_and_a_longer_one_not_asked_for,
        a_lease_shorter_than_the_server_likes_is_made_longer,
        what_needs_a_lease_says_when_there_is_none,
        a_lease_tells_its_keys_only_if_asked,
        revoking_a_lease_deletes_its_keys_and_no_others,
        a_lease_nobody_renews_takes_its_keys_along,
        a_renewal_gives_the_full_time_again,
    }
    lease_keeper {
        a_lease_lives_until_it_is_revoked_and_its_keys_with_it,
        a_dropped_lease_is_revoked_and_a_detached_one_is_not,
        a_lease_that_somebody_else_revokes_is_lost_and_the_others_live,
        a_refresh_gives_the_full_time_and_finds_out_what_is_gone,
        many_leases_share_one_connection,
        a_lease_outlives_cut_connections,
        a_lease_of_five_seconds_outlives_a_restart_that_takes_two,
        a_lease_whose_server_is_stopped_is_lost_before_its_time_ends_and_says_why,
        a_lease_moves_on_from_members_that_die_or_fall_silent: "the embedded etcd has one member",
        a_dropped_grant_leaves_no_lease,
        a_grant_whose_answer_is_lost_grants_one_lease,
        where_requests_are_held_back_leases_are_renewed_one_by_one,
        a_registration_comes_back_and_leaves_alone_what_others_took,
    }
    observe {
        a_snapshot_comes_first_and_then_every_change,
        an_observer_that_caught_up_has_what_there_is,
        what_is_received_and_not_taken_is_bounded_and_not_lost,
        a_compaction_while_nothing_is_heard_is_bridged_by_synthetic_events,
        an_observer_outlives_restarts,
        a_mirror_shows_what_was_written_before_it_was_synced,
        a_large_mirror_is_synced_as_well,
        a_mirror_holds_values_of_any_type,
        a_mirror_says_that_it_is_out_of_date_and_comes_back,
        a_dropped_mirror_leaves_no_watcher,
    }
    mirror_values {
        values_in_json_are_held_as_what_they_describe_or_as_an_error_that_names_them,
        a_decoder_that_fails_is_called_once_a_change_and_named_in_place_of_the_value,
    }
    observe_leader {
        who_leads_comes_first_and_then_every_change,
        a_leadership_handed_over_in_a_transaction_is_never_vacant,
        the_end_of_a_lease_ends_a_leadership,
        one_may_wait_until_somebody_leads,
        who_has_caught_up_knows_who_leads,
        a_leader_is_who_has_the_oldest_key_below_the_name_as_for_etcd,
        what_happened_while_the_connection_was_cut_is_told,
        after_a_compaction_it_is_told_who_leads_by_now,
        a_dropped_observer_of_a_leader_leaves_no_watcher,
        it_tells_what_the_servers_own_stream_tells_and_when_nobody_leads,
    }
    lock {
        a_free_lock_is_taken_at_once_under_a_key_of_its_lease,
        locks_of_other_names_do_not_wait_for_each_other,
        a_lock_goes_to_the_next_in_line_when_it_is_released,
        a_lock_goes_on_when_the_lease_that_holds_it_ends,
        a_dropped_waiter_leaves_the_line,
        a_lock_that_is_not_free_in_time_is_given_up,
        a_lock_cannot_be_held_by_a_lease_that_is_gone,
        a_waiter_whose_lease_ends_does_not_get_the_lock,
    }
    election {
        the_only_candidate_leads_until_it_resigns,
        a_leader_proclaims_other_values,
        who_does_not_lead_any_more_cannot_proclaim,
        the_next_candidate_leads_when_the_leader_resigns,
        the_next_candidate_leads_when_the_leaders_lease_ends,
        a_dropped_candidate_leaves_the_line,
        a_campaign_that_is_not_won_in_time_is_given_up,
        no_lease_no_campaign,
        an_election_is_not_held_up_by_keys_that_begin_like_it,
        a_leadership_guards_a_transaction,
    }
    paging {
        ten_thousand_keys_come_once_each_and_in_order,
        pages_show_one_revision_whatever_is_written_meanwhile,
        pages_can_show_the_past,
        a_limit_counts_over_all_pages,
        a_single_page_tells_its_revision_too,
        a_range_without_keys_ends_at_once,
        a_page_that_was_not_waited_for_is_not_lost,
        pages_that_the_client_finds_too_large_are_asked_for_again_in_halves,
        a_compaction_under_the_pages_is_told,
        reading_goes_on_after_an_error_where_it_was,
    }
    load {
        a_value_of_the_size_a_server_takes_is_read_back,
        a_value_larger_than_a_server_takes_is_refused_and_not_written,
        an_answer_of_twenty_megabytes_arrives_whole,
        an_answer_larger_than_the_client_takes_is_an_error_and_the_next_call_works,
        a_write_whose_answer_is_too_large_leaves_its_outcome_open,
        a_thousand_calls_at_once_are_each_answered,
        tasks_share_a_client,
    }
    cancel {
        every_kind_of_call_may_be_dropped_while_others_go_on,
        connections_of_dropped_calls_are_closed,
        a_dropped_transaction_is_applied_whole_or_not_at_all,
        a_dropped_client_closes_its_connections,
    }
    deadline {
        calls_to_a_silent_server_end_at_their_deadline,
        many_calls_that_hang_at_once_all_end,
        a_client_does_not_wait_longer_for_a_silent_server_to_begin_with,
        a_lock_has_a_deadline_of_its_own,
        a_call_without_time_is_not_sent,
        a_deadline_may_be_as_far_away_as_one_likes,
        a_put_that_never_got_a_connection_is_known_not_to_be_applied,
        every_time_may_be_as_long_as_a_duration_can_be,
    }
    duplex {
        a_watch_gains_a_key_and_loses_another_on_one_socket,
        a_dropped_stream_leaves_no_watcher_behind,
    }
    input {
        a_key_is_not_empty,
        a_put_keeps_or_brings_but_not_both,
        a_lease_lives_for_a_time_that_servers_know,
        a_lease_that_is_needed_is_named,
        locks_and_elections_have_names,
        a_transaction_keeps_to_its_limits,
        a_transaction_does_not_keep_what_it_has_deleted,
        a_read_sorts_by_what_is_known,
        what_a_transaction_keeps_before_or_beside_a_deletion_is_fine_with_servers,
        a_compaction_names_a_revision,
        administration_names_what_it_is_about,
        pages_come_in_the_order_of_their_keys,
        a_call_goes_to_an_endpoint_that_can_be_used,
        a_client_is_not_made_of_settings_that_cannot_work,
    }
    maintenance {
        a_full_database_refuses_puts_until_it_is_cleared,
        a_member_tells_its_version_size_and_leader,
        an_alarm_is_raised_listed_and_cleared,
        checksums_and_downgrades_are_asked_for_where_they_are_offered,
        only_the_leader_hands_the_leadership_on: "the embedded etcd has one member",
    }
    watch {
        a_watch_tells_what_is_written_after_it_was_asked_for,
        all_that_a_transaction_changed_is_in_one_batch,
        history_is_told_from_the_revision_asked_for,
        a_watch_waits_for_a_revision_to_come,
        filters_leave_out_what_they_name,
        the_pair_before_comes_along_if_asked_for,
        messages_that_come_in_pieces_are_whole_batches,
        a_watch_gains_and_loses_ranges_while_it_runs,
        a_handle_ends_its_watch,
        a_callback_is_called_with_each_batch,
        a_token_is_where_another_watch_goes_on,
        a_token_of_another_cluster_or_from_the_future_is_refused,
        progress_is_the_revision_up_to_which_all_was_received,
        a_server_tells_of_progress_by_itself_where_it_was_asked_to,
        what_cannot_be_watched_is_said_at_once,
        watches_of_a_client_do_not_disturb_each_other,
    }
    watch_faults {
        what_was_written_while_the_connection_was_cut_is_told,
        a_server_may_be_killed_and_restarted_under_a_watch,
        a_silent_server_is_left_and_found_again,
        a_quiet_server_is_not_taken_for_a_dead_one,
        members_may_be_killed_in_turn_under_a_watch: "the embedded etcd has one member",
        a_member_without_a_leader_is_left_for_one_that_has_one: "the embedded etcd has one member",
        compaction_ends_a_watch_that_needed_what_is_gone_and_no_other,
        a_denied_watch_is_told_so_and_others_go_on,
        a_new_watch_finds_that_the_token_of_the_connection_has_expired,
        a_watch_that_is_cut_off_after_its_token_expired_goes_on_with_another,
        where_streams_get_no_answer_each_watch_has_a_request_of_its_own,
        another_cluster_and_a_lost_history_are_reported_and_not_waited_out,
        a_watch_without_room_waits_and_holds_nobody_up,
        a_watch_without_room_ends_with_the_position_to_go_on_from,
        a_watch_without_room_may_tell_only_the_last_of_each_key,
    }
    watch_ends {
        each_way_of_ending_a_watch_ends_it_on_the_server,
        a_watch_may_be_given_up_at_any_point_of_its_creation,
        the_connection_ends_with_its_last_watch_and_comes_back_with_the_next,
        a_watch_goes_on_without_its_client_and_ends_with_itself,
    }
    watch_fallback {
        ranges_on_requests_of_their_own_are_one_watch,
        ranges_on_requests_of_their_own_are_as_far_as_the_last_of_them,
        ranges_on_requests_of_their_own_come_back_from_a_cut,
    }
    watch_load {
        two_hundred_thousand_events_of_the_past_arrive_whole: "serving and decoding them keeps one process busy for longer \
            than the leases of its other behaviours live",
        ten_thousand_watches_live_on_one_connection_and_half_of_them_leave,
    }
    watch_ranges {
        a_watch_may_begin_with_several_ranges,
        the_end_of_a_range_names_it_and_the_others_go_on,
        ranges_that_lost_their_history_while_away_are_named_one_by_one,
        a_range_that_lags_is_named_and_resumed_and_the_others_go_on,
    }
    snapshot {
        a_saved_snapshot_is_private_complete_and_can_be_restored,
        a_server_that_falls_silent_midway_is_left_after_the_timeout,
        a_snapshot_dropped_midway_leaves_no_file_and_no_connection,
        a_snapshot_is_written_to_any_writer_over_nothing_but_whole_files,
    }
}
