//! What every runtime's transport has to do: one body of tests, mounted on each adapter.
//!
//! A test is an async function over a [`World`]; the other end is a [`server::Server`] that plays a script byte by
//! byte. `runtime_conformance!` mounts all of them as `#[test]`s for one way of running futures.

#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::missing_panics_doc,
    clippy::unwrap_used
)]

use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use etcd_core::runtime::{BoxFuture, Runtime};
use etcd_core::transport::{RequestBody, Transport, TransportError};
use etcd_http::HttpConfig;
use http::{Request, Response};

pub mod abandon;
pub mod connecting;
pub mod duplex;
pub mod pool;
pub mod requests;
pub mod responses;
pub mod runtime;
pub mod server;

/// More than any test sends on purpose.
pub const BODY_LIMIT: usize = 1 << 20;

/// What a test needs of the adapter under test.
pub struct World {
    pub runtime: Arc<dyn Runtime>,
    pub connect: Box<dyn Fn(HttpConfig) -> Arc<dyn Transport> + Send + Sync>,
}

impl World {
    pub fn transport(&self) -> Arc<dyn Transport> {
        self.transport_with(HttpConfig::new())
    }

    pub fn transport_with(&self, config: HttpConfig) -> Arc<dyn Transport> {
        (self.connect)(config)
    }
}

/// Exchanges, and reads the body to its end.
pub async fn fetch(
    transport: &dyn Transport,
    request: Request<RequestBody>,
) -> Result<Response<Bytes>, TransportError> {
    let (head, body) = transport.exchange(request).await?.into_parts();
    Ok(Response::from_parts(head, body.collect(BODY_LIMIT).await?))
}

/// Polls `future` once; what it waits for later will wake nobody.
pub fn poll_once<T>(future: &mut BoxFuture<'_, T>) -> Poll<T> {
    future
        .as_mut()
        .poll(&mut std::task::Context::from_waker(Waker::noop()))
}

/// Mounts every test on `$run`, a function of the module it is used in: `fn(impl FnOnce(World) -> BoxFuture<'static, ()>)` that runs one to its end.
#[macro_export]
macro_rules! runtime_conformance {
    ($run:ident) => {
        $crate::mount! { $run;
            requests: a_whole_body_is_sent_byte_for_byte, an_empty_post_announces_its_length, a_get_announces_nothing,
                framing_headers_of_the_caller_do_not_count, another_host_header_is_kept, what_cannot_be_carried_is_refused,
                a_large_body_arrives_whole;
            responses: every_body_survives_every_split, every_early_close_is_an_error, every_reset_is_an_error,
                garbage_is_a_protocol_error, a_head_without_end_is_refused, a_line_without_end_is_refused,
                a_body_over_the_limit_is_refused_and_its_connection_closed, interim_responses_are_passed_over,
                statuses_and_methods_without_body_have_none, trailers_follow_the_data, redirects_are_not_followed,
                a_large_body_arrives_in_pieces;
            pool: one_connection_serves_one_request_after_another, a_connection_with_bytes_left_over_is_not_reused,
                a_connection_that_says_close_is_not_reused, a_connection_with_its_request_half_sent_is_not_kept, an_unread_body_closes_its_connection,
                a_connection_closed_while_idle_is_replaced, a_connection_reset_while_idle_is_replaced,
                requests_beyond_the_limit_wait_in_line, a_dropped_waiter_costs_nobody_his_turn,
                a_failed_exchange_gives_its_place_back, long_lived_requests_pass_the_limit,
                unused_connections_beyond_the_limit_are_closed, unused_connections_grow_old,
                a_thousand_requests_share_the_connections;
            connecting: a_refused_connection_is_not_sent, a_silent_connect_times_out, an_address_may_be_version_6,
                a_name_is_resolved, a_server_that_hangs_up_at_once_has_got_nothing_or_perhaps_something;
            abandon: before_the_connection_is_there, waiting_for_the_head, between_head_and_body, within_the_body,
                after_any_number_of_polls, with_the_request_half_sent;
            duplex: the_head_arrives_while_the_request_body_is_open, each_item_is_one_chunk,
                a_watch_gains_a_key_and_loses_another_on_one_socket, the_request_flows_while_nobody_reads,
                the_response_goes_on_after_the_request_has_ended, the_end_of_the_response_ends_the_request_body,
                dropping_the_response_ends_the_request_body, dropping_the_future_ends_the_request_body,
                a_cut_response_is_an_error_and_ends_the_request_body,
                a_connection_that_breaks_while_nobody_reads_is_reported_as_broken, duplex_exchanges_pass_the_limit,
                an_empty_item_does_not_end_the_body;
            runtime: spawned_tasks_run, blocking_work_runs_elsewhere, a_sleep_ends_at_its_deadline_and_not_before,
                a_deadline_in_the_past_is_over, entropy_does_not_repeat;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! mount {
    ($run:ident; $($module:ident: $($test:ident),*;)*) => { $(mod $module { $(
        #[test]
        fn $test() {
            super::$run(|world| Box::pin($crate::$module::$test(world)));
        }
    )* })* };
}
