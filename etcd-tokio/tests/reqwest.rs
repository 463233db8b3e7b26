//! What of the conformance suite holds for a transport on reqwest.

#![allow(clippy::unwrap_used)] // A panic is how a test fails.

use std::sync::Arc;

use etcd_core::runtime::BoxFuture;
use etcd_tokio::{ReqwestTransport, TokioRuntime};
use http_conformance::World;
use tokio::runtime::Builder;

fn run(test: impl FnOnce(World) -> BoxFuture<'static, ()>) {
    let tokio = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    tokio.block_on(async {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .unwrap();
        let world = World {
            runtime: Arc::new(TokioRuntime::current().unwrap()),
            // What a test sets in the configuration, reqwest's client does not have; such tests are not here.
            connect: Box::new(move |_| Arc::new(ReqwestTransport::new(client.clone()))),
        };
        test(world).await;
    });
}

// Not among them: tests that count connections (reqwest opens one more when a kept one is late in coming back), and
// those of what `ReqwestTransport` says it cannot do.
http_conformance::mount! { run;
    requests: a_large_body_arrives_whole;
    responses: every_early_close_is_an_error, every_reset_is_an_error, garbage_is_a_protocol_error,
        a_body_over_the_limit_is_refused_and_its_connection_closed, interim_responses_are_passed_over,
        trailers_follow_the_data, redirects_are_not_followed;
    pool: a_connection_that_says_close_is_not_reused, a_connection_closed_while_idle_is_replaced;
    connecting: a_name_is_resolved;
    abandon: with_the_request_half_sent;
    duplex: each_item_is_one_chunk, a_watch_gains_a_key_and_loses_another_on_one_socket,
        the_request_flows_while_nobody_reads, the_response_goes_on_after_the_request_has_ended,
        the_end_of_the_response_ends_the_request_body, dropping_the_response_ends_the_request_body,
        dropping_the_future_ends_the_request_body, a_cut_response_is_an_error_and_ends_the_request_body,
        duplex_exchanges_pass_the_limit, an_empty_item_does_not_end_the_body;
}
