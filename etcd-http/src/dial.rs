//! From a host to a connected stream: resolve, then try the addresses in turn, all within one timeout.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use etcd_core::runtime::{Runtime, later};
use etcd_core::transport::{Delivery, TransportError, TransportErrorKind};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;

use crate::{Connect, HttpConfig, SocketOptions};

/// How long an address has before the next one is tried beside it: RFC 8305, section 5.
const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to `host`, an IP address or a name.
pub(crate) async fn dial<C: Connect>(
    connector: &C,
    runtime: &dyn Runtime,
    host: &str,
    port: u16,
    config: &HttpConfig,
) -> Result<C::Io, TransportError> {
    let deadline = runtime.sleep_until(later(runtime.now(), config.connect_timeout));
    let connected = pin!(connect_by_name(connector, runtime, host, port, config.socket));
    match select(connected, deadline).await {
        Either::Left((Ok(io), _)) => Ok(io),
        Either::Left((Err(error), _)) => {
            Err(TransportError::new(TransportErrorKind::Connect, Delivery::NotSent).with_source(error))
        }
        Either::Right(((), _)) => Err(TransportError::new(
            TransportErrorKind::ConnectTimeout,
            Delivery::NotSent,
        )),
    }
}

async fn connect_by_name<C: Connect>(
    connector: &C,
    runtime: &dyn Runtime,
    host: &str,
    port: u16,
    options: SocketOptions,
) -> io::Result<C::Io> {
    match host.parse::<IpAddr>() {
        Ok(ip) => connect_to_any(connector, runtime, vec![SocketAddr::new(ip, port)], options).await,
        Err(_) => {
            let addresses = connector.resolve(host, port).await?;
            connect_to_any(connector, runtime, addresses, options).await
        }
    }
}

/// The first of `addresses` to accept wins; a silent one holds the next up only for a moment.
async fn connect_to_any<C: Connect>(
    connector: &C,
    runtime: &dyn Runtime,
    addresses: Vec<SocketAddr>,
    options: SocketOptions,
) -> io::Result<C::Io> {
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut addresses = addresses.into_iter();
    while let Some(address) = addresses.next() {
        attempts.push(async move {
            let connected = connector.connect(address, options).await;
            connected.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
        });
        if addresses.len() == 0 {
            break;
        }
        let head_start = runtime.sleep_until(runtime.now() + CONNECTION_ATTEMPT_DELAY);
        match select(attempts.next(), head_start).await {
            Either::Left((Some(Ok(io)), _)) => return Ok(io),
            Either::Left((Some(Err(error)), _)) => failure = error,
            Either::Left((None, _)) | Either::Right(_) => {}
        }
    }
    while let Some(outcome) = attempts.next().await {
        match outcome {
            Ok(io) => return Ok(io),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
