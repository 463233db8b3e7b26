//! What there is to catch up with.

use std::future::IntoFuture;

use anyetcd::{Client, Put, Txn};
use anyetcd_benches::Tokio;
use etcd_process::{Dialect, Server};
use futures_util::future::join_all;

/// All keys begin so.
pub(crate) const PREFIX: &str = "k/";

/// The length of each value.
pub(crate) const VALUE_LENGTH: usize = 128;

/// So many events, evenly over so many revisions.
///
/// A server sends a watch that lies behind 1,000 revisions at a time (`watchBatchMaxRevs`), each time as one line, and
/// pauses for up to 100 ms between two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    pub(crate) events: usize,
    pub(crate) revisions: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            events: 200_000,
            revisions: 1000,
        }
    }
}

impl History {
    /// A server of `dialect` that has it.
    pub(crate) fn write(self, dialect: Dialect) -> Result<Server, String> {
        let puts = self.events / self.revisions;
        let server = Server::builder(dialect)
            .max_txn_ops(puts as u32)
            .max_request_bytes(64 << 20)
            .start();
        Tokio::MultiThread
            .block_on(self.write_to(server.client_url(), puts))
            .map_err(|error| error.to_string())?;
        Ok(server)
    }

    async fn write_to(self, url: &str, puts: usize) -> anyetcd::Result<()> {
        const IN_FLIGHT: usize = 16;
        let client = Client::builder().endpoint(url).max_txn_ops(puts).build()?;
        let value = "x".repeat(VALUE_LENGTH);
        let numbers: Vec<usize> = (0..self.revisions).collect();
        for some in numbers.chunks(IN_FLIGHT) {
            let transactions = some.iter().map(|number| {
                let puts = (0..puts).map(|n| Put::new(format!("{PREFIX}{}", number * puts + n), &value));
                client.txn(Txn::new().then(puts)).into_future()
            });
            for written in join_all(transactions).await {
                written?;
            }
        }
        Ok(())
    }
}
