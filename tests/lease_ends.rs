//! How leases and registrations end when something is in the way: another cluster behind the address, or a renewal that
//! is refused right after the grant. On embedded servers and a clock that is stepped by whoever waits.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use anyetcd::embedded::{self, Config, EmbeddedTransport};
use anyetcd::error::ClusterChanged;
use anyetcd::transport::{
    BodyFrame, Delivery, RequestBody, ResponseBody, TransportError, TransportErrorKind,
};
use anyetcd::{BoxFuture, Client, ErrorKind, EtcdError, LostReason, Put, RegistrationState, Transport};
use bytes::Bytes;
use futures_util::future::Shared;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, Response, StatusCode};
use tokio::sync::oneshot;

const MINUTE: Duration = Duration::from_secs(60);

/// A way to a server, which can lead to another one from one moment to the next.
struct Way {
    state: Mutex<State>,
}

struct State {
    server: EmbeddedTransport,
    /// Is ready once what goes this way is cut off.
    cut: Shared<oneshot::Receiver<()>>,
    cutter: oneshot::Sender<()>,
    /// How long answers to grants are held back.
    grants_take: Duration,
    refuses_renewals: bool,
}

impl Way {
    fn to(server: &EmbeddedTransport) -> Arc<Self> {
        let (cutter, cut) = oneshot::channel();
        let state = Mutex::new(State {
            server: server.clone(),
            cut: cut.shared(),
            cutter,
            grants_take: Duration::ZERO,
            refuses_renewals: false,
        });
        Arc::new(Self { state })
    }

    fn client(self: &Arc<Self>) -> Client {
        let runtime = self.state.lock().unwrap().server.runtime().clone();
        let builder = Client::builder().endpoint(embedded::EMBEDDED_ENDPOINT);
        builder.transport(runtime, self.clone()).build().unwrap()
    }

    /// From now on; what was under way breaks off.
    fn lead_to(&self, server: &EmbeddedTransport) {
        let (cutter, cut) = oneshot::channel();
        let mut state = self.state.lock().unwrap();
        state.server = server.clone();
        state.cut = cut.shared();
        let _ = std::mem::replace(&mut state.cutter, cutter).send(());
    }
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Way")
    }
}

impl Transport for Way {
    fn exchange(
        &self,
        request: Request<RequestBody>,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        let state = self.state.lock().unwrap();
        let (server, cut, grants_take) = (state.server.clone(), state.cut.clone(), state.grants_take);
        let path = request.uri().path().to_owned();
        if state.refuses_renewals && path.ends_with("/lease/keepalive") {
            return Box::pin(async { Ok(refusal()) });
        }
        Box::pin(async move {
            let (head, mut body) = server.exchange(request).await?.into_parts();
            if path.ends_with("/lease/grant") {
                tokio::time::sleep(grants_take).await;
            }
            let mut cut = cut;
            let mut is_cut = false;
            let frames = stream::poll_fn(move |cx| {
                if is_cut {
                    return Poll::Ready(None);
                }
                if cut.poll_unpin(cx).is_ready() {
                    is_cut = true;
                    let kind = TransportErrorKind::Io;
                    return Poll::Ready(Some(Err(TransportError::new(kind, Delivery::MaybeSent))));
                }
                body.poll_next_unpin(cx)
            });
            Ok(Response::from_parts(head, ResponseBody::new(frames)))
        })
    }
}

/// What a server answers to somebody who may not use the keys of a lease.
fn refusal() -> Response<ResponseBody> {
    let body = r#"{"code":7, "message":"etcdserver: permission denied"}"#;
    let frames = stream::iter([Ok(BodyFrame::Data(Bytes::from_static(body.as_bytes())))]);
    let response = Response::builder()
        .status(StatusCode::FORBIDDEN)
        .header("content-type", "application/json");
    response.body(ResponseBody::new(frames)).unwrap()
}

fn server() -> EmbeddedTransport {
    embedded::start(Config::new()).unwrap()
}

fn client_of(server: &EmbeddedTransport) -> Client {
    Client::builder().embedded(server).build().unwrap()
}

async fn leases(client: &Client) -> Vec<i64> {
    let listed = client.leases().list().await.unwrap();
    listed.leases.iter().map(|lease| lease.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_dropped_after_another_cluster_took_over_revokes_nothing_there() {
    let (ours, others) = (server(), server());
    let stranger = client_of(&others);
    let theirs = stranger.lease(10 * MINUTE).id(7).await.unwrap();
    let way = Way::to(&ours);
    let client = way.client();
    let lease = client.lease(MINUTE).id(7).await.unwrap();

    way.lead_to(&others);
    let lost = lease.lost().await;
    assert!(matches!(lost.reason(), LostReason::ClusterChanged(_)), "{lost:?}");
    drop(lease);
    // Longer than anybody would try to revoke it.
    tokio::time::sleep(5 * MINUTE).await;
    assert_eq!(leases(&stranger).await, [7]);
    assert!(theirs.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_another_cluster_does_not_know_is_not_withdrawn_with_success() {
    let (ours, others) = (server(), server());
    let way = Way::to(&ours);
    let client = way.client();
    let call = client.lease(MINUTE).register([Put::new("service", "10.0.0.1")]);
    let registration = call.await.unwrap();

    way.lead_to(&others);
    let mut states = registration.states();
    let mut last = None;
    while let Some(state) = states.next().await {
        last = Some(state);
    }
    let Some(RegistrationState::Lost {
        cause: Some(cause), ..
    }) = last
    else {
        panic!("{last:?}");
    };
    assert!(matches!(cause.kind(), ErrorKind::ClusterChanged(_)), "{cause:?}");
    let error = registration.withdraw().await.unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::ClusterChanged(ClusterChanged::ClusterId { .. })
        ),
        "{error:?}"
    );
    // It goes in its time.
    let direct = client_of(&ours);
    assert_eq!(direct.get("service").await.unwrap().count, 1);
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(direct.get("service").await.unwrap().count, 0);
}

/// The answer to the grant comes so late that the lease has to be renewed before anybody is given it.
#[tokio::test(start_paused = true)]
async fn a_lease_that_was_granted_and_cannot_be_renewed_is_revoked() {
    for id in [0, 7] {
        let server = server();
        let way = Way::to(&server);
        way.state.lock().unwrap().grants_take = MINUTE;
        way.state.lock().unwrap().refuses_renewals = true;
        let client = way.client();
        let call = client.lease(Duration::from_secs(100)).id(id).timeout(3 * MINUTE);
        let error = call.await.unwrap_err();
        assert_eq!(error.etcd(), Some(EtcdError::PermissionDenied));
        let direct = client_of(&server);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(leases(&direct).await, [0; 0], "with the id {id}");
    }
}
