//! Connections: taken, served, and ended together.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::exchange;
use crate::EmbeddedTransport;

/// After a failure to take a connection that is not the connection's own, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the connections of a server share.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) transport: EmbeddedTransport,
    pub(super) open: Arc<AtomicUsize>,
    /// Turns true when the server is asked to end. Each connection holds a receiver, so that a sender can tell when
    /// the last one is closed.
    pub(super) ends: watch::Receiver<bool>,
}

impl Connections {
    /// Takes and serves connections until the server ends.
    pub(super) async fn accept(mut self, listener: TcpListener) {
        let connections = self.clone();
        let mut ends = pin!(end(&mut self.ends));
        loop {
            let accepted = match select(ends.as_mut(), pin!(listener.accept())).await {
                Either::Left(_) => return,
                Either::Right((accepted, _)) => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(connections.clone().serve(stream));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn serve(mut self, stream: TcpStream) {
        let _open = Open::new(&self.open);
        // Small answers must not wait for each other. A connection that is already gone is found so below.
        let _ = stream.set_nodelay(true);
        let transport = &self.transport;
        let service = service_fn(|request| exchange::answer(transport.clone(), request));
        let connection = http1::Builder::new()
            // As Go writes them.
            .title_case_headers(true)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ends = pin!(end(&mut self.ends));
        // A connection fails when its client goes away; there is nobody to tell.
        if let Either::Right(_) = select(connection.as_mut(), ends).await {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Waits for the server to be asked to end, or to be killed.
async fn end(ends: &mut watch::Receiver<bool>) {
    let _ = ends.wait_for(|ends| *ends).await;
}

/// Counts a connection while it lives.
struct Open<'a>(&'a AtomicUsize);

impl<'a> Open<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
