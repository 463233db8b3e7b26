//! Clients that are wrong are caught: tests of the tests.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyetcd::transport::{Delivery, RequestBody, ResponseBody, TransportError};
use anyetcd::{BoxFuture, Transport};
use etcd_embedded::sim::{Faults, World};
use http::{Request, Response};

use crate::writers::{client_on, run};

/// Sends a request again when its connection breaks, as if that were harmless.
#[derive(Debug)]
struct Retrying(Arc<dyn Transport>);

impl Transport for Retrying {
    fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let RequestBody::Full(bytes) = body else {
                return self.0.exchange(Request::from_parts(head, body)).await;
            };
            let again = |bytes| Request::from_parts(head.clone(), RequestBody::Full(bytes));
            match self.0.exchange(again(bytes.clone())).await {
                Err(error) if error.delivery() == Delivery::MaybeSent => self.0.exchange(again(bytes)).await,
                result => result,
            }
        })
    }
}

/// Says of every failure that nothing was sent.
#[derive(Debug)]
struct Innocent(Arc<dyn Transport>);

impl Transport for Innocent {
    fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        Box::pin(async move {
            let result = self.0.exchange(request).await;
            result.map_err(|error| TransportError::new(error.kind(), Delivery::NotSent))
        })
    }
}

/// How many of a hundred worlds catch it.
fn caught(wrap: impl Fn(Arc<dyn Transport>) -> Arc<dyn Transport>) -> usize {
    let catches = |seed| {
        let world = World::builder(seed).faults(Faults::frequent()).build();
        let clients = (0..4).map(|_| client_on(&world, wrap(world.transport())));
        catch_unwind(AssertUnwindSafe(|| run(&world, clients, 10))).is_err()
    };
    (0..100).filter(|seed| catches(*seed)).count()
}

#[test]
fn a_client_that_repeats_writes_is_caught() {
    let caught = caught(|transport| Arc::new(Retrying(transport)));
    assert!(caught > 50, "{caught} of 100");
}

#[test]
fn a_transport_that_denies_having_sent_anything_is_caught() {
    let caught = caught(|transport| Arc::new(Innocent(transport)));
    assert!(caught > 50, "{caught} of 100");
}

#[test]
fn one_that_is_right_is_not() {
    assert_eq!(caught(|transport| transport), 0);
}
