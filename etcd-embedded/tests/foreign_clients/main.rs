//! Clients of other languages, each against the embedded server and against a real one: what they do on one, they do
//! on the other, and what is asked of them here holds for real.

#![allow(clippy::unwrap_used)]

mod curl;
mod etcd3gw;

use std::thread;
use std::time::{Duration, Instant};

use etcd_embedded::listen::HttpServer;
use etcd_embedded::{Config, Dialect};

/// Runs `talk` against the URLs of an embedded and of a real server of each dialect.
fn on_every_server(talk: impl Fn(&str)) {
    for dialect in Dialect::ALL {
        let server = HttpServer::start("127.0.0.1:0", Config::new().dialect(dialect)).unwrap();
        talk(&server.url());
        talk(etcd_process::shared(real(dialect)).client_url());
        // None of them leaves a watch behind; a server hears of a client's end a moment later.
        let deadline = Instant::now() + Duration::from_secs(60);
        while server.transport().inspect(etcd_embedded::Server::watch_count) > 0 {
            assert!(Instant::now() < deadline, "a watch was left behind");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn real(dialect: Dialect) -> etcd_process::Dialect {
    match dialect {
        Dialect::G1_6 => etcd_process::Dialect::G1_6,
        Dialect::G1_16 => etcd_process::Dialect::G1_16,
        _ => etcd_process::Dialect::G2,
    }
}
